//! Where there is room for an entry: [`Ext2::find_room`], [`Ext2::make_room`].

use super::entry::write;
use super::lookup::Directory;
use crate::error::Error;
use crate::fs::Ext2;
use crate::layout::dirent::needed;
use crate::order::BlockKind;
use crate::storage::Storage;

/// A place for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Which block of the directory.
    pub(crate) index: u32,
    /// The block of the disk.
    pub(crate) block: u32,
    /// Bytes from the start of the block where the new entry will be.
    pub(crate) offset: u32,
    /// The entry that has room: it is not in use, or gives away what it does not need.
    pub(crate) giver: u32,
}

impl<S: Storage> Ext2<S> {
    /// Makes sure that a name is not in a directory, and finds room for it; `None` if there is
    /// none in the blocks that the directory has.
    pub(crate) fn find_room(
        &self,
        directory: &Directory,
        name: &[u8],
    ) -> Result<Option<Room>, Error> {
        if let Some(result) = self.find_room_by_index(directory, name)? {
            return result;
        }
        let need = needed(name.len());
        let mut room = None;
        let found = self.find_block(directory, 0, |index, block| {
            let found = self.find_entry(directory.inode, (index, block), |entry| {
                let spare = entry.length - entry.needed();
                if room.is_none() && spare >= need {
                    let offset = (entry.offset + entry.needed()) as u32;
                    room = Some(Room { index, block, offset, giver: entry.offset as u32 });
                }
                (entry.inode != 0 && entry.name == name).then_some(())
            })?;
            Ok(found)
        })?;
        if found.is_some() { Err(Error::Exists) } else { Ok(room) }
    }

    /// Room for a name in one block, if it is not in the directory.
    pub(crate) fn room_beside(
        &self,
        directory: &Directory,
        (index, block): (u32, u32),
        name: &[u8],
    ) -> Result<Option<Room>, Error> {
        if self.find_name(directory, name)?.is_some() {
            return Ok(None);
        }
        self.room_in((directory.inode, index, block), needed(name.len()))
    }

    /// Room for an entry of `need` bytes in one block of a directory.
    pub(super) fn room_in(
        &self,
        (directory, index, block): (u32, u32, u32),
        need: usize,
    ) -> Result<Option<Room>, Error> {
        self.find_entry(directory, (index, block), |entry| {
            let offset = (entry.offset + entry.needed()) as u32;
            (entry.length - entry.needed() >= need).then_some(Room {
                index,
                block,
                offset,
                giver: entry.offset as u32,
            })
        })
    }

    /// Gives a directory one more block, and returns the room in it.
    ///
    /// If the caller then does nothing with it, the directory has an empty block more, which
    /// is of no harm.
    pub(crate) fn make_room(
        &mut self,
        directory: &mut Directory,
        privileged: bool,
    ) -> Result<Room, Error> {
        let (inode, index) = (directory.inode, directory.blocks);
        let block_size = self.geometry.block_size as u64;
        let size = (u64::from(index) + 1) * block_size;
        if size > u64::from(i32::MAX.unsigned_abs()) || u64::from(index) >= self.max_blocks() {
            return Err(Error::NoSpace);
        }
        let placed = self.place_blocks(inode, &directory.raw, index, 1, privileged)?;
        if !placed.new {
            // A block behind the end of the directory.
            return Err(Self::bad_inode(inode));
        }
        // The inode has been changed just now: this does not fail.
        self.change_inode(inode, |raw, _| raw.set_size(size))?;
        *directory = self.directory(inode)?;
        self.indices.grow(inode, index, block_size as usize);
        Ok(Room { index, block: placed.start, offset: 0, giver: 0 })
    }

    /// Fills a fresh block of a directory with one entry that is not in use.
    pub(crate) fn fill_empty_entries(&mut self, inode: u32, block: u32) -> Result<(), Error> {
        let length = self.geometry.block_size;
        self.fill_fresh_block(block, BlockKind::Directory, inode, |bytes| {
            write(bytes, 0, length, 0, 0, b"");
        })
    }
}
