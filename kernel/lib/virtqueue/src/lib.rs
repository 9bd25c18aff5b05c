//! Floor 0: the split virtqueue, by which a driver hands buffers to a VirtIO device and gets
//! them back (VirtIO 1.2, section 2.7). The driver's side, over memory that a
//! [`RingMemory`] reaches.
//!
//! A queue is three parts of memory ([`Layout`]): the descriptor table, where each entry names
//! a buffer and may go on in another; the available ring, where the driver puts the heads of
//! chains of descriptors; the used ring, where the device puts those that it has finished, in
//! any order. Both rings are counted by 16-bit indexes that run on and wrap.
//!
//! [`Virtqueue`] keeps the books: [`Virtqueue::add`] takes a chain of [`Buffer`]s and a token,
//! which the queue owns until [`Virtqueue::pop`] returns it with the chain, so that a token
//! that owns the buffers keeps them alive for as long as the device may touch them. What the
//! driver must know later is in private memory: nothing that the device can write is used as
//! an index or believed without a check. A device that breaks the rules is a [`DeviceError`],
//! after which only [`Virtqueue::reset`] helps.
//!
//! Files: `layout.rs` sizes and offsets of the parts, `buffer.rs` what is handed over,
//! `slots.rs` which descriptors are free and whose the others are, `queue.rs` the queue,
//! `notify.rs` who has to tell whom and when, `error.rs` what can be wrong. Used by
//! `kernel/drivers/src/virtio`.
//!
//! ```
//! # use std::cell::RefCell;
//! # struct Bytes(RefCell<Vec<u8>>);
//! # impl virtqueue::RingMemory for Bytes {
//! #     fn len(&self) -> usize { self.0.borrow().len() }
//! #     fn load16(&self, at: usize) -> u16 {
//! #         u16::from_le_bytes(self.0.borrow()[at..at + 2].try_into().unwrap()) }
//! #     fn load32(&self, at: usize) -> u32 {
//! #         u32::from_le_bytes(self.0.borrow()[at..at + 4].try_into().unwrap()) }
//! #     fn store16(&self, at: usize, v: u16) {
//! #         self.0.borrow_mut()[at..at + 2].copy_from_slice(&v.to_le_bytes()) }
//! #     fn store64(&self, at: usize, v: u64) {
//! #         self.0.borrow_mut()[at..at + 8].copy_from_slice(&v.to_le_bytes()) }
//! # }
//! use virtqueue::{Buffer, Layout, Queueing, QueueSize, RingMemory, Virtqueue};
//!
//! let size = QueueSize::new(4)?;
//! let memory = Bytes(RefCell::new(vec![0; Layout::new(size).bytes()]));
//! let mut queue = Virtqueue::new(memory, size, Queueing::default())?;
//!
//! let chain = [Buffer::readable(0x1000, 16), Buffer::writable(0x2000, 512)];
//! queue.add(chain, "first").map_err(|refused| refused.reason)?;
//! assert!(queue.publish(), "the device wants to be told");
//!
//! // What a device does: the chain with head 0 is done, 512 bytes were written.
//! let used = queue.layout().used();
//! queue.memory().store64(used + 4, 512 << 32);
//! queue.memory().store16(used + 2, 1);
//!
//! let done = queue.pop()?.expect("one chain");
//! assert_eq!((done.token, done.written), ("first", 512));
//! assert!(queue.arm(), "nothing more is used: the next one interrupts");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffer;
mod error;
mod layout;
mod notify;
mod queue;
mod slots;
#[cfg(test)]
mod tests;

pub use buffer::{Access, Buffer, DESCRIPTOR_BYTES};
pub use error::{AddError, DeviceError, NewQueueError, Refused, SizeError};
pub use layout::{Layout, QueueSize};
pub use queue::{Described, Done, Queueing, Virtqueue};

/// Memory that the driver and the device both reach, at any time.
///
/// Offsets are bytes from its start and multiples of the size of what is loaded or stored;
/// numbers lie there with their lowest byte first. Each access is made once, and as a whole:
/// volatile or relaxed atomic. Their order is the queue's affair, which puts fences between
/// them ([`core::sync::atomic::fence`]).
///
/// The queue never goes beyond [`len`](Self::len), whatever the device writes; an
/// implementation may panic on an offset that does.
pub trait RingMemory {
    /// How many bytes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads 16 bits.
    fn load16(&self, offset: usize) -> u16;

    /// Loads 32 bits.
    fn load32(&self, offset: usize) -> u32;

    /// Stores 16 bits.
    fn store16(&self, offset: usize, value: u16);

    /// Stores 64 bits.
    fn store64(&self, offset: usize, value: u64);
}

impl<M: RingMemory + ?Sized> RingMemory for &M {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn load16(&self, offset: usize) -> u16 {
        (**self).load16(offset)
    }

    fn load32(&self, offset: usize) -> u32 {
        (**self).load32(offset)
    }

    fn store16(&self, offset: usize, value: u16) {
        (**self).store16(offset, value);
    }

    fn store64(&self, offset: usize, value: u64) {
        (**self).store64(offset, value);
    }
}
