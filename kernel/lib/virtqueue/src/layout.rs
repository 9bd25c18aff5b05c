//! Where the parts of a queue are: [`QueueSize`] and [`Layout`] (VirtIO 1.2, section 2.7 and
//! 2.7.5 to 2.7.8).

use crate::buffer::DESCRIPTOR_BYTES;
use crate::error::SizeError;

/// Bytes of `flags` and `idx`, with which both rings begin.
const RING_HEAD: usize = 4;
/// Bytes of an entry of the available ring: the head of a chain.
const AVAILABLE_ENTRY: usize = 2;
/// Bytes of an entry of the used ring: `id` and `len`.
const USED_ENTRY: usize = 8;
/// Bytes of the event index behind either ring.
const EVENT: usize = 2;
/// The used ring starts on a cache line of its own. The specification asks for 4 bytes; but
/// the device writes there while the driver writes before it.
const USED_ALIGN: usize = 64;

/// How many descriptors a queue has: a power of two, 1 to 32768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueSize(u16);

impl QueueSize {
    /// The largest size.
    pub const MAX: Self = Self(1 << 15);

    /// The size `size`.
    ///
    /// # Errors
    /// [`SizeError`] if it is no power of two or too large.
    pub const fn new(size: u16) -> Result<Self, SizeError> {
        if size.is_power_of_two() { Ok(Self(size)) } else { Err(SizeError { size }) }
    }

    /// The number of descriptors.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The place in a ring of the entry that a free-running index counts.
    pub(crate) const fn place(self, index: u16) -> usize {
        (index & (self.0 - 1)) as usize
    }
}

/// Offsets in bytes of a queue's parts in one piece of memory that is aligned to
/// [`Layout::ALIGN`]. Without gaps but for alignment; the descriptor table is at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: QueueSize,
    available: usize,
    used: usize,
}

impl Layout {
    /// What the memory's start is aligned to, in bytes.
    pub const ALIGN: usize = USED_ALIGN;

    /// The layout of a queue with `size` descriptors.
    pub const fn new(size: QueueSize) -> Self {
        let entries = size.0 as usize;
        let available = entries * DESCRIPTOR_BYTES;
        let end = available + RING_HEAD + entries * AVAILABLE_ENTRY + EVENT;
        Self { size, available, used: end.next_multiple_of(USED_ALIGN) }
    }

    /// The number of descriptors.
    pub const fn size(&self) -> QueueSize {
        self.size
    }

    /// Where the descriptor table is (the device calls it the descriptor area).
    pub const fn descriptors(&self) -> usize {
        0
    }

    /// Where the available ring is (the driver area).
    pub const fn available(&self) -> usize {
        self.available
    }

    /// Where the used ring is (the device area).
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Bytes of all, a multiple of 8.
    pub const fn bytes(&self) -> usize {
        (self.avail_event() + EVENT).next_multiple_of(8)
    }

    /// `flags` of the available ring.
    pub(crate) const fn available_flags(&self) -> usize {
        self.available
    }

    /// `idx` of the available ring.
    pub(crate) const fn available_index(&self) -> usize {
        self.available + 2
    }

    /// The entry of the available ring that `index` counts.
    pub(crate) const fn available_entry(&self, index: u16) -> usize {
        self.available + RING_HEAD + self.size.place(index) * AVAILABLE_ENTRY
    }

    /// `used_event`, behind the available ring: when the driver wants an interrupt.
    pub(crate) const fn used_event(&self) -> usize {
        self.available + RING_HEAD + self.size.0 as usize * AVAILABLE_ENTRY
    }

    /// `flags` of the used ring.
    pub(crate) const fn used_flags(&self) -> usize {
        self.used
    }

    /// `idx` of the used ring.
    pub(crate) const fn used_index(&self) -> usize {
        self.used + 2
    }

    /// The entry of the used ring that `index` counts.
    pub(crate) const fn used_entry(&self, index: u16) -> usize {
        self.used + RING_HEAD + self.size.place(index) * USED_ENTRY
    }

    /// `avail_event`, behind the used ring: when the device wants a notification.
    pub(crate) const fn avail_event(&self) -> usize {
        self.used + RING_HEAD + self.size.0 as usize * USED_ENTRY
    }
}
