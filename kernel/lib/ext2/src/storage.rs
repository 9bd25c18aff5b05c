//! What the engine stands on: [`Storage`], a cache of the blocks of metadata.
//!
//! The engine reads and changes metadata in memory, and says what is to be written when
//! ([`Batch`](crate::Batch)); the store keeps the bytes. File data never come this way.

use crate::error::Error;

/// Why a store cannot do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// The device failed to read the block, or has no such block.
    Device,
    /// There is no memory to keep the block in.
    NoMemory,
}

/// A cache of blocks of metadata over a device.
///
/// A block that was given out by [`modify`](Self::modify) or [`fresh`](Self::fresh) is dirty:
/// it must stay in memory, and must not be written on the store's own account, until the
/// engine calls [`settle`](Self::settle) or [`forget`](Self::forget). All else may be dropped
/// from memory at any time.
///
/// The functions that are passed in are short and never come back to the store or to the
/// engine, so a lock may be held around them.
pub trait Storage {
    /// The bytes of a block as they were at one time; see [`freeze`](Self::freeze).
    type Frozen;

    /// Bytes of a block: 1024, 2048 or 4096, as the superblock says
    /// ([`probe`](crate::probe)).
    fn block_size(&self) -> usize;

    /// How many blocks the device has.
    fn blocks(&self) -> u64;

    /// Lets `look` see the bytes of a block, which are read from the device if need be.
    ///
    /// # Errors
    /// If they cannot be read or kept.
    fn read<R>(&self, block: u32, look: impl FnOnce(&[u8]) -> R) -> Result<R, StorageError>;

    /// Lets `change` change the bytes of a block, which are read from the device if need be.
    ///
    /// # Errors
    /// If they cannot be read or kept; `change` has not been called then.
    fn modify<R>(
        &mut self,
        block: u32,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError>;

    /// Lets `fill` write into a block of zeros, whatever is on the device.
    ///
    /// # Errors
    /// If it cannot be kept; `fill` has not been called then.
    fn fresh<R>(
        &mut self,
        block: u32,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, StorageError>;

    /// The bytes of a dirty block as they are now, to be written; later changes must not show
    /// in them. A copy will do, or a reference that the next `modify` copies first.
    ///
    /// # Errors
    /// If there is no memory.
    fn freeze(&mut self, block: u32) -> Result<Self::Frozen, StorageError>;

    /// The block is on the device as it is in memory: it may be dropped.
    fn settle(&mut self, block: u32);

    /// The block is no longer one of metadata: it must be dropped, and what was changed in it
    /// be forgotten. It may become a block of file data or of metadata later.
    fn forget(&mut self, block: u32);
}

impl StorageError {
    /// The error for a block.
    pub(crate) fn at(self, block: u32) -> Error {
        match self {
            Self::Device => Error::Device { block },
            Self::NoMemory => Error::NoMemory,
        }
    }
}
