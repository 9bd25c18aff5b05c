//! What is dirty goes to the disk: [`Ext2::begin`], [`Batch`], [`Ext2::finish`].

use alloc::vec::Vec;

use crate::error::Error;
use crate::fs::Ext2;
use crate::layout::superblock::STATE_VALID;
use crate::layout::time::Timestamp;
use crate::mount::ReadOnly;
use crate::order::{BlockKind, Order};
use crate::storage::Storage;

/// What a batch is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that is dirty.
    All,
    /// What this inode needs, so that after a cut of the power it is there as it is now, under
    /// its name: for fsync. Of a directory: its entries.
    Inode(u32),
}

/// A block to be written.
#[derive(Clone, Debug)]
pub struct Write<F> {
    /// Which.
    pub block: u32,
    /// What it holds.
    pub kind: BlockKind,
    /// The bytes as they were when the batch began.
    pub bytes: F,
}

/// Blocks that are to be written, in which order.
#[must_use = "what is in it is not dirty any more: give it back to `finish`"]
pub struct Batch<F> {
    phases: Vec<Vec<Write<F>>>,
    data: Vec<u32>,
    taken: Order,
    all: bool,
    /// Orphans that waited for these blocks.
    orphans: Vec<u32>,
    /// Whether the superblock is among them, and whether it says that all is well.
    superblock: Option<bool>,
}

impl<F> Batch<F> {
    /// Files with blocks that were allocated and that this batch makes the disk point to:
    /// their dirty data must be written together with the first phase.
    pub fn data(&self) -> &[u32] {
        &self.data
    }

    /// The blocks in phases. Those of a phase may be written in any order; when they are
    /// written, and with the first phase the data, the device must be flushed before the next
    /// begins, and once more after the last. A phase can be empty.
    pub fn phases(&self) -> &[Vec<Write<F>>] {
        &self.phases
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }
}

impl<S: Storage> Ext2<S> {
    /// How many blocks of metadata are dirty.
    pub fn dirty_blocks(&self) -> usize {
        self.order.dirty_blocks()
    }

    /// Whether a batch of everything would do nothing: nothing is dirty, and no space waits to
    /// become free.
    pub fn is_settled(&self) -> bool {
        self.order.is_clean()
            && self.held.is_empty()
            && !self.state.superblock_dirty
            && !self.state.batch
            && !self.has_deferred_work()
            && !self.has_dirty_groups()
    }

    fn has_dirty_groups(&self) -> bool {
        self.groups.iter().any(|(_, group)| group.dirty)
    }

    /// The files with blocks that were allocated and that a batch for this inode
    /// ([`Scope::Inode`]) would make the disk point to.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; a failure of the device.
    pub fn data_of(&self, inode: u32) -> Result<Vec<u32>, Error> {
        let closure = self.order.closure(inode, self.home(inode))?;
        self.order.data_of(&closure.blocks)
    }

    /// Takes what is to be written: a snapshot, which stays as it is while the file system is
    /// changed further. Then write the data and the phases
    /// ([`Batch::data`], [`Batch::phases`]) without the lock around the file system, and give
    /// the batch to [`finish`](Self::finish). Only one batch can be on its way.
    ///
    /// fsync must wait for a batch that is on its way, then begin its own, and have the device
    /// flushed in any case: what the file needs may be in the batch before.
    ///
    /// # Errors
    /// [`Error::BatchPending`]; [`Error::NoMemory`]; a failure of the device. Nothing has been
    /// taken then.
    pub fn begin(&mut self, scope: Scope, now: Timestamp) -> Result<Batch<S::Frozen>, Error> {
        if self.state.batch {
            return Err(Error::BatchPending);
        }
        match scope {
            Scope::All => {
                self.age_spare_name();
                let in_use = !self.order.is_clean() || self.has_dirty_groups();
                self.store_counters(now, in_use)?;
                let blocks = self.order.all()?;
                let (levels, data) = self.arrange(&blocks)?;
                let mut batch = self.freeze(&blocks, &levels, data)?;
                batch.taken = self.order.take_all();
                batch.all = true;
                self.held.close();
                self.state.batch = true;
                Ok(batch)
            }
            Scope::Inode(inode) => {
                self.look_at_inode(inode, |_, _| ())?;
                let home = self.home(inode);
                let mut closure = self.order.closure(inode, home)?;
                let superblock = self.superblock_block();
                if !closure.blocks.is_empty() && self.state.clean_on_disk {
                    self.store_counters(now, true)?;
                    if let Err(index) = closure.blocks.binary_search(&superblock) {
                        closure.blocks.insert(index, superblock);
                    }
                }
                let (levels, data) = self.arrange(&closure.blocks)?;
                let mut batch = self.freeze(&closure.blocks, &levels, data)?;
                batch.taken = self.order.take(inode, &closure)?;
                self.state.batch = true;
                Ok(batch)
            }
        }
    }

    /// The phase of each block, and the files whose data go first.
    fn arrange(&self, blocks: &[u32]) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let data = self.order.data_of(blocks)?;
        let mut levels = self.order.levels(blocks, &data)?;
        // The disk says that the file system is in use before anything else changes on it.
        let superblock = blocks.binary_search(&self.superblock_block());
        if let Ok(index) = superblock
            && self.state.clean_on_disk
            && blocks.len() > 1
        {
            levels.iter_mut().for_each(|level| *level += 1);
            if let Some(level) = levels.get_mut(index) {
                *level = 0;
            }
        }
        Ok((levels, data))
    }

    /// Freezes blocks for a batch.
    fn freeze(
        &mut self,
        blocks: &[u32],
        levels: &[u32],
        data: Vec<u32>,
    ) -> Result<Batch<S::Frozen>, Error> {
        let count = levels.iter().max().map_or(0, |last| *last as usize + 1);
        let mut phases = Vec::new();
        phases.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
        for level in 0..count {
            let mut phase = Vec::new();
            let here = levels.iter().filter(|it| **it as usize == level).count();
            phase.try_reserve_exact(here).map_err(|_| Error::NoMemory)?;
            phases.push(phase);
        }
        let mut superblock = None;
        for (block, level) in blocks.iter().zip(levels) {
            let Some(kind) = self.order.kind(*block) else { continue };
            if kind == BlockKind::Superblock {
                superblock = Some(self.superblock.state.get() & STATE_VALID != 0);
            }
            let bytes = self.storage.freeze(*block).map_err(|error| error.at(*block))?;
            if let Some(phase) = phases.get_mut(*level as usize) {
                phase.push(Write { block: *block, kind, bytes });
            }
        }
        let orphans = self.orphans_waiting_for(blocks)?;
        let taken = Order::new(0);
        Ok(Batch { phases, data, taken, all: false, orphans, superblock })
    }

    /// Takes a batch back after it was written, or after a write or flush failed: then all of
    /// it is dirty again.
    ///
    /// After a batch of everything, space that was freed before it began can be used. What a
    /// rename replaced is deleted now, so that there may be something to write again.
    pub fn finish(&mut self, batch: Batch<S::Frozen>, written: bool) {
        self.state.batch = false;
        if !written {
            // Which superblock the disk has is not known.
            self.state.clean_on_disk |= batch.superblock == Some(true);
            let restored = self.order.restore(batch.taken);
            let held = if batch.all { self.held.reopen() } else { Ok(()) };
            if restored.and(held).is_err() {
                // There is no memory to know what is dirty: nothing more may change.
                self.state.read_only = Some(ReadOnly::Damaged);
            }
            return;
        }
        if let Some(clean) = batch.superblock {
            self.state.clean_on_disk = clean;
        }
        for write in batch.phases.iter().flatten() {
            if !self.order.is_dirty(write.block) {
                self.storage.settle(write.block);
            }
        }
        if batch.all {
            self.held.release(&mut self.groups);
        }
        self.orphans_may_go(&batch.orphans);
        self.delete_released();
    }
}
