//! [`PortMemory`]: what a port reads and writes in memory: the list of commands, their tables,
//! and what the device sends (AHCI 1.3.1, section 4).

use core::sync::atomic::{Ordering, fence};

use ata::{Command, CommandHeader, TRIM_BYTES, descriptor, trim_ranges};
use memory::OutOfMemory;
use memory::dma::{DmaPool, SharedDma};

use super::registers::PortRegisters;

/// Pieces of memory of a command.
pub(super) const SEGMENTS: usize = 128;
/// Bytes of a command's table, which begins at a multiple of 128.
const TABLE_BYTES: usize = CommandHeader::DESCRIPTORS + 16 * SEGMENTS;
const LIST_BYTES: usize = CommandHeader::BYTES * CommandHeader::COUNT;
const RECEIVED_BYTES: usize = 256;
/// Bytes of a page for answers about the device and ranges of a trim.
const PAGE_BYTES: usize = 512;

const _: () = assert!(TABLE_BYTES.is_multiple_of(128) && PAGE_BYTES >= TRIM_BYTES);

static ANYWHERE: DmaPool = DmaPool::new();
static LOW: DmaPool = DmaPool::below(1 << 32);

/// The memory of a port.
pub(super) struct PortMemory {
    list: SharedDma,
    received: SharedDma,
    tables: SharedDma,
    page: SharedDma,
}

impl PortMemory {
    /// Memory for `slots` commands, below 4 GiB unless the controller has addresses of 64 bits.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(slots: usize, is_64_bits: bool) -> Result<Self, OutOfMemory> {
        let pool = if is_64_bits { &ANYWHERE } else { &LOW };
        Ok(Self {
            list: pool.allocate_shared(LIST_BYTES)?,
            received: pool.allocate_shared(RECEIVED_BYTES)?,
            tables: pool.allocate_shared(slots * TABLE_BYTES)?,
            page: pool.allocate_shared(PAGE_BYTES)?,
        })
    }

    /// Tells the port where it is. The port is stopped.
    pub(super) fn tell(&self, registers: &PortRegisters) {
        let (list, received) = (self.list.address().as_u64(), self.received.address().as_u64());
        registers.command_list.write(list as u32);
        registers.command_list_high.write((list >> 32) as u32);
        registers.received.write(received as u32);
        registers.received_high.write((received >> 32) as u32);
    }

    /// The page, and how much of it.
    pub(super) fn page(&self) -> (u64, u32) {
        (self.page.address().as_u64(), PAGE_BYTES as u32)
    }

    /// What is in the page.
    pub(super) fn page_bytes(&self) -> [u8; PAGE_BYTES] {
        let mut bytes = [0; PAGE_BYTES];
        for (offset, word) in (0..).step_by(8).zip(bytes.as_chunks_mut::<8>().0) {
            *word = self.page.load64(offset).to_le_bytes();
        }
        bytes
    }

    /// Puts the ranges of a trim into the page.
    pub(super) fn set_trim(&self, lba: u64, blocks: u32) {
        for (offset, range) in (0..).step_by(8).zip(trim_ranges(lba, blocks)) {
            self.page.store64(offset, range);
        }
    }

    /// Writes a command into slot `slot`, with the memory for its data: address and bytes of
    /// each piece, [`SEGMENTS`] at most.
    pub(super) fn set(
        &self,
        slot: usize,
        command: &Command,
        segments: impl Iterator<Item = (u64, u32)>,
    ) {
        let table = slot * TABLE_BYTES;
        for (offset, word) in (table..).step_by(4).zip(command.frame()) {
            self.tables.store32(offset, word);
        }
        let mut count = 0;
        for (address, bytes) in segments.take(SEGMENTS) {
            let start = table + CommandHeader::DESCRIPTORS + 16 * usize::from(count);
            for (offset, word) in (start..).step_by(4).zip(descriptor(address, bytes)) {
                self.tables.store32(offset, word);
            }
            count += 1;
        }
        let header = CommandHeader {
            writes: command.writes(),
            descriptors: count,
            table: self.tables.address().as_u64() + table as u64,
        };
        let start = slot * CommandHeader::BYTES;
        for (offset, word) in (start..).step_by(4).zip(header.words()) {
            self.list.store32(offset, word);
        }
    }

    /// All that was stored is in memory before what follows.
    pub(super) fn publish(&self) {
        fence(Ordering::Release);
    }
}
