//! Which blocks of the disk a file has: [`Ext2::map`].

use core::ops::{ControlFlow, Range};

use zerocopy::little_endian::U32;

use super::tree::{self, entries, locate};
use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::layout::inode::{FileKind, POINTERS, RawInode};
use crate::storage::Storage;

/// Blocks of a file that lie one behind the other on the disk, or a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first block of the file.
    pub first: u32,
    /// The block of the disk that it is; `None`: a hole, which reads as zeros.
    pub start: Option<u32>,
    /// How many blocks, at least 1.
    pub count: u32,
}

/// Why no more is mapped.
enum End {
    /// Whoever asked has heard enough.
    Enough,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Joins what belongs together, and hands it on.
struct Runs<F> {
    each: F,
    first: u32,
    /// 0 for a hole.
    start: u32,
    count: u32,
}

impl<F: FnMut(Run) -> Result<(), End>> Runs<F> {
    /// Adds blocks behind those before.
    fn push(&mut self, start: u32, count: u32) -> Result<(), End> {
        let goes_on =
            if self.start == 0 { start == 0 } else { start == self.start.wrapping_add(self.count) };
        if self.count > 0 && !goes_on {
            self.flush()?;
        }
        if self.count == 0 {
            self.start = start;
        }
        self.count += count;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), End> {
        if self.count > 0 {
            let start = Some(self.start).filter(|start| *start != 0);
            (self.each)(Run { first: self.first, start, count: self.count })?;
            self.first += self.count;
            self.count = 0;
        }
        Ok(())
    }

    /// Adds what these pointers point to.
    fn push_all(&mut self, pointers: &[U32]) -> Result<(), End> {
        pointers.iter().try_for_each(|pointer| self.push(pointer.get(), 1))
    }
}

impl<S: Storage> Ext2<S> {
    /// Whether the pointers of an inode lead to blocks.
    pub(crate) fn has_blocks(&self, raw: &RawInode) -> bool {
        match raw.kind() {
            Some(FileKind::Regular | FileKind::Directory) => true,
            Some(FileKind::Symlink) => !self.is_fast_symlink(raw),
            _ => false,
        }
    }

    /// Tells which blocks of the disk the blocks `blocks` of a file are, run by run from the
    /// first to the last; holes are runs too. Each indirect block is looked at once.
    ///
    /// What is behind the end of the file may be mapped too, if it was allocated. `each` must
    /// not come back to the file system or the store.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the inode is no file, directory or long symbolic link; damage; a
    /// failure of the device. Runs that come before are told.
    pub fn map(
        &self,
        inode: u32,
        blocks: Range<u32>,
        mut each: impl FnMut(Run),
    ) -> Result<(), Error> {
        let raw = self.raw_inode(inode)?;
        if !self.has_blocks(&raw) {
            return Err(Error::Invalid);
        }
        self.map_pointers(inode, &raw.pointers, blocks, |run| {
            each(run);
            ControlFlow::Continue(())
        })
    }

    /// As [`map`](Self::map), for the pointers of an inode; `each` can end it.
    pub(crate) fn map_pointers(
        &self,
        inode: u32,
        pointers: &[U32; POINTERS],
        blocks: Range<u32>,
        each: impl FnMut(Run) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match self.map_until(inode, pointers, blocks, each) {
            Ok(()) | Err(End::Enough) => Ok(()),
            Err(End::Failed(error)) => Err(error),
        }
    }

    fn map_until(
        &self,
        inode: u32,
        pointers: &[U32; POINTERS],
        blocks: Range<u32>,
        mut each: impl FnMut(Run) -> ControlFlow<()>,
    ) -> Result<(), End> {
        if blocks.is_empty() {
            return Ok(());
        }
        let checked = |run: Run| {
            if let Some(start) = run.start
                && !self.groups.is_file_run(&self.geometry, start, run.count)
            {
                return Err(Place::Block { inode, block: start }.is(Damage::BadBlock).into());
            }
            if each(run).is_break() { Err(End::Enough) } else { Ok(()) }
        };
        let mut runs = Runs { each: checked, first: blocks.start, start: 0, count: 0 };
        let per_block = self.geometry.pointers();
        let mut at = blocks.start;
        while at < blocks.end {
            let left = blocks.end - at;
            let Some(place) = locate(per_block, at.into()) else {
                runs.push(0, left)?;
                break;
            };
            let count = if place.depth == 0 {
                let here =
                    pointers.get(place.slot..crate::layout::inode::DIRECT).unwrap_or_default();
                let here = here.get(..left as usize).unwrap_or(here);
                runs.push_all(here)?;
                here.len() as u32
            } else {
                let root = pointers.get(place.slot).map_or(0, |pointer| pointer.get());
                self.map_tree(inode, root, place, left, &mut runs)?
            };
            // Some were mapped: there are always pointers left in a place.
            at += count.max(1);
        }
        runs.flush()
    }

    /// Maps what one leaf of a tree, or one hole, says of up to `left` blocks from a place on;
    /// returns how many these are.
    fn map_tree<F: FnMut(Run) -> Result<(), End>>(
        &self,
        inode: u32,
        root: u32,
        place: tree::Place,
        left: u32,
        runs: &mut Runs<F>,
    ) -> Result<u32, End> {
        let per_block = self.geometry.pointers();
        let mut block = root;
        for level in (1..=place.depth).rev() {
            if block == 0 {
                let span = tree::span(per_block, level);
                let count = (span - place.offset % span).min(left.into()) as u32;
                runs.push(0, count)?;
                return Ok(count);
            }
            self.check_pointer(inode, block)?;
            let index = place.index(per_block, level);
            if level == 1 {
                return self.read_block(block, |bytes| {
                    let here = entries(bytes).get(index..).unwrap_or_default();
                    let here = here.get(..left as usize).unwrap_or(here);
                    runs.push_all(here)?;
                    Ok(here.len() as u32)
                })?;
            }
            block = self.read_pointer(block, index)?;
        }
        Ok(0)
    }

    /// A pointer of an indirect block.
    pub(crate) fn read_pointer(&self, block: u32, index: usize) -> Result<u32, Error> {
        self.read_block(block, |bytes| entries(bytes).get(index).map_or(0, |entry| entry.get()))
    }

    /// An error unless a pointer can be one to a block of a file.
    pub(crate) fn check_pointer(&self, inode: u32, block: u32) -> Result<(), Error> {
        if self.groups.is_file_run(&self.geometry, block, 1) {
            Ok(())
        } else {
            Err(Place::Block { inode, block }.is(Damage::BadBlock))
        }
    }

    /// The first run of blocks of a file in a range, which is not empty.
    pub(crate) fn first_run(
        &self,
        inode: u32,
        pointers: &[U32; POINTERS],
        blocks: Range<u32>,
    ) -> Result<Run, Error> {
        let mut first = Run { first: blocks.start, start: None, count: 1 };
        self.map_pointers(inode, pointers, blocks, |run| {
            first = run;
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// The block of the disk that one block of a file is; 0 for a hole.
    pub(crate) fn map_one(
        &self,
        inode: u32,
        pointers: &[U32; POINTERS],
        block: u32,
    ) -> Result<u32, Error> {
        let Some(end) = block.checked_add(1) else { return Ok(0) };
        Ok(self.first_run(inode, pointers, block..end)?.start.unwrap_or(0))
    }
}
