//! A file gets shorter: [`Ext2::truncate`].
//!
//! Blocks are given back from the last one to the first, an indirect block after what it
//! points to, and each time the pointer is cleared. So if the memory runs out midway, what is
//! left is a file with a hole at its end, and the truncation can be tried again. An indirect
//! block that is marked as free already is not gone into: so no tree, however its pointers run
//! in circles, is gone through twice.

use alloc::vec::Vec;

use zerocopy::little_endian::U32;

use super::tree::{entries, entries_mut, span};
use crate::error::{Damage, Error, Place};
use crate::fs::{Caller, Ext2};
use crate::layout::inode::{DIRECT, FileKind, POINTERS, Time, set_time};
use crate::order::BlockKind;
use crate::storage::Storage;

/// A truncation on its way.
struct Cut {
    inode: u32,
    /// How many blocks were given back, indirect ones counted.
    freed: u32,
    /// The indirect blocks that are being gone through, by level; 0 where there is none.
    path: [u32; 4],
    /// The data are metadata in the store: entries of a directory, or a target.
    in_store: bool,
    /// Room for the pointers of a block.
    pointers: Vec<U32>,
    /// The first thing that went wrong and did not stop it.
    trouble: Result<(), Error>,
}

impl Cut {
    /// Keeps what went wrong, but for lack of memory, which stops the truncation.
    fn survive(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::NoMemory) => Err(Error::NoMemory),
            other => {
                self.trouble = self.trouble.and(other);
                Ok(())
            }
        }
    }

    fn damage(&mut self, block: u32, damage: Damage) {
        let place = Place::Block { inode: self.inode, block };
        self.trouble = self.trouble.and(Err(place.is(damage)));
    }
}

/// The runs of neighbours among pointers, those that are 0 left out.
fn runs(pointers: &[U32]) -> impl Iterator<Item = (u32, u32)> {
    let follows = |a: &U32, b: &U32| a.get() != 0 && a.get().checked_add(1) == Some(b.get());
    pointers.chunk_by(follows).filter_map(|run| {
        let start = run.first().map_or(0, |first| first.get());
        (start != 0).then_some((start, run.len() as u32))
    })
}

impl<S: Storage> Ext2<S> {
    /// Sets the size of a file. If it gets shorter, all blocks behind the new end are given
    /// back, those too that were allocated behind the old one; they can be taken again when
    /// everything has been written back. Pages in memory behind the new end must be dropped
    /// before, and the rest of the block with the new end be zeroed and written.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`]; [`Error::Invalid`] if the inode is no regular file;
    /// [`Error::NoMemory`]: blocks at the end may have become a hole, and the size has not
    /// changed; [`Error::Corrupt`] and [`Error::Device`]: it is done, but blocks that could
    /// not be found are lost until e2fsck finds them.
    pub fn truncate(&mut self, inode: u32, size: u64, caller: &Caller) -> Result<(), Error> {
        self.check_writable()?;
        let raw = self.raw_inode(inode)?;
        if raw.kind() != Some(FileKind::Regular) {
            return Err(Error::Invalid);
        }
        let mut result = Ok(());
        if size > raw.size() {
            self.extend(inode, size)?;
        } else {
            let kept = size.div_ceil(self.geometry.block_size as u64);
            result = self.cut_blocks(inode, kept);
            if result == Err(Error::NoMemory) {
                return result;
            }
            if kept == 0 {
                self.order.expect_no_data(inode);
            }
        }
        self.change_inode(inode, |raw, mut extra| {
            raw.set_size(size);
            set_time(raw, extra.as_deref_mut(), Time::Modify, caller.now);
            set_time(raw, extra, Time::Change, caller.now);
        })?;
        result
    }

    /// Gives back all blocks of an inode from block `kept` on. The size stays.
    ///
    /// # Errors
    /// As [`truncate`](Self::truncate).
    pub(crate) fn cut_blocks(&mut self, inode: u32, kept: u64) -> Result<(), Error> {
        self.trim(inode);
        let mut pointers = Vec::new();
        let per_block = self.geometry.pointers();
        pointers.try_reserve_exact(per_block as usize).map_err(|_| Error::NoMemory)?;
        pointers.resize(per_block as usize, 0.into());
        self.touch_inode(inode)?;
        let (mut roots, kind) = self.look_at_inode(inode, |raw, _| (raw.pointers, raw.kind()))?;
        let in_store = kind != Some(FileKind::Regular);
        let mut cut = Cut { inode, freed: 0, path: [0; 4], in_store, pointers, trouble: Ok(()) };
        let stopped = self.cut_roots(&mut cut, &mut roots, kept);
        let sectors = cut.freed.saturating_mul(self.geometry.sectors());
        self.change_inode(inode, |raw, _| {
            raw.pointers = roots;
            raw.sectors = raw.sectors.get().saturating_sub(sectors).into();
        })?;
        stopped.and(cut.trouble)
    }

    /// Cuts the trees of an inode, the deepest first, and then its direct pointers.
    fn cut_roots(
        &mut self,
        cut: &mut Cut,
        roots: &mut [U32; POINTERS],
        kept: u64,
    ) -> Result<(), Error> {
        let per_block = self.geometry.pointers();
        for level in (1..=3).rev() {
            let Some(root) = roots.get_mut(DIRECT + level as usize - 1) else { continue };
            let before = DIRECT as u64 + (1..level).map(|l| span(per_block, l)).sum::<u64>();
            let kept = kept.saturating_sub(before);
            if root.get() != 0
                && kept < span(per_block, level)
                && self.cut_tree(cut, root.get(), level, kept)?
            {
                *root = 0.into();
            }
        }
        let direct = roots.get_mut(kept.min(DIRECT as u64) as usize..DIRECT).unwrap_or_default();
        self.free_pointers(cut, direct)?;
        direct.fill(0.into());
        Ok(())
    }

    /// Cuts the tree under an indirect block so that `kept` blocks of the file are left.
    /// Returns whether nothing is, so that the pointer to it must be cleared.
    fn cut_tree(
        &mut self,
        cut: &mut Cut,
        block: u32,
        level: u32,
        kept: u64,
    ) -> Result<bool, Error> {
        if self.check_pointer(cut.inode, block).is_err() {
            cut.damage(block, Damage::BadBlock);
            return Ok(true);
        }
        let taken = self.is_block_taken(block);
        if cut.path.contains(&block) || taken == Ok(false) {
            cut.damage(block, Damage::BlockLoop);
            return Ok(true);
        }
        // From here on changing it does not fail.
        let touched = taken
            .and_then(|_| self.change_file_block(block, BlockKind::Indirect, cut.inode, |_| ()));
        if touched.is_err() {
            // Without it, what it points to cannot be found.
            cut.survive(touched)?;
            return Ok(true);
        }
        if let Some(here) = cut.path.get_mut(level as usize) {
            *here = block;
        }
        let result = if level == 1 {
            self.cut_leaf(cut, block, kept as usize)
        } else {
            self.cut_branches(cut, block, level, kept)
        };
        if let Some(here) = cut.path.get_mut(level as usize) {
            *here = 0;
        }
        result?;
        let is_empty = |bytes: &[u8]| entries(bytes).iter().all(|entry| entry.get() == 0);
        if !self.read_block(block, is_empty)? {
            return Ok(false);
        }
        let prepared = self.prepare_free(block, 1);
        cut.survive(prepared)?;
        let freed = self.free_run(cut.inode, block, 1);
        cut.survive(freed)?;
        cut.freed += 1;
        self.forget_block(block);
        Ok(true)
    }

    /// Cuts what is under an indirect block of level 2 or 3.
    fn cut_branches(
        &mut self,
        cut: &mut Cut,
        block: u32,
        level: u32,
        kept: u64,
    ) -> Result<(), Error> {
        let below = span(self.geometry.pointers(), level - 1);
        let first = (kept / below) as usize;
        let mut end = self.geometry.pointers() as usize;
        loop {
            let last = |bytes: &[u8]| {
                let here = entries(bytes).get(first..end)?;
                let index = here.iter().rposition(|entry| entry.get() != 0)?;
                Some((first + index, here.get(index)?.get()))
            };
            let Some((index, child)) = self.read_block(block, last)? else { return Ok(()) };
            let kept = if index == first { kept % below } else { 0 };
            if self.cut_tree(cut, child, level - 1, kept)? {
                self.change_file_block(block, BlockKind::Indirect, cut.inode, |bytes| {
                    if let Some(entry) = entries_mut(bytes).get_mut(index) {
                        *entry = 0.into();
                    }
                })?;
            }
            end = index;
        }
    }

    /// Gives back what an indirect block of level 1 points to, from pointer `first` on.
    fn cut_leaf(&mut self, cut: &mut Cut, block: u32, first: usize) -> Result<(), Error> {
        let mut pointers = core::mem::take(&mut cut.pointers);
        self.read_block(block, |bytes| {
            for (to, from) in pointers.iter_mut().zip(entries(bytes)) {
                *to = *from;
            }
        })?;
        let freed = self.free_pointers(cut, pointers.get(first..).unwrap_or_default());
        cut.pointers = pointers;
        freed?;
        self.change_file_block(block, BlockKind::Indirect, cut.inode, |bytes| {
            entries_mut(bytes).get_mut(first..).unwrap_or_default().fill(0.into());
        })
    }

    /// Gives back blocks of data; all of them, or if the memory runs out none.
    fn free_pointers(&mut self, cut: &mut Cut, pointers: &[U32]) -> Result<(), Error> {
        for (start, count) in runs(pointers) {
            let prepared = self.prepare_free(start, count);
            cut.survive(prepared)?;
        }
        for (start, count) in runs(pointers) {
            if cut.in_store && self.groups.is_file_run(&self.geometry, start, count) {
                (start..start + count).for_each(|block| self.forget_owned(cut.inode, block));
            }
            let freed = self.free_run(cut.inode, start, count);
            if !matches!(freed, Err(Error::Corrupt(_))) {
                cut.freed = cut.freed.saturating_add(count);
            }
            cut.survive(freed)?;
        }
        Ok(())
    }

    /// Forgets a block of this inode that is in the store.
    fn forget_owned(&mut self, inode: u32, block: u32) {
        // On a damaged disk it may be another file's too.
        if self.order.owner(block).is_none_or(|owner| owner == inode) {
            self.forget_block(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_fall_into_runs() {
        let found = |pointers: &[u32]| {
            let pointers: Vec<U32> = pointers.iter().map(|block| (*block).into()).collect();
            runs(&pointers).collect::<Vec<_>>()
        };
        assert_eq!(found(&[0, 5, 6, 7, 0, 0, 9, 3, 4, 0]), [(5, 3), (9, 1), (3, 2)]);
        assert_eq!(found(&[0, 0]), []);
        assert_eq!(found(&[u32::MAX, 0, 1]), [(u32::MAX, 1), (1, 1)]);
    }
}
