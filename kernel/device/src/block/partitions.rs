//! The partitions of a disk as volumes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::disk::Disk;
use super::error::BlockError;
use super::registry::{self, ClaimError};

/// Why the partitions of a disk stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RescanError {
    /// The disk or a partition is in use, or gone.
    Claim(ClaimError),
    /// The table cannot be read.
    Read(BlockError),
}

impl fmt::Display for RescanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(error) => error.fmt(f),
            Self::Read(error) => write!(f, "the partition table cannot be read: {error}"),
        }
    }
}

impl core::error::Error for RescanError {}

impl From<RescanError> for abi::Errno {
    fn from(error: RescanError) -> Self {
        match error {
            RescanError::Claim(error) => error.into(),
            RescanError::Read(error) => error.into(),
        }
    }
}

impl From<ClaimError> for RescanError {
    fn from(error: ClaimError) -> Self {
        Self::Claim(error)
    }
}

/// Reads a disk's table of partitions, and makes volumes of them instead of those that were
/// there (`BLKRRPART` of Linux). How many there are. May sleep.
///
/// # Errors
/// As [`RescanError`] says.
pub fn rescan(disk: &Arc<Disk>) -> Result<usize, RescanError> {
    let _scan = disk.scan.lock();
    Ok(registry::replace_partitions(disk, Vec::new())?)
}
