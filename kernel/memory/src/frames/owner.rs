//! References to frames: [`Frame`], to one, and [`FrameRun`], to several in a row. Dropping
//! the last reference frees a frame.

use core::mem::ManuallyDrop;

use arch::paging::{PAGE_SIZE, PhysAddr};

use super::allocator::{Effort, take_at_hand, take_one, take_run};
use super::release::{release_frames, release_one};
use super::shared::{add_reference, reference_count};
use super::usage::FrameUse;
use crate::OutOfMemory;

const PAGE_BYTES: usize = PAGE_SIZE as usize;

fn page(address: PhysAddr) -> *mut [u64; PAGE_BYTES / 8] {
    address.to_physmap().as_mut_ptr()
}

/// Clears `frames` pages, eight bytes at a time.
#[inline(always)]
pub(super) fn clear(address: PhysAddr, frames: usize) {
    // SAFETY: called for frames that an owner under construction holds alone; the
    // physical map shows all RAM, writable.
    unsafe {
        core::arch::asm!("rep stosq", inout("rcx") frames * (PAGE_BYTES / 8) => _,
            inout("rdi") page(address) => _, in("rax") 0u64,
            options(nostack, preserves_flags));
    }
}

/// A reference to one frame: its owner, unless it is shared.
#[derive(Debug)]
pub struct Frame(PhysAddr);

impl Frame {
    /// A frame of the caller's alone, with whatever it held before.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    #[inline(always)]
    pub fn allocate(frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        take_one(frame_use).map(Self)
    }

    /// A frame whose bytes are all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn zeroed(frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        let frame = Self::allocate(frame_use)?;
        clear(frame.0, 1);
        Ok(frame)
    }

    /// A frame below physical address `below`, with whatever it held before: for devices that
    /// cannot reach all memory.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn allocate_below(below: u64, frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        take_run(1, 1, below, frame_use, Effort::Insist).map(Self)
    }

    /// As [`Frame::zeroed`], if this CPU has a frame at hand: for short ways.
    #[inline(always)]
    pub fn zeroed_at_hand(frame_use: FrameUse) -> Option<Self> {
        let frame = Self(take_at_hand(frame_use)?);
        clear(frame.0, 1);
        Some(frame)
    }

    /// One more reference to the same frame.
    #[inline(always)]
    pub fn share(&self) -> Self {
        add_reference(self.0);
        Self(self.0)
    }

    /// Whether there are more references than this one now. Without one only the caller can
    /// make more.
    #[inline(always)]
    pub fn is_shared(&self) -> bool {
        reference_count(self.0) > 1
    }

    /// Where it is.
    pub fn address(&self) -> PhysAddr {
        self.0
    }

    /// Its bytes. A user program that has the frame mapped may change them meanwhile:
    /// callers that share it copy, and expect any value.
    ///
    /// # Panics
    /// If the frame is shared: another holder may look at the bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_BYTES] {
        assert!(!self.is_shared(), "bytes of the shared frame at {}", self.0);
        // SAFETY: the only reference is borrowed mutably, so no other kernel code has the
        // bytes; the physical map shows them.
        unsafe { &mut *self.0.to_physmap().as_mut_ptr::<[u8; PAGE_BYTES]>() }
    }

    /// Copies bytes from `offset` on to `to`, as many as there are. Others who hold the frame
    /// may change them meanwhile.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let len = to.len().min(PAGE_BYTES.saturating_sub(offset));
        let from = self.0.to_physmap().offset(offset as u64).as_ptr::<u8>();
        // SAFETY: the bytes end in the frame, which the reference keeps and the physical map
        // shows; no reference to them is made, and any value will do.
        unsafe { core::ptr::copy(from, to.as_mut_ptr(), len) };
    }

    /// Copies `from` to the bytes from `offset` on, as many as the frame has there. Others who
    /// hold the frame see them change: for a frame that is filled before anyone looks at it, or
    /// whose readers expect any value, as a device's writes are seen.
    pub fn write(&self, offset: usize, from: &[u8]) {
        let len = from.len().min(PAGE_BYTES.saturating_sub(offset));
        let to = self.0.to_physmap().offset(offset as u64).as_mut_ptr::<u8>();
        // SAFETY: the bytes end in the frame, which the reference keeps and the physical map
        // shows, writable; no reference to them is made (`bytes_mut` makes one only while there
        // is no other holder, and this is one).
        unsafe { core::ptr::copy(from.as_ptr(), to, len) };
    }

    /// Clears `len` bytes from `offset` on, as many as there are. Others as for
    /// [`Frame::write`].
    pub fn clear(&self, offset: usize, len: usize) {
        let len = len.min(PAGE_BYTES.saturating_sub(offset));
        let to = self.0.to_physmap().offset(offset as u64).as_mut_ptr::<u8>();
        // SAFETY: as `write`.
        unsafe { core::ptr::write_bytes(to, 0, len) };
    }

    /// Its address, which holds the reference: [`Frame::from_address`] takes it up again.
    pub fn into_address(self) -> PhysAddr {
        ManuallyDrop::new(self).0
    }

    /// The reference that an address holds, as [`Frame::into_address`] gave it up.
    ///
    /// # Safety
    /// `address` holds a reference, which is taken up once.
    pub unsafe fn from_address(address: PhysAddr) -> Self {
        Self(address)
    }
}

impl Drop for Frame {
    #[inline(always)] // so that a double free names who drops
    fn drop(&mut self) {
        release_one(self.0);
    }
}

/// Frames in a row, owned.
#[derive(Debug)]
pub struct FrameRun {
    start: PhysAddr,
    count: usize,
}

impl FrameRun {
    /// `count` frames in a row, the first a multiple of `align` frames (a power of two).
    ///
    /// # Errors
    /// [`OutOfMemory`], also when there are enough but not in a row.
    pub fn allocate(count: usize, align: usize, frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        Self::allocate_below(count, align, u64::MAX, frame_use)
    }

    /// As [`FrameRun::allocate`], but nothing is reclaimed for it: for callers that have another
    /// way.
    pub(crate) fn allocate_at_hand(
        count: usize,
        align: usize,
        frame_use: FrameUse,
    ) -> Result<Self, OutOfMemory> {
        take_run(count, align, u64::MAX, frame_use, Effort::Glance)
            .map(|start| Self { start, count })
    }

    /// As [`FrameRun::allocate`], all below physical address `below`: for devices that
    /// cannot reach all memory.
    ///
    /// # Errors
    /// As [`FrameRun::allocate`].
    pub fn allocate_below(
        count: usize,
        align: usize,
        below: u64,
        frame_use: FrameUse,
    ) -> Result<Self, OutOfMemory> {
        take_run(count, align, below, frame_use, Effort::Insist).map(|start| Self { start, count })
    }

    /// 2^`order` frames, naturally aligned.
    ///
    /// # Errors
    /// As [`FrameRun::allocate`].
    pub fn allocate_order(order: u32, frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        let count = 1usize.checked_shl(order).ok_or(OutOfMemory)?;
        Self::allocate(count, count, frame_use)
    }

    /// Physical address of the first byte.
    pub fn start(&self) -> PhysAddr {
        self.start
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.count
    }

    /// Gives the frames away for good, or until [`FrameRun::from_parts`].
    pub fn leak(self) -> PhysAddr {
        ManuallyDrop::new(self).start
    }

    /// The owner of frames that [`FrameRun::leak`] gave up.
    ///
    /// # Safety
    /// `start` came from `leak` of a run of `count` frames and is taken up once.
    pub unsafe fn from_parts(start: PhysAddr, count: usize) -> Self {
        Self { start, count }
    }
}

impl Drop for FrameRun {
    #[inline(always)] // so that a double free names who drops
    fn drop(&mut self) {
        release_frames(self.start, self.count);
    }
}
