//! The naive file system that the real one must be like: [`Model`], and [`Pair`], both of
//! them together, going through operations by chance.

use std::collections::BTreeMap;
use std::rc::Rc;

use ext2::{DeviceNumber, Error, FileKind, NewInode, NewKind, ROOT_INODE};

use crate::dice::Dice;
use crate::promises::{Place, Promises};
use crate::sparse::Sparse;
use crate::volume::{DIRECTORY, FILE, Volume, mount};

/// An inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File { contents: Sparse },
    Directory { entries: BTreeMap<String, u32> },
    Symlink { target: String },
    Device { device: DeviceNumber },
}

/// Inodes by the numbers that the real file system gave them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<u32, Node>,
}

impl Model {
    fn is_directory(&self, inode: u32) -> bool {
        matches!(self.nodes.get(&inode), Some(Node::Directory { .. }))
    }

    fn entries(&self, directory: u32) -> &BTreeMap<String, u32> {
        match self.nodes.get(&directory) {
            Some(Node::Directory { entries }) => entries,
            other => panic!("inode {directory} is {other:?}"),
        }
    }

    fn entries_mut(&mut self, directory: u32) -> &mut BTreeMap<String, u32> {
        match self.nodes.get_mut(&directory) {
            Some(Node::Directory { entries }) => entries,
            other => panic!("inode {directory} is {other:?}"),
        }
    }

    /// All names of an inode.
    pub(crate) fn names_of(&self, inode: u32) -> Vec<Place> {
        let mut names = Vec::new();
        for (directory, node) in &self.nodes {
            if let Node::Directory { entries } = node {
                let these = entries.iter().filter(|(_, named)| **named == inode);
                names.extend(these.map(|(name, _)| (*directory, name.clone())));
            }
        }
        names
    }

    /// Whether a directory is in another, or is that.
    fn is_under(&self, mut directory: u32, above: u32) -> bool {
        loop {
            if directory == above {
                return true;
            }
            let Some((parent, _)) = self.names_of(directory).pop() else { return false };
            directory = parent;
        }
    }
}

/// What operations are done by chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// The most files and directories.
    pub(crate) files: usize,
    /// The most bytes that are written at once.
    pub(crate) bytes: usize,
    /// The largest offset.
    pub(crate) far: u64,
    /// One in so many steps is an fsync, one in so many a sync; 0: none.
    pub(crate) fsync: usize,
    pub(crate) sync: usize,
}

/// The real file system, and the model that it must be like.
pub(crate) struct Pair {
    pub(crate) volume: Volume,
    pub(crate) model: Model,
    /// Files without a name that are open.
    open: Vec<u32>,
    pub(crate) promises: Promises,
    /// After how many events of the disk what was promised.
    pub(crate) history: Vec<(usize, Rc<Promises>)>,
    mix: Mix,
    /// What was done, for a failure to be understood.
    pub(crate) log: Vec<String>,
    /// How often the disk was full.
    pub(crate) full: usize,
}

impl Pair {
    pub(crate) fn new(image: Vec<u8>, mix: Mix) -> Self {
        let volume = mount(image);
        let mut model = Model::default();
        let mut entries = BTreeMap::new();
        for (name, inode) in volume.list(ROOT_INODE).unwrap() {
            entries.insert(String::from_utf8(name).unwrap(), inode);
            model.nodes.insert(inode, Node::Directory { entries: BTreeMap::new() });
        }
        model.nodes.insert(ROOT_INODE, Node::Directory { entries });
        Self {
            volume,
            model,
            open: Vec::new(),
            promises: Promises::default(),
            history: Vec::new(),
            mix,
            log: Vec::new(),
            full: 0,
        }
    }

    /// One operation.
    pub(crate) fn step(&mut self, dice: &mut Dice) {
        if self.mix.fsync > 0 && dice.once_in(self.mix.fsync) {
            self.fsync(dice);
        } else if self.mix.sync > 0 && dice.once_in(self.mix.sync) {
            self.sync();
        } else {
            match dice.below(32) {
                0..5 => self.create(dice),
                5..11 => self.write(dice),
                11..13 => self.truncate(dice),
                13..17 => self.remove(dice),
                17..20 => self.make_directory(dice),
                20..22 => self.remove_directory(dice),
                22..27 => self.rename(dice),
                27 => self.exchange(dice),
                28..30 => self.link(dice),
                30 => self.close(dice),
                _ => self.flush_some(dice),
            }
        }
        let events = self.volume.disk.borrow().events.len();
        self.history.push((events, Rc::new(self.promises.clone())));
    }

    fn remember(&mut self, what: String) {
        let events = self.volume.disk.borrow().events.len();
        self.log.push(format!("{events}: {what}"));
    }

    // What to work on.

    fn directory(&self, dice: &mut Dice) -> u32 {
        // e2fsck puts into lost+found what it finds, so nothing else is put there.
        let lost = self.model.entries(ROOT_INODE).get("lost+found").copied();
        let good = |inode: &u32| Some(*inode) != lost && self.model.is_directory(*inode);
        let all: Vec<u32> = self.model.nodes.keys().copied().filter(good).collect();
        *dice.pick(&all).unwrap()
    }

    fn file(&self, dice: &mut Dice) -> Option<u32> {
        let is_file = |node: &Node| matches!(node, Node::File { .. });
        let nodes = self.model.nodes.iter();
        let all: Vec<u32> =
            nodes.filter(|(_, node)| is_file(node)).map(|(inode, _)| *inode).collect();
        dice.pick(&all).copied()
    }

    /// A name that is there, mostly.
    fn name(&self, dice: &mut Dice) -> Place {
        let mut all = Vec::new();
        for (directory, node) in &self.model.nodes {
            if let Node::Directory { entries } = node {
                let good = entries.keys().filter(|name| *name != "lost+found");
                all.extend(good.map(|name| (*directory, name.clone())));
            }
        }
        if all.is_empty() || dice.once_in(20) {
            return (self.directory(dice), self.new_name(dice));
        }
        dice.pick(&all).cloned().unwrap()
    }

    /// A name that is not there, mostly.
    fn new_name(&self, dice: &mut Dice) -> String {
        let number = dice.below(self.mix.files * 2);
        match dice.below(8) {
            0 => format!("{number:0width$}", width = 1 + dice.below(254)),
            _ => format!("n{number}"),
        }
    }

    /// Compares what came out with what should; says whether it was done.
    #[track_caller]
    fn agree<T: std::fmt::Debug>(
        &mut self,
        real: Result<T, Error>,
        model: Result<(), Error>,
    ) -> Option<T> {
        match (real, model) {
            (Ok(value), Ok(())) => Some(value),
            (Err(Error::NoSpace | Error::NoInodes), Ok(())) => {
                self.full += 1;
                None
            }
            (Err(real), Err(model)) if real == model => None,
            (real, model) => panic!("real {real:?}, model {model:?}\n{}", self.log.join("\n")),
        }
    }

    // Operations.

    fn create(&mut self, dice: &mut Dice) {
        if self.model.nodes.len() >= self.mix.files {
            return self.remove(dice);
        }
        let (at, name) = (self.directory(dice), self.new_name(dice));
        let target = "t".repeat(1 + dice.below(200));
        let device = DeviceNumber { major: dice.below(400) as u32, minor: dice.below(1000) as u32 };
        let (new, node) = match dice.below(8) {
            0 => {
                let new = NewInode { kind: NewKind::Symlink(target.as_bytes()), ..FILE };
                (new, Node::Symlink { target: target.clone() })
            }
            1 => {
                let new = NewInode { kind: NewKind::CharacterDevice(device), ..FILE };
                (new, Node::Device { device })
            }
            _ => (FILE, Node::File { contents: Sparse::default() }),
        };
        self.make(at, &name, &new, node);
    }

    fn make(&mut self, at: u32, name: &str, new: &NewInode<'_>, node: Node) {
        let real = self.volume.create(at, name, new);
        self.remember(format!("create {at}/{name} {real:?}"));
        let there = self.model.entries(at).contains_key(name);
        let result = self.agree(real, if there { Err(Error::Exists) } else { Ok(()) });
        if let Some(inode) = result {
            self.model.entries_mut(at).insert(name.into(), inode);
            assert_eq!(self.model.nodes.insert(inode, node), None, "inode {inode} is in use");
        }
    }

    fn make_directory(&mut self, dice: &mut Dice) {
        if self.model.nodes.len() >= self.mix.files {
            return self.remove_directory(dice);
        }
        let (at, name) = (self.directory(dice), self.new_name(dice));
        self.make(at, &name, &DIRECTORY, Node::Directory { entries: BTreeMap::new() });
    }

    fn write(&mut self, dice: &mut Dice) {
        let Some(inode) = self.file(dice) else { return self.create(dice) };
        let Some(Node::File { contents }) = self.model.nodes.get(&inode) else { return };
        let size = contents.size;
        let offset = match dice.below(8) {
            0 => (u64::from(dice.next()) * self.mix.far) >> 32,
            1..4 => (u64::from(dice.next()) * size) >> 32,
            _ => size,
        };
        let count = 1 + dice.below(self.mix.bytes) / (1 + dice.below(8));
        let start = dice.next();
        let bytes: Vec<u8> =
            (0..count as u32).map(|n| (start.wrapping_add(n * n) >> 3) as u8).collect();
        self.remember(format!("write {inode} at {offset}, {count} bytes"));
        self.promises.changes(inode);
        let real = self.volume.write(inode, offset, &bytes);
        if real == Err(Error::NoSpace) {
            // Some may have been written.
            let mut contents = Sparse::default();
            contents.write(0, &self.volume.read(inode).unwrap());
            self.model.nodes.insert(inode, Node::File { contents });
        }
        if self.agree(real, Ok(())).is_some()
            && let Some(Node::File { contents }) = self.model.nodes.get_mut(&inode)
        {
            contents.write(offset, &bytes);
        }
    }

    fn truncate(&mut self, dice: &mut Dice) {
        let Some(inode) = self.file(dice) else { return };
        let Some(Node::File { contents }) = self.model.nodes.get_mut(&inode) else { return };
        let size = match dice.below(4) {
            0 => 0,
            1 => (u64::from(dice.next()) * self.mix.far) >> 32,
            _ => (u64::from(dice.next()) * contents.size) >> 32,
        };
        contents.truncate(size);
        self.remember(format!("truncate {inode} to {size}"));
        self.promises.changes(inode);
        let real = self.volume.truncate(inode, size);
        self.agree(real, Ok(()));
    }

    fn remove(&mut self, dice: &mut Dice) {
        let (at, name) = self.name(dice);
        let result = match self.model.entries(at).get(&name).copied() {
            None => Err(Error::NotFound),
            Some(inode) if self.model.is_directory(inode) => Err(Error::IsDirectory),
            Some(_) => Ok(()),
        };
        let real = self.volume.unlink(at, &name);
        self.remember(format!("unlink {at}/{name} {real:?}"));
        let Some(removed) = self.agree(real, result) else { return };
        let named = self.model.entries_mut(at).remove(&name);
        assert_eq!(named, Some(removed.inode));
        self.lost_name(removed.inode, removed.links, &(at, name), None, dice);
    }

    /// An inode has lost a name, to another inode or to none.
    fn lost_name(
        &mut self,
        inode: u32,
        links: u32,
        place: &Place,
        to: Option<u32>,
        dice: &mut Dice,
    ) {
        let gone = links == 0;
        if !self.model.is_directory(inode) {
            assert_eq!(self.model.names_of(inode).len() as u32, links);
        }
        match to {
            Some(new) => {
                let directory = self.model.is_directory(inode);
                self.promises.replaced(place, inode, new, gone, directory);
            }
            None => self.promises.unnamed(inode, place, gone),
        }
        if gone {
            let is_file = matches!(self.model.nodes[&inode], Node::File { .. });
            if is_file && dice.once_in(3) {
                self.remember("it stays open".to_string());
                self.open.push(inode);
            } else {
                self.volume.release(inode).unwrap();
                self.model.nodes.remove(&inode);
            }
        }
    }

    fn close(&mut self, dice: &mut Dice) {
        if self.open.is_empty() {
            return;
        }
        let inode = self.open.swap_remove(dice.below(self.open.len()));
        self.remember(format!("close {inode}"));
        self.compare(inode);
        self.volume.release(inode).unwrap();
        self.model.nodes.remove(&inode);
    }

    fn remove_directory(&mut self, dice: &mut Dice) {
        let (at, name) = self.name(dice);
        let result = match self.model.entries(at).get(&name).copied() {
            None => Err(Error::NotFound),
            Some(inode) if !self.model.is_directory(inode) => Err(Error::NotDirectory),
            Some(inode) if !self.model.entries(inode).is_empty() => Err(Error::NotEmpty),
            Some(_) => Ok(()),
        };
        let real = self.volume.remove_directory(at, &name);
        self.remember(format!("rmdir {at}/{name} {real:?}"));
        let Some(removed) = self.agree(real, result) else { return };
        self.model.entries_mut(at).remove(&name);
        self.model.nodes.remove(&removed.inode);
        self.promises.unnamed(removed.inode, &(at, name), true);
    }

    fn rename(&mut self, dice: &mut Dice) {
        let (from, from_name) = self.name(dice);
        let (to, to_name) = if dice.once_in(3) {
            self.name(dice)
        } else {
            (self.directory(dice), self.new_name(dice))
        };
        let replace = !dice.once_in(8);
        let source = self.model.entries(from).get(&from_name).copied();
        let target = self.model.entries(to).get(&to_name).copied();
        let directory = source.is_some_and(|inode| self.model.is_directory(inode));
        let onto = target.is_some_and(|inode| self.model.is_directory(inode));
        let result = match (source, target) {
            (None, _) => Err(Error::NotFound),
            (Some(_), Some(_)) if !replace => Err(Error::Exists),
            (Some(source), Some(target)) if source == target => Ok(()),
            (Some(_), Some(_)) if directory && !onto => Err(Error::NotDirectory),
            (Some(_), Some(_)) if !directory && onto => Err(Error::IsDirectory),
            (Some(_), Some(target)) if onto && !self.model.entries(target).is_empty() => {
                Err(Error::NotEmpty)
            }
            (Some(source), _) if directory && self.model.is_under(to, source) => {
                Err(Error::Invalid)
            }
            _ => Ok(()),
        };
        let real = self.volume.rename((from, &from_name), (to, &to_name), replace);
        self.remember(format!("rename {from}/{from_name} to {to}/{to_name} {real:?}"));
        let Some(renamed) = self.agree(real, result) else { return };
        assert_eq!(Some(renamed.inode), source);
        if source == target {
            return;
        }
        assert_eq!(renamed.replaced.map(|replaced| replaced.inode), target);
        self.model.entries_mut(from).remove(&from_name);
        self.model.entries_mut(to).insert(to_name.clone(), renamed.inode);
        self.promises.unnamed(renamed.inode, &(from, from_name), false);
        let place = (to, to_name);
        if let Some(replaced) = renamed.replaced {
            let (inode, links) = (replaced.inode, replaced.links);
            self.lost_name(inode, links, &place, Some(renamed.inode), dice);
        }
        self.promises.named(renamed.inode, &place);
    }

    fn exchange(&mut self, dice: &mut Dice) {
        let ((one, one_name), (other, other_name)) = (self.name(dice), self.name(dice));
        let first = self.model.entries(one).get(&one_name).copied();
        let second = self.model.entries(other).get(&other_name).copied();
        let result = match (first, second) {
            (None, _) | (_, None) => Err(Error::NotFound),
            (Some(first), Some(second)) if first == second => Ok(()),
            (Some(first), _) if self.model.is_under(other, first) => Err(Error::Invalid),
            (_, Some(second)) if self.model.is_under(one, second) => Err(Error::Invalid),
            _ => Ok(()),
        };
        if result.is_ok() && first != second {
            // While it is on its way, everything may be written back.
            for (inode, at, name) in [(first, one, &one_name), (second, other, &other_name)] {
                let Some(inode) = inode else { continue };
                self.promises.unnamed(inode, &(at, name.clone()), false);
                self.promises.named(inode, &(at, format!(".exchange-{inode}")));
            }
        }
        let real = self.volume.exchange((one, &one_name), (other, &other_name));
        self.remember(format!("exchange {one}/{one_name} and {other}/{other_name} {real:?}"));
        if self.agree(real, result).is_none() || first == second {
            return;
        }
        let (Some(first), Some(second)) = (first, second) else { return };
        self.model.entries_mut(one).insert(one_name.clone(), second);
        self.model.entries_mut(other).insert(other_name.clone(), first);
        self.promises.named(first, &(other, other_name));
        self.promises.named(second, &(one, one_name));
    }

    fn link(&mut self, dice: &mut Dice) {
        let (at, name) = self.name(dice);
        let Some(inode) = self.model.entries(at).get(&name).copied() else { return };
        let (to, to_name) = (self.directory(dice), self.new_name(dice));
        let is_directory = self.model.is_directory(inode);
        let result = match self.model.entries(to).get(&to_name) {
            _ if is_directory => Err(Error::IsDirectory),
            Some(_) => Err(Error::Exists),
            None => Ok(()),
        };
        let real = self.volume.link(inode, to, &to_name);
        self.remember(format!("link {inode} {to}/{to_name} {real:?}"));
        if self.agree(real, result).is_some() {
            self.model.entries_mut(to).insert(to_name.clone(), inode);
            self.promises.named(inode, &(to, to_name));
        }
    }

    fn fsync(&mut self, dice: &mut Dice) {
        let all: Vec<u32> = self.model.nodes.keys().copied().collect();
        let inode = *dice.pick(&all).unwrap();
        self.remember(format!("fsync {inode}"));
        self.volume.fsync(inode);
        self.promises.synced(&self.model, inode);
        self.remember(format!("fsync {inode} has returned"));
    }

    fn sync(&mut self) {
        self.remember("sync".into());
        self.volume.sync();
        self.promises.replaced.clear();
        for inode in self.model.nodes.keys() {
            self.promises.synced(&self.model, *inode);
        }
        self.remember("sync has returned".into());
    }

    /// The flusher does a part of its work.
    fn flush_some(&mut self, dice: &mut Dice) {
        if self.mix.sync == 0 {
            return;
        }
        self.remember("flush".into());
        if !self.volume.step() {
            return;
        }
        self.volume.begin(ext2::Scope::All);
        for _ in 0..dice.below(3) {
            self.volume.step();
        }
    }

    // Comparing.

    /// Compares an inode with what it should be.
    fn compare(&self, inode: u32) {
        let fs = &self.volume.fs;
        let real = fs.inode(inode).unwrap();
        let log = || self.log.join("\n");
        match &self.model.nodes[&inode] {
            Node::File { contents } => {
                assert_eq!(real.kind, FileKind::Regular);
                assert_eq!(real.size, contents.size);
                assert!(
                    self.volume.read_sparse(inode).unwrap() == *contents,
                    "inode {inode}\n{}",
                    log()
                );
            }
            Node::Directory { entries } => {
                assert_eq!(real.kind, FileKind::Directory);
                let found = self.volume.list(inode).unwrap();
                let found: BTreeMap<String, u32> = found
                    .into_iter()
                    .map(|(name, inode)| (String::from_utf8(name).unwrap(), inode))
                    // What an exchange leaves until the next batch.
                    .filter(|(name, _)| !name.starts_with(".exchange-"))
                    .collect();
                assert_eq!(found, *entries, "{}", log());
                let directories = entries.values().filter(|it| self.model.is_directory(**it));
                assert_eq!(real.links as usize, 2 + directories.count());
            }
            Node::Symlink { target } => {
                fs.read_link(inode, |found| assert_eq!(found, target.as_bytes())).unwrap();
            }
            Node::Device { device } => assert_eq!(real.device, Some(*device)),
        }
        if !self.model.is_directory(inode) {
            assert_eq!(real.links as usize, self.model.names_of(inode).len());
        }
    }

    /// Compares everything.
    pub(crate) fn compare_all(&self) {
        self.model.nodes.keys().for_each(|inode| self.compare(*inode));
    }

    /// Unmounts, has e2fsck look, mounts again and compares.
    pub(crate) fn remount(mut self) -> Self {
        for inode in std::mem::take(&mut self.open) {
            self.model.nodes.remove(&inode);
        }
        let Self { volume, model, mix, log, .. } = self;
        let image = volume.unmount();
        let (said, _) = crate::tools::e2fsck(&image, "-fn");
        assert_eq!(said.status, 0, "{}\n{}", said.output, log.join("\n"));
        let again = Self { model, log, ..Self::new(image, mix) };
        again.compare_all();
        again
    }
}
