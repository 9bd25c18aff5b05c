//! The other side: memory that both sides reach, and a device that does as the specification
//! says, written from the device's sections and sharing no code with the driver's side.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed, Ordering::SeqCst, fence};

use crate::{Access, Buffer, Layout, Queueing, RingMemory};

/// Shared memory. An offset that is beyond it, or not aligned, is a panic.
#[derive(Clone)]
pub(super) struct Memory(Arc<[AtomicU16]>);

impl Memory {
    /// Filled with what is no good queue.
    pub(super) fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(2)).map(|_| AtomicU16::new(0xdead)).collect())
    }

    pub(super) fn for_queue(layout: &Layout) -> Self {
        Self::new(layout.bytes())
    }

    fn load64(&self, offset: usize) -> u64 {
        u64::from(self.load32(offset)) | u64::from(self.load32(offset + 4)) << 32
    }

    pub(super) fn store32(&self, offset: usize, value: u32) {
        self.store16(offset, value as u16);
        self.store16(offset + 2, (value >> 16) as u16);
    }
}

impl RingMemory for Memory {
    fn len(&self) -> usize {
        self.0.len() * 2
    }

    fn load16(&self, offset: usize) -> u16 {
        assert!(offset.is_multiple_of(2));
        self.0[offset / 2].load(Relaxed)
    }

    fn load32(&self, offset: usize) -> u32 {
        assert!(offset.is_multiple_of(4));
        u32::from(self.load16(offset)) | u32::from(self.load16(offset + 2)) << 16
    }

    fn store16(&self, offset: usize, value: u16) {
        assert!(offset.is_multiple_of(2));
        self.0[offset / 2].store(value, Relaxed);
    }

    fn store64(&self, offset: usize, value: u64) {
        assert!(offset.is_multiple_of(8));
        self.store32(offset, value as u32);
        self.store32(offset + 4, (value >> 32) as u32);
    }
}

/// A chain as the device reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) head: u16,
    pub(super) buffers: Vec<Buffer>,
}

impl Taken {
    /// What tells chains apart in these tests.
    pub(super) fn address(&self) -> u64 {
        self.buffers[0].address
    }

    pub(super) fn room(&self) -> u32 {
        let writable = self.buffers.iter().filter(|buffer| buffer.access == Access::Writable);
        writable.map(|buffer| buffer.bytes).sum()
    }
}

pub(super) struct Device {
    pub(super) memory: Memory,
    pub(super) layout: Layout,
    queueing: Queueing,
    /// Indirect tables by their addresses.
    pub(super) tables: HashMap<u64, Memory>,
    /// Entries of the available ring taken.
    pub(super) seen: u16,
    /// Entries put into the used ring.
    pub(super) used: u16,
}

impl Device {
    pub(super) fn new(memory: Memory, layout: Layout, queueing: Queueing) -> Self {
        Self { memory, layout, queueing, tables: HashMap::new(), seen: 0, used: 0 }
    }

    fn entries(&self) -> usize {
        usize::from(self.layout.size().get())
    }

    /// How many chains wait to be taken.
    pub(super) fn waiting(&self) -> u16 {
        self.memory.load16(self.layout.available() + 2).wrapping_sub(self.seen)
    }

    /// Takes the next chain.
    pub(super) fn take(&mut self) -> Option<Taken> {
        if self.waiting() == 0 {
            return None;
        }
        fence(SeqCst);
        let place = usize::from(self.seen) % self.entries();
        let head = self.memory.load16(self.layout.available() + 4 + 2 * place);
        self.seen = self.seen.wrapping_add(1);
        let mut buffers = Vec::new();
        self.read(&self.memory, self.entries(), head, true, &mut buffers);
        Some(Taken { head, buffers })
    }

    fn read(
        &self,
        table: &Memory,
        entries: usize,
        first: u16,
        is_main: bool,
        to: &mut Vec<Buffer>,
    ) {
        let mut at = usize::from(first);
        loop {
            assert!(at < entries, "descriptor {at} of {entries}");
            let (address, word) = (table.load64(at * 16), table.load64(at * 16 + 8));
            let (bytes, flags) = (word as u32, (word >> 32) as u16);
            if flags & 4 != 0 {
                assert!(self.queueing.indirect && is_main && flags == 4);
                let count = bytes as usize / 16;
                assert!(count > 0 && bytes % 16 == 0);
                return self.read(&self.tables[&address], count, 0, false, to);
            }
            let access = if flags & 2 != 0 { Access::Writable } else { Access::Readable };
            to.push(Buffer { address, bytes, access });
            assert!(to.len() <= self.entries(), "a chain that is longer than the queue");
            if flags & 1 == 0 {
                return;
            }
            at = usize::from((word >> 48) as u16);
        }
    }

    /// Puts a chain into the used ring; whether that makes an interrupt.
    pub(super) fn finish(&mut self, head: u16, written: u32) -> bool {
        let entry = self.layout.used() + 4 + 8 * (usize::from(self.used) % self.entries());
        self.memory.store32(entry, head.into());
        self.memory.store32(entry + 4, written);
        fence(SeqCst);
        let number = self.used;
        self.used = self.used.wrapping_add(1);
        self.memory.store16(self.layout.used() + 2, self.used);
        fence(SeqCst);
        let flags = self.memory.load16(self.layout.available());
        if self.queueing.event_index {
            assert_eq!(flags, 0, "section 2.7.7.1: flags are 0 with the event index");
            self.memory.load16(self.layout.available() + 4 + 2 * self.entries()) == number
        } else {
            assert!(flags <= 1);
            flags == 0
        }
    }

    /// Says whether it wants to be told of the next chain that it does not know of.
    pub(super) fn want(&self, is_wanted: bool) {
        if self.queueing.event_index {
            let event = self.seen.wrapping_sub(u16::from(!is_wanted));
            self.memory.store16(self.layout.used() + 4 + 8 * self.entries(), event);
        } else {
            self.memory.store16(self.layout.used(), u16::from(!is_wanted));
        }
        fence(SeqCst);
    }
}
