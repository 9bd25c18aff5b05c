//! The partitions of a disk as volumes: the disk's table is read with [`partition_table`].

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use partition_table::{Error, Partition, Scheme, Table};

use super::disk::Disk;
use super::error::BlockError;
use super::registry::{self, Claim, ClaimError};
use super::volume::{Part, PartitionInfo, Volume};

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

/// A disk, as tables are read from it.
struct Reader(Arc<Volume>);

impl partition_table::Disk for Reader {
    type Error = BlockError;

    fn block_bytes(&self) -> u32 {
        self.0.limits().logical_block
    }

    fn blocks(&self) -> u64 {
        self.0.sectors() / self.0.limits().block_sectors()
    }

    fn read(&mut self, first: u64, to: &mut [u8]) -> Result<(), BlockError> {
        self.0.read_at(first * u64::from(self.block_bytes()), to)
    }
}

/// Reads a disk's table of partitions, and makes volumes of them instead of those that were
/// there (`BLKRRPART` of Linux). How many there are. May sleep.
///
/// # Errors
/// As [`RescanError`] says. What is wrong within a table is no error: the log tells of it.
pub fn rescan(disk: &Arc<Disk>) -> Result<usize, RescanError> {
    look_up(disk, None)
}

/// As [`rescan`], for whoever has the whole disk for himself.
///
/// # Errors
/// As [`rescan`].
pub fn rescan_held(claim: &Claim) -> Result<usize, RescanError> {
    look_up(claim.disk(), Some(claim))
}

fn look_up(disk: &Arc<Disk>, claim: Option<&Claim>) -> Result<usize, RescanError> {
    let _scan = disk.scan.lock();
    let whole = registry::whole(disk).ok_or(ClaimError::Gone)?;
    let table = partition_table::read(&mut Reader(whole)).map_err(|error| match error {
        Error::Read(error) => RescanError::Read(error),
        Error::BlockSize(_) => RescanError::Read(BlockError::NotSupported),
        Error::NoMemory => RescanError::Read(BlockError::NoMemory),
    })?;
    if let Some(table) = &table {
        table.faults.iter().for_each(|fault| log::warn!("{}: {fault}", disk.name()));
    }
    let sectors = disk.limits().block_sectors();
    let parts = table.iter().flat_map(|table| table.partitions.iter().map(move |it| (table, it)));
    let parts: Vec<Part> = parts.map(|(table, it)| part(table, it, sectors)).collect();
    Ok(registry::replace_partitions(disk, parts, claim)?)
}

/// A partition in sectors, of a disk whose blocks have `sectors` of them.
fn part(table: &Table, partition: &Partition, sectors: u64) -> Part {
    let uuid = match (table.scheme, partition.guid) {
        (_, Some(guid)) => guid.to_string(),
        (Scheme::Mbr(signature), None) => format!("{signature:08x}-{:02x}", partition.number),
        (Scheme::Gpt(_), None) => String::new(),
    };
    let info = PartitionInfo {
        number: partition.number,
        kind: partition.kind.to_string(),
        label: partition.label.clone(),
        uuid,
    };
    // The whole disk has less than 2^64 bytes.
    Part::new(partition.first * sectors, partition.blocks * sectors, info)
}
