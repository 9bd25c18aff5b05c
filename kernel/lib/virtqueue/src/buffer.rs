//! What is handed to the device: a [`Buffer`], and the descriptor that says so in memory
//! (VirtIO 1.2, section 2.7.5).

use crate::RingMemory;

/// Bytes of a descriptor: `addr` (64 bits), `len` (32), `flags` (16), `next` (16).
pub const DESCRIPTOR_BYTES: usize = 16;

/// The chain goes on in the descriptor `next`.
const NEXT: u16 = 1;
/// The device writes the buffer, else it reads it.
const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
const INDIRECT: u16 = 4;

/// What the device may do with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Readable,
    /// Write to it.
    Writable,
}

/// A piece of memory for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Where it is, as the device counts: a physical address.
    pub address: u64,
    /// How many bytes; not 0.
    pub bytes: u32,
    /// What the device may do.
    pub access: Access,
}

impl Buffer {
    /// `bytes` bytes at `address` that the device reads.
    pub const fn readable(address: u64, bytes: u32) -> Self {
        Self { address, bytes, access: Access::Readable }
    }

    /// `bytes` bytes at `address` that the device writes.
    pub const fn writable(address: u64, bytes: u32) -> Self {
        Self { address, bytes, access: Access::Writable }
    }

    /// Bytes that the device may write.
    pub(crate) const fn room(&self) -> u32 {
        match self.access {
            Access::Readable => 0,
            Access::Writable => self.bytes,
        }
    }
}

/// Writes descriptor `index` of the table at the start of `table`.
pub(crate) fn write(table: &impl RingMemory, index: usize, buffer: Buffer, next: Option<u16>) {
    let access = match buffer.access {
        Access::Readable => 0,
        Access::Writable => WRITE,
    };
    let flags = access | if next.is_some() { NEXT } else { 0 };
    store(table, index, buffer.address, buffer.bytes, flags, next.unwrap_or(0));
}

/// Writes descriptor `index`, which stands for the `count` descriptors of an indirect table.
pub(crate) fn write_indirect(table: &impl RingMemory, index: usize, address: u64, count: u16) {
    store(table, index, address, u32::from(count) * DESCRIPTOR_BYTES as u32, INDIRECT, 0);
}

fn store(table: &impl RingMemory, index: usize, address: u64, bytes: u32, flags: u16, next: u16) {
    let word = u64::from(bytes) | u64::from(flags) << 32 | u64::from(next) << 48;
    table.store64_pair(index * DESCRIPTOR_BYTES, [address, word]);
}
