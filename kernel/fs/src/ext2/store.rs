//! [`Store`]: the blocks of metadata of a file system that are in memory.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arrayvec::ArrayVec;
use base::sync::SpinLock;
use device::block::Volume;
use ext2::{Storage, StorageError};
use memory::frames::{self, check_user_may_allocate};

/// Part of the memory that clean blocks may take at most.
const PART: usize = 8;
/// Blocks that are let go at a time.
const BATCH: usize = 64;

struct Kept {
    /// Shared with whoever looks at it, or writes it.
    bytes: Arc<Vec<u8>>,
    is_dirty: bool,
}

#[derive(Default)]
struct Blocks {
    kept: BTreeMap<u32, Kept>,
    dirty: usize,
    /// Where to look next for blocks to let go.
    hand: u32,
}

/// The blocks, and where they come from. Reading one that is not in memory sleeps.
pub(super) struct Store {
    volume: Arc<Volume>,
    block_size: usize,
    blocks: SpinLock<Blocks>,
    /// Most clean blocks that are kept.
    most: usize,
}

fn no_memory<E>(_: E) -> StorageError {
    StorageError::NoMemory
}

impl Store {
    pub(super) fn new(volume: Arc<Volume>, block_size: usize) -> Self {
        let most = (frames::total() / PART * 4096 / block_size).max(BATCH);
        let blocks = SpinLock::new("blocks of ext2", Blocks::default());
        Self { volume, block_size, blocks, most }
    }

    /// Lets clean blocks go if there are too many.
    fn trim(&self) {
        let clean = {
            let blocks = self.blocks.lock();
            blocks.kept.len() - blocks.dirty
        };
        if clean > self.most {
            self.drop_some(BATCH);
        }
    }

    /// Lets up to `wanted` clean blocks go that nobody looks at; how many bytes those were.
    pub(super) fn drop_some(&self, wanted: usize) -> usize {
        let (mut dropped, mut left) = (0, self.blocks.lock().kept.len());
        while dropped < wanted && left > 0 {
            let mut gone: ArrayVec<Kept, BATCH> = ArrayVec::new();
            let mut unused: ArrayVec<u32, BATCH> = ArrayVec::new();
            let mut blocks = self.blocks.lock();
            let (mut last, mut looks) = (None, 0);
            for (block, kept) in blocks.kept.range(blocks.hand..).take(BATCH.min(wanted - dropped))
            {
                (last, looks) = (Some(*block), looks + 1);
                if !kept.is_dirty && Arc::strong_count(&kept.bytes) == 1 {
                    unused.push(*block);
                }
            }
            blocks.hand = last.map_or(0, |last| last.wrapping_add(1));
            for block in unused {
                gone.extend(blocks.kept.remove(&block));
            }
            drop(blocks);
            dropped += gone.len();
            // At the end it begins anew; that is one look, too.
            left = left.saturating_sub(looks.max(1));
        }
        dropped * self.block_size
    }

    fn empty(&self) -> Result<Vec<u8>, StorageError> {
        check_user_may_allocate().map_err(no_memory)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.block_size).map_err(no_memory)?;
        bytes.resize(self.block_size, 0);
        Ok(bytes)
    }

    /// A block, from the disk if it is not in memory.
    fn get(&self, block: u32) -> Result<Arc<Vec<u8>>, StorageError> {
        if let Some(kept) = self.blocks.lock().kept.get(&block) {
            return Ok(kept.bytes.clone());
        }
        if u64::from(block) >= self.blocks() {
            return Err(StorageError::Device);
        }
        let mut bytes = self.empty()?;
        let offset = u64::from(block) * self.block_size as u64;
        self.volume.read_at(offset, &mut bytes).map_err(|error| {
            log::error!("{}: block {block} of ext2: {error}", self.volume.name());
            StorageError::Device
        })?;
        let bytes = Arc::new(bytes);
        self.trim();
        // Somebody else may have been faster, and have changed it since.
        let mut blocks = self.blocks.lock();
        let kept = blocks.kept.entry(block).or_insert(Kept { bytes, is_dirty: false });
        Ok(kept.bytes.clone())
    }

    /// Changes a block that is in memory; a copy of it if somebody has it as it was.
    fn change<R>(
        &mut self,
        block: u32,
        mut bytes: Arc<Vec<u8>>,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError> {
        let blocks = self.blocks.get_mut();
        // The table's reference, so that ours may be the only one.
        let was_dirty = blocks.kept.get(&block).is_some_and(|kept| kept.is_dirty);
        let result = {
            let kept = blocks.kept.remove(&block);
            drop(kept);
            match Arc::get_mut(&mut bytes) {
                Some(own) => change(own),
                None => {
                    let mut copy = Vec::new();
                    if copy.try_reserve_exact(bytes.len()).is_err() {
                        blocks.kept.insert(block, Kept { bytes, is_dirty: was_dirty });
                        return Err(StorageError::NoMemory);
                    }
                    copy.extend_from_slice(&bytes);
                    let result = change(&mut copy);
                    bytes = Arc::new(copy);
                    result
                }
            }
        };
        blocks.dirty += usize::from(!was_dirty);
        blocks.kept.insert(block, Kept { bytes, is_dirty: true });
        Ok(result)
    }
}

impl Storage for Store {
    type Frozen = Arc<Vec<u8>>;

    fn block_size(&self) -> usize {
        self.block_size
    }

    fn blocks(&self) -> u64 {
        self.volume.bytes() / self.block_size as u64
    }

    fn read<R>(&self, block: u32, look: impl FnOnce(&[u8]) -> R) -> Result<R, StorageError> {
        Ok(look(&self.get(block)?))
    }

    fn modify<R>(
        &mut self,
        block: u32,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError> {
        let bytes = self.get(block)?;
        self.change(block, bytes, change)
    }

    fn fresh<R>(
        &mut self,
        block: u32,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError> {
        let bytes = Arc::new(self.empty()?);
        self.change(block, bytes, fill)
    }

    fn freeze(&mut self, block: u32) -> Result<Self::Frozen, StorageError> {
        self.get(block)
    }

    fn settle(&mut self, block: u32) {
        let blocks = self.blocks.get_mut();
        if let Some(kept) = blocks.kept.get_mut(&block)
            && kept.is_dirty
        {
            kept.is_dirty = false;
            blocks.dirty -= 1;
        }
    }

    fn forget(&mut self, block: u32) {
        let blocks = self.blocks.get_mut();
        if let Some(kept) = blocks.kept.remove(&block)
            && kept.is_dirty
        {
            blocks.dirty -= 1;
        }
    }
}
