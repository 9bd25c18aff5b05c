//! Names and room found by an index: [`Ext2::index_directory`].

use super::index::{Index, hash};
use super::lookup::{Directory, Slot};
use super::room::Room;
use crate::error::Error;
use crate::fs::Ext2;
use crate::layout::dirent::needed;
use crate::storage::Storage;

/// Directories of so many blocks and more get an index.
const MANY: u32 = 4;

impl<S: Storage> Ext2<S> {
    /// Makes an index of a directory in memory, if it has many blocks and has none yet: names
    /// are looked for faster then. What changes names does so by itself; what only looks for
    /// names, in a directory that has not changed lately, can call this before.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup). Lack of memory is none: then there is no index.
    pub fn index_directory(&mut self, directory: u32) -> Result<(), Error> {
        let directory = self.directory(directory)?;
        self.make_index(&directory)
    }

    /// Drops all indices in memory, for the memory is needed.
    pub fn drop_indices(&mut self) {
        self.indices.drop_all();
    }

    pub(crate) fn make_index(&mut self, directory: &Directory) -> Result<(), Error> {
        if directory.blocks < MANY || self.indices.touch(directory.inode) {
            return Ok(());
        }
        let mut index = Index::new(directory.inode);
        let mut enough = true;
        self.find_block(directory, 0, |number, block| {
            let mut room = 0;
            self.find_entry(directory.inode, (number, block), |entry| {
                room = room.max(entry.length - entry.needed());
                enough = enough && (entry.inode == 0 || index.add(hash(entry.name), number));
                (!enough).then_some(())
            })?;
            enough = enough && index.set_room(number, room);
            Ok((!enough).then_some(()))
        })?;
        if enough {
            self.indices.keep(index);
        }
        Ok(())
    }

    /// Where a name is; `None` if the directory has no index.
    pub(super) fn find_name_by_index(
        &self,
        directory: &Directory,
        name: &[u8],
    ) -> Option<Result<Option<Slot>, Error>> {
        let index = self.indices.of(directory.inode)?;
        for number in index.blocks_with(hash(name)) {
            let pointers = &directory.raw.pointers;
            let found = self
                .map_one(directory.inode, pointers, number)
                .and_then(|block| self.find_name_in(directory.inode, (number, block), name));
            if !matches!(found, Ok(None)) {
                return Some(found);
            }
        }
        Some(Ok(None))
    }

    /// As [`find_room`](Self::find_room), by the index; `None` if there is none.
    pub(super) fn find_room_by_index(
        &self,
        directory: &Directory,
        name: &[u8],
    ) -> Result<Option<Result<Option<Room>, Error>>, Error> {
        let Some(found) = self.find_name_by_index(directory, name) else { return Ok(None) };
        if found?.is_some() {
            return Ok(Some(Err(Error::Exists)));
        }
        let need = needed(name.len());
        let index = self.indices.of(directory.inode);
        let Some(number) = index.and_then(|index| index.block_with_room(need)) else {
            return Ok(Some(Ok(None)));
        };
        let block = self.map_one(directory.inode, &directory.raw.pointers, number)?;
        Ok(Some(self.room_in((directory.inode, number, block), need)))
    }

    /// Tells the index, if there is one, how much room a block has after a change.
    pub(super) fn measure_room(&mut self, directory: u32, number: u32, block: u32) {
        if self.indices.of(directory).is_none() {
            return;
        }
        let mut room = 0;
        let looked = self.find_entry(directory, (number, block), |entry| {
            room = room.max(entry.length - entry.needed());
            None::<()>
        });
        if looked.is_ok() {
            self.indices.set_room(directory, number, room);
        } else {
            self.indices.drop_one(directory);
        }
    }
}
