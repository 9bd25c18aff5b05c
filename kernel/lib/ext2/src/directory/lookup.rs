//! Names are looked for: [`Ext2::lookup`], [`Ext2::parent`].

use super::entry::{Entry, Format};
use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::layout::dirent::NAME_MAX;
use crate::layout::inode::{FileKind, RawInode};
use crate::storage::Storage;

/// How many blocks of a directory are mapped at a time.
const MAPPED: u32 = 128;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The inode.
    pub inode: u32,
    /// What it is, as the entry says; `None` if entries of this file system do not say it.
    pub kind: Option<FileKind>,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Which block of the directory.
    pub(crate) index: u32,
    /// The block of the disk.
    pub(crate) block: u32,
    /// Bytes from the start of the block.
    pub(crate) offset: u32,
    /// The inode that the entry has.
    pub(crate) inode: u32,
    /// What it says that the inode is.
    pub(crate) kind: u8,
}

/// A directory that is looked at.
#[derive(Clone)]
pub(crate) struct Directory {
    pub(crate) inode: u32,
    pub(crate) raw: RawInode,
    /// How many blocks it has.
    pub(crate) blocks: u32,
}

/// Whether a name can be one, other than `.` and `..`, which are there always.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Error> {
    match name {
        b"" | b"." | b".." => Err(Error::Invalid),
        _ if name.len() > NAME_MAX => Err(Error::NameTooLong),
        _ if name.iter().any(|byte| matches!(byte, 0 | b'/')) => Err(Error::Invalid),
        _ => Ok(()),
    }
}

impl<S: Storage> Ext2<S> {
    /// How entries are here.
    pub(crate) fn entry_format(&self) -> Format {
        Format::of(&self.geometry)
    }

    /// Looks at a directory, which may have been removed while it was open.
    pub(crate) fn directory(&self, inode: u32) -> Result<Directory, Error> {
        let raw = self.raw_inode(inode)?;
        if raw.kind() != Some(FileKind::Directory) {
            return Err(Error::NotDirectory);
        }
        let (size, block_size) = (raw.size(), self.geometry.block_size as u64);
        let blocks = size / block_size;
        if !size.is_multiple_of(block_size) || blocks > self.geometry.blocks.into() {
            return Err(Place::Inode(inode).is(Damage::BadDirectorySize));
        }
        Ok(Directory { inode, raw, blocks: blocks as u32 })
    }

    /// Looks at a directory that is to be changed: one that has a name.
    pub(crate) fn live_directory(&self, inode: u32) -> Result<Directory, Error> {
        let directory = self.directory(inode)?;
        if self.orphans.contains_key(&inode) { Err(Error::NotFound) } else { Ok(directory) }
    }

    /// Goes through the blocks of a directory from block `first` on: `each` gets which block
    /// it is, and the block of the disk, until it returns something.
    pub(crate) fn find_block<R>(
        &self,
        directory: &Directory,
        first: u32,
        mut each: impl FnMut(u32, u32) -> Result<Option<R>, Error>,
    ) -> Result<Option<R>, Error> {
        let mut index = first;
        while index < directory.blocks {
            let end = directory.blocks.min(index.saturating_add(MAPPED));
            let run = self.first_run(directory.inode, &directory.raw.pointers, index..end)?;
            let Some(start) = run.start else {
                let offset = u64::from(index) * self.geometry.block_size as u64;
                let place = Place::Entry { directory: directory.inode, offset };
                return Err(place.is(Damage::DirectoryHole));
            };
            for step in 0..run.count {
                if let Some(found) = each(index + step, start + step)? {
                    return Ok(Some(found));
                }
            }
            index += run.count;
        }
        Ok(None)
    }

    /// The error for an entry that makes no sense.
    pub(crate) fn bad_entry(&self, directory: u32, index: u32, offset: usize) -> Error {
        let offset = u64::from(index) * self.geometry.block_size as u64 + offset as u64;
        Place::Entry { directory, offset }.is(Damage::BadEntry)
    }

    /// Looks for an entry in one block.
    pub(crate) fn find_entry<R>(
        &self,
        directory: u32,
        (index, block): (u32, u32),
        mut each: impl FnMut(&Entry<'_>) -> Option<R>,
    ) -> Result<Option<R>, Error> {
        let format = self.entry_format();
        let found = self.read_block(block, |bytes| {
            for entry in format.entries(bytes) {
                if let Some(found) = each(&entry?) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })?;
        found.map_err(|bad: super::entry::BadEntry| self.bad_entry(directory, index, bad.offset))
    }

    /// Where a name is in a directory.
    pub(crate) fn find_name(
        &self,
        directory: &Directory,
        name: &[u8],
    ) -> Result<Option<Slot>, Error> {
        if let Some(found) = self.find_name_by_index(directory, name) {
            return found;
        }
        self.find_block(directory, 0, |index, block| {
            self.find_name_in(directory.inode, (index, block), name)
        })
    }

    /// Where a name is in one block.
    pub(super) fn find_name_in(
        &self,
        directory: u32,
        (index, block): (u32, u32),
        name: &[u8],
    ) -> Result<Option<Slot>, Error> {
        self.find_entry(directory, (index, block), |entry| {
            (entry.name == name && entry.inode != 0).then_some(Slot {
                index,
                block,
                offset: entry.offset as u32,
                inode: entry.inode,
                kind: entry.kind,
            })
        })
    }

    /// An error unless an entry can name this inode.
    pub(crate) fn check_named(&self, directory: u32, slot: &Slot) -> Result<(), Error> {
        if self.geometry.is_file_inode(slot.inode) {
            return Ok(());
        }
        let start = u64::from(slot.index) * self.geometry.block_size as u64;
        let offset = start + u64::from(slot.offset);
        Err(Place::Entry { directory, offset }.is(Damage::BadInodeNumber))
    }

    /// Looks for a name in a directory; `.` and `..` are names too.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]; [`Error::NameTooLong`]; damage; a failure of the device.
    pub fn lookup(&self, directory: u32, name: &[u8]) -> Result<Option<Found>, Error> {
        let directory = self.directory(directory)?;
        if name.len() > NAME_MAX {
            return Err(Error::NameTooLong);
        }
        let Some(slot) = self.find_name(&directory, name)? else { return Ok(None) };
        self.check_named(directory.inode, &slot)?;
        Ok(Some(Found { inode: slot.inode, kind: FileKind::of_directory_code(slot.kind) }))
    }

    /// The directory that a directory is in; the root is in itself.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup); it has none: that is damage.
    pub fn parent(&self, directory: u32) -> Result<u32, Error> {
        let slot = self.dots(&self.directory(directory)?)?;
        self.check_named(directory, &slot)?;
        Ok(slot.inode)
    }

    /// Where `..` is: behind `.` in the first block, and nowhere else.
    pub(crate) fn dots(&self, directory: &Directory) -> Result<Slot, Error> {
        let no_dots = Place::Inode(directory.inode).is(Damage::NoDots);
        let block = self.map_one(directory.inode, &directory.raw.pointers, 0)?;
        if block == 0 || directory.blocks == 0 {
            return Err(no_dots);
        }
        let mut seen = 0;
        let found = self.find_entry(directory.inode, (0, block), |entry| {
            seen += 1;
            let dots: &[u8] = if seen == 1 { b"." } else { b".." };
            match (seen, entry.name == dots && entry.inode != 0) {
                (1, true) => None,
                (2, true) => Some(Some(Slot {
                    index: 0,
                    block,
                    offset: entry.offset as u32,
                    inode: entry.inode,
                    kind: entry.kind,
                })),
                _ => Some(None),
            }
        })?;
        found.flatten().ok_or(no_dots)
    }

    /// Whether a directory has no entries but `.` and `..`.
    pub(crate) fn is_empty_directory(&self, directory: &Directory) -> Result<bool, Error> {
        let entry = self.find_block(directory, 0, |index, block| {
            self.find_entry(directory.inode, (index, block), |entry| {
                (entry.inode != 0 && !matches!(entry.name, b"." | b"..")).then_some(())
            })
        })?;
        Ok(entry.is_none())
    }
}
