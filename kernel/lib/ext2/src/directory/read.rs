//! The entries of a directory one after the other: [`Ext2::read_directory`].

use core::ops::ControlFlow;

use super::entry::BadEntry;
use crate::error::Error;
use crate::fs::Ext2;
use crate::layout::inode::FileKind;
use crate::storage::Storage;

/// An entry as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// The inode.
    pub inode: u32,
    /// What it is, if the entry says it.
    pub kind: Option<FileKind>,
    /// The name.
    pub name: &'a [u8],
    /// The cursor behind this entry.
    pub next: u64,
}

impl<S: Storage> Ext2<S> {
    /// Tells the entries of a directory from a cursor on, `.` and `..` too, until `each`
    /// breaks. Returns the cursor to go on with: that of the entry at which it broke, which
    /// has not been taken, or the end. The first cursor is 0.
    ///
    /// A cursor stays good whatever is done with the directory: entries that are there all
    /// the time are told once. `each` must not come back to the file system or the store.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]; damage; a failure of the device. What comes before it has been
    /// told.
    pub fn read_directory(
        &self,
        directory: u32,
        cursor: u64,
        mut each: impl FnMut(&DirectoryEntry<'_>) -> ControlFlow<()>,
    ) -> Result<u64, Error> {
        let directory = self.directory(directory)?;
        let format = self.entry_format();
        let block_size = self.geometry.block_size as u64;
        let end = u64::from(directory.blocks) * block_size;
        if cursor >= end {
            return Ok(cursor);
        }
        let first = (cursor / block_size) as u32;
        let stopped = self.find_block(&directory, first, |index, block| {
            let start = u64::from(index) * block_size;
            let told = self.read_block(block, |bytes| {
                for entry in format.entries(bytes) {
                    let entry = entry?;
                    let here = start + entry.offset as u64;
                    // Where entries begin may have changed since the cursor was told.
                    if entry.inode == 0 || here < cursor {
                        continue;
                    }
                    let told = DirectoryEntry {
                        inode: entry.inode,
                        kind: FileKind::of_directory_code(entry.kind),
                        name: entry.name,
                        next: here + entry.length as u64,
                    };
                    if each(&told).is_break() {
                        return Ok(Some(here));
                    }
                }
                Ok(None)
            })?;
            told.map_err(|bad: BadEntry| self.bad_entry(directory.inode, index, bad.offset))
        })?;
        Ok(stopped.unwrap_or(end))
    }
}
