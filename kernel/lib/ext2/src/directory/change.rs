//! Entries come and go: [`Ext2::insert_entry`], [`Ext2::remove_entry`],
//! [`Ext2::replace_entry`].
//!
//! The block with the entry must have been touched before ([`Ext2::touch_entries`]): then none
//! of these fails for lack of memory or of the device.

use super::entry::{head, write};
use super::index::hash;
use super::lookup::{Directory, Slot};
use super::room::Room;
use crate::error::Error;
use crate::fs::Ext2;
use crate::layout::dirent::needed;
use crate::layout::inode::{FileKind, InodeFlags};
use crate::order::BlockKind;
use crate::storage::Storage;

/// What an entry is to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) inode: u32,
    pub(crate) kind: FileKind,
}

impl<S: Storage> Ext2<S> {
    /// What an entry says that an inode is.
    fn kind_code(&self, kind: FileKind) -> u8 {
        if self.entry_format().kinds { kind.directory_code() } else { 0 }
    }

    /// Makes sure that the entries of a block can be changed without failing until it is
    /// written. The directory's index of hashes, if it has one, is given up: it would not
    /// agree with the entries.
    pub(crate) fn touch_entries(&mut self, directory: &Directory, block: u32) -> Result<(), Error> {
        if directory.raw.flags().contains(InodeFlags::INDEX) {
            self.change_inode(directory.inode, |raw, _| {
                raw.flags = raw.flags().difference(InodeFlags::INDEX).bits().into();
            })?;
        }
        self.change_file_block(block, BlockKind::Directory, directory.inode, |_| ())
    }

    /// Puts an entry where there is room.
    pub(crate) fn insert_entry(
        &mut self,
        directory: u32,
        room: &Room,
        entry: &NewEntry<'_>,
    ) -> Result<(), Error> {
        let kind = self.kind_code(entry.kind);
        let (offset, giver) = (room.offset as usize, room.giver as usize);
        let given = offset.saturating_sub(giver);
        let written =
            self.change_file_block(room.block, BlockKind::Directory, directory, |bytes| {
                let Some(raw) = head(bytes, giver) else { return false };
                let Some(length) = usize::from(raw.length.get()).checked_sub(given) else {
                    return false;
                };
                if given > 0 {
                    raw.length = (given as u16).into();
                }
                write(bytes, offset, length, entry.inode, kind, entry.name)
            })?;
        if !written {
            return Err(self.bad_entry(directory, room.index, offset));
        }
        self.indices.insert(directory, room.index, entry.name);
        self.measure_room(directory, room.index, room.block);
        Ok(())
    }

    /// Removes an entry; the one before it in the block gets its bytes.
    pub(crate) fn remove_entry(&mut self, directory: u32, slot: &Slot) -> Result<(), Error> {
        let format = self.entry_format();
        let offset = slot.offset as usize;
        let removed =
            self.change_file_block(slot.block, BlockKind::Directory, directory, |bytes| {
                let mut entries = format.entries(bytes).map_while(Result::ok);
                let mut before = None;
                let name = entries.find_map(|entry| {
                    if entry.offset == offset {
                        return Some(hash(entry.name));
                    }
                    before = Some((entry.offset, entry.length - entry.needed()));
                    None
                })?;
                let raw = head(bytes, offset)?;
                raw.inode = 0.into();
                let length = raw.length.get();
                let mut room = usize::from(length);
                if let Some((before, spare)) = before
                    && let Some(raw) = head(bytes, before)
                {
                    raw.length = raw.length.get().saturating_add(length).into();
                    room += spare;
                }
                Some((name, room))
            })?;
        if let Some((name, room)) = removed {
            self.indices.remove(directory, slot.index, name);
            // All other room in the block is as it was.
            self.indices.raise_room(directory, slot.index, room);
        }
        Ok(())
    }

    /// Makes an entry stand for another inode.
    pub(crate) fn replace_entry(
        &mut self,
        directory: u32,
        slot: &Slot,
        inode: u32,
        kind: FileKind,
    ) -> Result<(), Error> {
        let kind = self.kind_code(kind);
        let offset = slot.offset as usize;
        self.change_file_block(slot.block, BlockKind::Directory, directory, |bytes| {
            if let Some(raw) = head(bytes, offset) {
                raw.inode = inode.into();
                raw.kind = kind;
            }
        })
    }

    /// Fills the first block of a new directory: `.` and `..`.
    pub(crate) fn fill_dots(&mut self, inode: u32, block: u32, parent: u32) -> Result<(), Error> {
        let kind = self.kind_code(FileKind::Directory);
        let length = self.geometry.block_size;
        let dot = needed(1);
        self.fill_fresh_block(block, BlockKind::Directory, inode, |bytes| {
            write(bytes, 0, dot, inode, kind, b".");
            write(bytes, dot, length - dot, parent, kind, b"..");
        })
    }
}
