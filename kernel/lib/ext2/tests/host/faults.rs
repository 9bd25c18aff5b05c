//! The memory runs out, the device fails.

use ext2::{Error, Exchange, ROOT_INODE, Rename, Scope, Timestamp};

use crate::disk::Store;
use crate::tools::{assert_clean, e2fsck, make_image};
use crate::volume::{DIRECTORY, FILE, Volume, mount};

/// An image with something in it.
fn furnished() -> Vec<u8> {
    let mut volume = mount(make_image(4096, &["-b", "1024", "-g", "1024"]));
    let directory = volume.create(ROOT_INODE, "directory", &DIRECTORY).unwrap();
    for number in 0..60 {
        volume.create(directory, &format!("file {number}"), &FILE).unwrap();
    }
    for name in ["small", "large"] {
        let file = volume.create(ROOT_INODE, name, &FILE).unwrap();
        let size = if name == "small" { 9000 } else { 900_000 };
        volume.write(file, 0, &vec![1; size]).unwrap();
    }
    volume.create(ROOT_INODE, "empty", &DIRECTORY).unwrap();
    volume.unmount()
}

type Act = fn(&mut Volume) -> Result<(), Error>;

/// An operation that the memory runs out of, by name.
const ACTS: [(&str, Act); 12] = [
    ("create", |volume| {
        let caller = volume.caller();
        volume.fs.create(ROOT_INODE, b"new", &FILE, &caller).map(|_| ())
    }),
    ("create directory", |volume| {
        let caller = volume.caller();
        volume.fs.create(ROOT_INODE, b"new", &DIRECTORY, &caller).map(|_| ())
    }),
    ("link", |volume| {
        let caller = volume.caller();
        let file = find(volume, "small")?;
        let directory = find(volume, "directory")?;
        volume.fs.link(file, directory, b"link", &caller)
    }),
    ("unlink", |volume| {
        let caller = volume.caller();
        let removed = volume.fs.unlink(ROOT_INODE, b"large", &caller)?;
        // If the memory is out, it is deleted later.
        let _ = volume.release(removed.inode);
        Ok(())
    }),
    ("rmdir", |volume| {
        let caller = volume.caller();
        let removed = volume.fs.remove_directory(ROOT_INODE, b"empty", &caller)?;
        let _ = volume.release(removed.inode);
        Ok(())
    }),
    ("rename", |volume| {
        let caller = volume.caller();
        let to = find(volume, "directory")?;
        let rename =
            Rename { from: ROOT_INODE, from_name: b"small", to, to_name: b"file 7", replace: true };
        let replaced = volume.fs.rename(&rename, &caller)?.replaced;
        let _ = volume.release(replaced.unwrap().inode);
        Ok(())
    }),
    ("rename directory", |volume| {
        let caller = volume.caller();
        let to = find(volume, "directory")?;
        let (from_name, to_name) = (&b"empty"[..], &b"n"[..]);
        let rename = Rename { from: ROOT_INODE, from_name, to, to_name, replace: true };
        volume.fs.rename(&rename, &caller).map(|_| ())
    }),
    ("exchange", |volume| {
        let caller = volume.caller();
        let other = find(volume, "directory")?;
        let (one_name, other_name) = (&b"small"[..], &b"file 50"[..]);
        let exchange = Exchange { one: ROOT_INODE, one_name, other, other_name };
        match volume.fs.exchange(&exchange, &caller) {
            Err(Error::WriteBackFirst) => Ok(()),
            other => other,
        }
    }),
    ("truncate", |volume| {
        let caller = volume.caller();
        let file = find(volume, "large")?;
        volume.fs.truncate(file, 20_000, &caller)
    }),
    ("truncate to nothing", |volume| {
        let caller = volume.caller();
        let file = find(volume, "large")?;
        volume.fs.truncate(file, 0, &caller)
    }),
    ("allocate", |volume| {
        let caller = volume.caller();
        let file = find(volume, "small")?;
        let placed = volume.fs.allocate(file, 100_000, 5, &caller)?;
        volume.fs.extend(file, (100_000 + u64::from(placed.count)) * 1024)
    }),
    ("sync", |volume| {
        let now = Timestamp::from_seconds(volume.clock);
        let batch = volume.fs.begin(Scope::All, now)?;
        volume.fs.finish(batch, false);
        Ok(())
    }),
];

fn find(volume: &Volume, name: &str) -> Result<u32, Error> {
    Ok(volume.fs.lookup(ROOT_INODE, name.as_bytes())?.unwrap().inode)
}

/// Sets how many blocks the memory has room for; returns how many it had left.
fn limit(volume: &Volume, blocks: Option<usize>) -> Option<usize> {
    let store: &Store = volume.fs.storage();
    store.memory.replace(blocks)
}

#[test]
fn the_memory_runs_out_at_any_point() {
    let image = furnished();
    for (name, act) in ACTS {
        // So many blocks can be read into memory; then no more.
        for blocks in 0.. {
            let mut volume = mount(image.clone());
            // Something is dirty already.
            volume.create(ROOT_INODE, "before", &FILE).unwrap();
            volume.fs.storage().drop_clean();
            limit(&volume, Some(blocks));
            let result = act(&mut volume);
            let left = limit(&volume, None);
            match result {
                Err(Error::NoMemory) => {
                    // It can be tried again, and then it works.
                    act(&mut volume).unwrap_or_else(|error| panic!("{name}: {error}"));
                    volume.check();
                }
                Ok(()) => {
                    volume.check();
                    if left > Some(0) {
                        break;
                    }
                }
                Err(error) => panic!("{name} with {blocks} blocks: {error}"),
            }
        }
    }
}

#[test]
fn the_device_fails_to_read_any_block() {
    let image = furnished();
    for (name, act) in ACTS {
        for block in 0..400 {
            let mut volume = mount(image.clone());
            volume.fs.storage().drop_clean();
            volume.disk.borrow_mut().broken = vec![block];
            let result = act(&mut volume);
            if let Err(error) = result {
                assert_eq!(error, Error::Device { block }, "{name}");
            }
            volume.disk.borrow_mut().broken = Vec::new();
            if volume.disk.borrow().failed.get() == 0 {
                continue;
            }
            // Blocks may be lost; e2fsck finds them and nothing else.
            while volume.fs.take_report().is_some() {}
            volume.sync();
            let now = volume.disk.borrow().now.clone();
            let (said, repaired) = e2fsck(&now, "-fy");
            assert!(said.status <= 1, "{name}, block {block}: {}", said.output);
            assert!(!said.output.contains("ultiply"), "{name}, block {block}: {}", said.output);
            assert_clean(&repaired);
        }
    }
}

#[test]
fn a_batch_that_fails_is_written_again() {
    let mut volume = mount(furnished());
    let directory = find(&volume, "directory").unwrap();
    let file = volume.create(directory, "new", &FILE).unwrap();
    volume.write(file, 0, &[9; 30_000]).unwrap();
    volume.rename((directory, "file 5"), (ROOT_INODE, "moved"), true).unwrap();
    volume.rename((directory, "file 6"), (directory, "file 7"), true).unwrap();
    volume.remove(directory, "file 8").unwrap();
    let dirty = volume.fs.dirty_blocks();
    let free = volume.fs.usage();
    for scope in [Scope::All, Scope::Inode(file), Scope::Inode(directory), Scope::All] {
        let now = Timestamp::from_seconds(volume.clock);
        let batch = volume.fs.begin(scope, now).unwrap();
        assert!(!batch.is_empty());
        assert_eq!(volume.fs.begin(scope, now).err(), Some(Error::BatchPending));
        // Work goes on meanwhile.
        let name = format!("{scope:?}");
        volume.create(directory, &name, &DIRECTORY).unwrap();
        volume.fs.finish(batch, false);
        volume.remove_directory(directory, &name).unwrap();
        assert!(volume.fs.dirty_blocks() >= dirty);
        // What was freed is still held.
        assert_eq!(volume.fs.usage(), free);
    }
    let mut volume = mount(volume.check());
    assert_eq!(volume.read(file).unwrap(), [9; 30_000]);
    volume.remove(directory, "new").unwrap();
    volume.check();
}
