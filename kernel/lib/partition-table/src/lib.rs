//! Floor 0: what partitions a disk has.
//!
//! [`read`] looks at the blocks of a disk ([`Disk`]) and finds a [`Table`]: a GUID partition
//! table (`gpt.rs`; UEFI specification 2.10, chapter 5) or a master boot record with primary and
//! logical partitions (`mbr.rs`). A disk may hold anything: what makes no sense is refused, with
//! the reason ([`Fault`]), and the rest is used. No two partitions of a table overlap, and all lie
//! on the disk, for what is written to one must not be part of another.
//!
//! All numbers are in logical blocks of the disk, 512 to 4096 bytes.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod bytes;
mod fault;
mod gpt;
mod kind;
mod mbr;
mod table;
#[cfg(test)]
mod tests;

pub use fault::{Error, Fault, Refusal};
pub use kind::Kind;
pub use table::{Partition, Scheme, Table};
pub use uguid::Guid;

use alloc::vec::Vec;

/// Smallest and largest block that is supported, in bytes.
const BLOCK_BYTES: core::ops::RangeInclusive<u32> = 512..=4096;

/// A disk whose blocks can be read.
pub trait Disk {
    /// Why a block cannot be read.
    type Error;

    /// Bytes of a block: a power of two from 512 to 4096.
    fn block_bytes(&self) -> u32;

    /// How many blocks there are.
    fn blocks(&self) -> u64;

    /// Reads the blocks from `first` on to `to`, as many as fill it: whole ones, all on the disk.
    ///
    /// # Errors
    /// What the disk says.
    fn read(&mut self, first: u64, to: &mut [u8]) -> Result<(), Self::Error>;
}

/// Finds the table of a disk; `None` if it has none.
///
/// # Errors
/// As [`Error`] says. What is wrong with a table is no error: see [`Table::faults`].
pub fn read<D: Disk>(disk: &mut D) -> Result<Option<Table>, Error<D::Error>> {
    let bytes = disk.block_bytes();
    if !BLOCK_BYTES.contains(&bytes) || !bytes.is_power_of_two() {
        return Err(Error::BlockSize(bytes));
    }
    if disk.blocks() == 0 {
        return Ok(None);
    }
    let first = blocks(disk, 0, 1)?;
    let Some(records) = mbr::records(&first) else { return Ok(None) };
    if mbr::is_protective(&records) { gpt::read(disk).map(Some) } else { mbr::read(disk, &records) }
}

/// Reads `count` blocks from `first` on, if they are on the disk.
fn blocks<D: Disk>(disk: &mut D, first: u64, count: u64) -> Result<Vec<u8>, Error<D::Error>> {
    let bytes = count.checked_mul(u64::from(disk.block_bytes()));
    let is_there = first.checked_add(count).is_some_and(|end| end <= disk.blocks());
    let bytes = bytes.filter(|_| is_there).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.ok_or(Error::NoMemory)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(bytes).map_err(|_| Error::NoMemory)?;
    buffer.resize(bytes, 0);
    disk.read(first, &mut buffer).map_err(Error::Read)?;
    Ok(buffer)
}
