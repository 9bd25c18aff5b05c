//! Images with garbage in them: an error, never a panic, never for ever.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ext2::{
    Caller, Error, Ext2, MountOptions, NewKind, ROOT_INODE, Rename, Scope, Timestamp, probe,
};

use crate::dice::Dice;
use crate::disk::{Disk, Store};
use crate::model::{Mix, Pair};
use crate::random::factor;
use crate::tools::make_image;
use crate::volume::{DIRECTORY, FILE};

/// The most that all that is done with one image may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

const NOW: Timestamp = Timestamp { seconds: 1_800_000_000, nanoseconds: 5 };

/// Images with something of everything in them.
fn furnished() -> Vec<Vec<u8>> {
    [&["-b", "1024", "-I", "128"][..], &["-b", "2048"], &["-b", "1024", "-g", "512", "-r", "0"]]
        .into_iter()
        .enumerate()
        .map(|(seed, options)| {
            let mix = Mix { files: 50, bytes: 30_000, far: 3_000_000, fsync: 0, sync: 0 };
            let mut pair = Pair::new(make_image(2048, options), mix);
            let mut dice = Dice::new(seed as u64);
            (0..200).for_each(|_| pair.step(&mut dice));
            let pair = pair.remount();
            pair.volume.unmount()
        })
        .collect()
}

/// Blocks that hold metadata: not zero and not random data of files.
fn telling_blocks(image: &[u8], block_size: usize) -> Vec<usize> {
    let blocks = image.chunks(block_size).enumerate();
    blocks
        .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
        .map(|(block, _)| block)
        .collect()
}

/// Damages an image.
fn damage(image: &mut [u8], block_size: usize, dice: &mut Dice) {
    let telling = telling_blocks(image, block_size);
    let blocks = (image.len() / block_size) as u32;
    for _ in 0..1 + dice.below(12) {
        let block = match dice.below(4) {
            // The superblock, descriptors, bitmaps and tables are at the start.
            0 | 1 => dice.below(60.min(blocks as usize)),
            _ => *dice.pick(&telling).unwrap(),
        };
        let start = block * block_size;
        let offset = start + (dice.below(block_size - 4) & !1);
        let value = match dice.below(8) {
            0 => 0,
            1 => u32::MAX,
            2 => dice.next(),
            3 => dice.below(blocks as usize) as u32,
            4 => block as u32,
            5 => 1 << dice.below(32),
            6 => dice.below(64) as u32,
            _ => {
                // Another block of the image in place of this.
                let from = *dice.pick(&telling).unwrap() * block_size;
                if dice.once_in(3) && block > 2 {
                    image.copy_within(from..from + block_size, start);
                }
                continue;
            }
        };
        let width = [1, 2, 4][dice.below(3)];
        image[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// A mounted image that may hold anything.
struct Victim {
    fs: Ext2<Store>,
    dice: Dice,
    /// Names and inodes that were seen.
    names: Vec<(u32, Vec<u8>)>,
    inodes: Vec<u32>,
    deadline: Instant,
}

impl Victim {
    fn mount(image: Vec<u8>, read_only: bool, dice: Dice) -> Result<Self, Error> {
        let block_size = probe(image[1024..2048].try_into().unwrap())?.block_size;
        let disk = Disk::new(image, block_size);
        let options = MountOptions { read_only, write_unclean: true, now: NOW };
        let fs = Ext2::mount(Store::new(&disk), &options)?;
        let deadline = Instant::now() + PATIENCE;
        Ok(Self { fs, dice, names: Vec::new(), inodes: vec![ROOT_INODE], deadline })
    }

    /// Looks at all that can be found.
    fn look(&mut self) {
        let mut work = vec![ROOT_INODE];
        let mut at = 0;
        while let Some(inode) = work.get(at).copied() {
            at += 1;
            assert!(Instant::now() < self.deadline, "it takes too long");
            if at > 300 {
                break;
            }
            let Ok(found) = self.fs.inode(inode) else { continue };
            let _ = self.fs.map(inode, 0..100_000, |_| ());
            let _ = self.fs.map(inode, u32::MAX - 5..u32::MAX, |_| ());
            let _ = self.fs.read_link(inode, <[u8]>::len);
            let _ = self.fs.parent(inode);
            let _ = self.fs.lookup(inode, b"n1");
            let names = &mut self.names;
            let inodes = &mut self.inodes;
            let _ = self.fs.read_directory(inode, 0, |entry| {
                if names.len() > 1000 {
                    return ControlFlow::Break(());
                }
                names.push((inode, entry.name.to_vec()));
                inodes.push(entry.inode);
                if !work.contains(&entry.inode) {
                    work.push(entry.inode);
                }
                ControlFlow::Continue(())
            });
            let _ = self.fs.read_directory(inode, found.size / 2, |_| ControlFlow::Continue(()));
        }
    }

    fn name(&mut self) -> (u32, Vec<u8>) {
        if self.names.is_empty() || self.dice.once_in(4) {
            let inode = self.inode();
            return (inode, format!("n{}", self.dice.below(99)).into_bytes());
        }
        let index = self.dice.below(self.names.len());
        self.names[index].clone()
    }

    fn inode(&mut self) -> u32 {
        let index = self.dice.below(self.inodes.len());
        self.inodes[index]
    }

    /// Does something; whatever comes of it will do.
    fn act(&mut self) -> Result<(), Error> {
        let caller = Caller { now: NOW, privileged: true };
        let (at, name) = self.name();
        let (to, to_name) = self.name();
        let inode = self.inode();
        let far = self.dice.next() >> self.dice.below(20);
        let fs = &mut self.fs;
        match self.dice.below(12) {
            0 => {
                let target = [b'x'; 100];
                let new =
                    [FILE, DIRECTORY, ext2::NewInode { kind: NewKind::Symlink(&target), ..FILE }];
                let made = fs.create(to, &name, &new[far as usize % 3], &caller)?;
                self.inodes.push(made);
            }
            1 => {
                let removed = fs.unlink(at, &name, &caller)?;
                fs.release(removed.inode)?;
            }
            2 => {
                let removed = fs.remove_directory(at, &name, &caller)?;
                fs.release(removed.inode)?;
            }
            3 | 4 => {
                let (from, from_name, to_name) = (at, &name[..], &to_name[..]);
                let rename = Rename { from, from_name, to, to_name, replace: true };
                if let Some(replaced) = fs.rename(&rename, &caller)?.replaced {
                    fs.release(replaced.inode)?;
                }
            }
            5 => fs.link(inode, to, &to_name, &caller)?,
            6 | 7 => {
                fs.allocate(inode, far, 50, &caller)?;
            }
            8 => fs.truncate(inode, far.into(), &caller)?,
            9 => fs.extend(inode, far.into())?,
            10 => {
                let (one, one_name, other, other_name) = (at, &name[..], to, &to_name[..]);
                fs.exchange(&ext2::Exchange { one, one_name, other, other_name }, &caller)?;
            }
            _ => self.write_back(Scope::Inode(inode))?,
        }
        Ok(())
    }

    fn write_back(&mut self, scope: Scope) -> Result<(), Error> {
        let batch = self.fs.begin(scope, NOW)?;
        self.fs.finish(batch, true);
        Ok(())
    }
}

#[test]
fn damaged_images_make_errors() {
    let images = furnished();
    for seed in 0..400 * factor() as u64 {
        let mut dice = Dice::new(seed);
        let mut image = images[dice.below(images.len())].clone();
        let block_size = probe(image[1024..2048].try_into().unwrap()).unwrap().block_size;
        damage(&mut image, block_size, &mut dice);
        let result = std::panic::catch_unwind(|| {
            if let Ok(mut victim) = Victim::mount(image.clone(), true, dice.clone()) {
                victim.look();
            }
            let Ok(mut victim) = Victim::mount(image, false, dice) else { return };
            victim.look();
            for _ in 0..60 {
                assert!(Instant::now() < victim.deadline, "it takes too long");
                match victim.act() {
                    Err(Error::Corrupt(corrupt)) => {
                        victim.fs.report(corrupt);
                    }
                    Err(Error::WriteBackFirst) => {
                        let _ = victim.write_back(Scope::All);
                    }
                    _ => {}
                }
            }
            let _ = victim.fs.close();
            for _ in 0..3 {
                let _ = victim.write_back(Scope::All);
            }
            assert_eq!(victim.fs.dirty_blocks(), victim.fs.storage().dirty());
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

/// Makes pointers of an inode, or of an indirect block, run in circles.
#[test]
fn trees_that_run_in_circles_come_to_an_end() {
    let mut volume = crate::volume::mount(make_image(4096, &["-b", "1024", "-I", "128"]));
    let file = volume.create(ROOT_INODE, "file", &FILE).unwrap();
    for offset in [0, 100_000, 1_000_000, 100_000_000] {
        volume.write(file, offset, b"here").unwrap();
    }
    let image = volume.unmount();
    // The inode: the table begins where the descriptor says.
    let table = u32::from_le_bytes(image[2048 + 8..2048 + 12].try_into().unwrap()) as usize;
    let inode = table * 1024 + (file as usize - 1) * 128;
    let pointer = |slot: usize| inode + 40 + slot * 4;
    let number =
        |image: &[u8], at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
    let top = number(&image, pointer(14));
    for level in 0..4 {
        let mut image = image.clone();
        // All pointers of the highest indirect block lead to itself, or to one block below
        // whose pointers lead up again, or to the inode table.
        let start = top as usize * 1024;
        let below = (0..256).map(|n| number(&image, start + n * 4)).find(|n| *n != 0).unwrap();
        let to = [top, below, table as u32, number(&image, pointer(13))][level];
        for entry in 0..256 {
            image[start + entry * 4..][..4].copy_from_slice(&to.to_le_bytes());
        }
        if level == 1 {
            for entry in 0..256 {
                image[below as usize * 1024 + entry * 4..][..4].copy_from_slice(&top.to_le_bytes());
            }
        }
        let begun = Instant::now();
        let mut victim = Victim::mount(image, false, Dice::new(0)).unwrap();
        let caller = Caller { now: NOW, privileged: true };
        let _ = victim.fs.map(file, 0..2_000_000, |_| ());
        let result = victim.fs.truncate(file, 0, &caller);
        assert!(matches!(result, Err(Error::Corrupt(_))), "{result:?}");
        assert_eq!(victim.fs.inode(file).unwrap().size, 0);
        assert!(begun.elapsed() < PATIENCE);
        let removed = victim.fs.unlink(ROOT_INODE, b"file", &caller).unwrap();
        victim.fs.release(removed.inode).unwrap();
    }
}

#[test]
fn directories_that_are_in_each_other_come_to_an_end() {
    let mut volume = crate::volume::mount(make_image(1024, &["-b", "1024"]));
    let a = volume.create(ROOT_INODE, "a", &DIRECTORY).unwrap();
    let b = volume.create(a, "b", &DIRECTORY).unwrap();
    let c = volume.create(ROOT_INODE, "c", &DIRECTORY).unwrap();
    let mut image = volume.unmount();
    // `..` of a is b.
    let block = image
        .chunks(1024)
        .position(|block| block[..4] == a.to_le_bytes() && block[4..9] == [12, 0, 1, 2, b'.'])
        .unwrap();
    image[block * 1024 + 12..][..4].copy_from_slice(&b.to_le_bytes());
    let mut victim = Victim::mount(image, false, Dice::new(0)).unwrap();
    let caller = Caller { now: NOW, privileged: true };
    let rename = Rename { from: ROOT_INODE, from_name: b"c", to: b, to_name: b"c", replace: true };
    assert_eq!(victim.fs.rename(&rename, &caller).map_err(Error::errno), Err(abi::Errno::EUCLEAN));
    assert_eq!(victim.fs.lookup(ROOT_INODE, b"c").unwrap().unwrap().inode, c);
}
