//! From newc cpio archives to files.

use alloc::collections::BTreeMap;

use abi::fcntl::{O_CREAT, O_EXCL, O_NOFOLLOW, O_TRUNC, O_WRONLY};
use abi::stat::{S_IFDIR, S_IFMT};
use abi::{Errno, Result};
use cpio::{Archive, Entry, LinkKey};

use crate::buffer::Source;
use crate::credentials::Credentials;
use crate::status::{DeviceNumber, Kind, Time};
use crate::vfs::{
    LastLink, Path, TimeChange, link, lookup, make, make_symlink, open, remove_directory, unlink,
};

const ROOT: Credentials = Credentials::ROOT;

/// What was found in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Inodes, directories included.
    pub inodes: usize,
    /// Bytes of contents.
    pub bytes: u64,
    /// Entries that could not be placed, each with a log line.
    pub skipped: usize,
}

/// Unpacks the archives in `bytes` into the directory `root`. An archive that is damaged gives
/// what comes before the damage, and an entry that cannot be placed is left out, each with a log
/// line.
///
/// # Errors
/// `ENOMEM` if there is no memory for all of it, `ENOSPC` if there is no room.
pub(super) fn unpack(root: &Path, bytes: &[u8]) -> Result<Contents> {
    let mut unpacking = Unpacking::new(root);
    for entry in Archive::new(bytes).entries() {
        match entry {
            Ok(entry) => unpacking.add(&entry)?,
            Err(error) => {
                log::error!("initramfs: {error}; the files before it are there");
                break;
            }
        }
    }
    unpacking.set_times();
    Ok(unpacking.contents)
}

/// An archive on its way into a directory.
pub(super) struct Unpacking<'a> {
    root: &'a Path,
    /// The first name of a file with several.
    links: BTreeMap<LinkKey, Path>,
    /// Directories and the times that they have when all is in them.
    times: alloc::vec::Vec<(Path, Time)>,
    pub(super) contents: Contents,
}

impl<'a> Unpacking<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        let contents = Contents { inodes: 1, ..Contents::default() };
        Self { root, links: BTreeMap::new(), times: alloc::vec::Vec::new(), contents }
    }

    /// Places an entry.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`: no more can be placed.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        match self.place(entry) {
            Err(error @ (Errno::ENOMEM | Errno::ENOSPC)) => Err(error),
            Err(error) => {
                let why = error.description();
                log::warn!("initramfs: {} left out: {why}", entry.name.escape_ascii());
                self.contents.skipped += 1;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn place(&mut self, entry: &Entry<'_>) -> Result<()> {
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(Errno::EINVAL);
        }
        // What is in the way of another kind goes away.
        let known = match lookup(&ROOT, self.root, relative(entry.path), LastLink::Keep) {
            Ok(known) => Some(known),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        let kind = Kind::of_mode(entry.mode & S_IFMT);
        let path = relative(entry.path);
        match &known {
            Some(known) if known.kind() == kind && kind == Kind::Directory => {}
            Some(known) if known.kind() == kind && kind == Kind::Regular => {}
            Some(known) if known.is_directory() => remove_directory(&ROOT, self.root, path)?,
            Some(_) => unlink(&ROOT, self.root, path)?,
            None => self.make_parents(path)?,
        }
        let known = known.filter(|known| !known.is_gone());
        let linked = entry.link_key().filter(|_| kind != Kind::Directory);
        let placed = match linked.as_ref().and_then(|key| self.links.get(key).cloned()) {
            Some(first) if known.as_ref().is_some_and(|known| same_file(known, &first)) => first,
            Some(first) => {
                if known.is_some() {
                    unlink(&ROOT, self.root, path)?;
                }
                link(&ROOT, &first, self.root, path)?;
                first
            }
            None => {
                self.contents.inodes += usize::from(known.is_none());
                self.make(entry, kind, path)?
            }
        };
        // The contents of a file with several names come with one of them.
        if kind == Kind::Regular && (linked.is_none() || !entry.data.is_empty()) {
            let file = open(&ROOT, self.root, path, O_WRONLY | O_TRUNC | O_NOFOLLOW, 0)?;
            let mut rest = Source::Kernel(entry.data);
            while !rest.is_empty() {
                file.write(&mut rest)?;
            }
        }
        self.contents.bytes += entry.data.len() as u64;
        self.describe(&placed, entry)?;
        if let Some(key) = linked {
            self.links.entry(key).or_insert(placed);
        }
        Ok(())
    }

    /// Makes the directories that a path leads through and that are not there.
    fn make_parents(&mut self, path: &[u8]) -> Result<()> {
        for (at, _) in path.iter().enumerate().filter(|&(at, &byte)| at > 0 && byte == b'/') {
            let (parent, _) = path.split_at_checked(at).unwrap_or_default();
            match make(&ROOT, self.root, parent, S_IFDIR | 0o755, DeviceNumber::default()) {
                Ok(_) => self.contents.inodes += 1,
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The file of an entry, new or as it is there already.
    fn make(&self, entry: &Entry<'_>, kind: Kind, path: &[u8]) -> Result<Path> {
        let device = DeviceNumber { major: entry.rdev.0, minor: entry.rdev.1 };
        let made = match kind {
            Kind::Symlink => make_symlink(&ROOT, self.root, path, entry.data).map(|_| ()),
            Kind::Regular => {
                let flags = O_WRONLY | O_CREAT | O_EXCL;
                open(&ROOT, self.root, path, flags, 0o600).map(|_| ())
            }
            _ => make(&ROOT, self.root, path, entry.mode, device).map(|_| ()),
        };
        match made {
            Ok(()) | Err(Errno::EEXIST) => lookup(&ROOT, self.root, path, LastLink::Keep),
            Err(error) => Err(error),
        }
    }

    /// Takes over what the entry says of the file.
    fn describe(&mut self, file: &Path, entry: &Entry<'_>) -> Result<()> {
        file.change_owner(&ROOT, Some(entry.uid), Some(entry.gid))?;
        if file.kind() != Kind::Symlink {
            file.change_mode(&ROOT, entry.mode)?;
        }
        let time = Time::of_seconds(entry.mtime.into());
        if file.is_directory() {
            self.times.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.times.push((file.clone(), time));
            return Ok(());
        }
        file.change_times(&ROOT, TimeChange::To(time), TimeChange::To(time))
    }

    /// Sets the times of directories, which change with what is put into them.
    fn set_times(&mut self) {
        for (directory, time) in self.times.drain(..) {
            // One that is gone by now has none.
            let _ = directory.change_times(&ROOT, TimeChange::To(time), TimeChange::To(time));
        }
    }
}

/// A path from the root of the archive on.
fn relative(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    match path.get(start..) {
        Some(path) if !path.is_empty() => path,
        _ => b".",
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    one.status().inode == other.status().inode
}
