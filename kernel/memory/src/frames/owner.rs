//! Owners of frames: [`Frame`], one, and [`FrameRun`], several in a row. Dropping an
//! owner frees what it owns.

use core::mem::ManuallyDrop;

use arch::paging::{PAGE_SIZE, PhysAddr};

use super::allocator::{Purpose, give_back, take_one, take_run};
use crate::OutOfMemory;

const PAGE_BYTES: usize = PAGE_SIZE as usize;

fn page(address: PhysAddr) -> *mut [u64; PAGE_BYTES / 8] {
    address.to_physmap().as_mut_ptr()
}

/// Clears a page, eight bytes at a time.
fn clear(address: PhysAddr) {
    // SAFETY: called for frames that an owner under construction holds alone; the
    // physical map shows all RAM, writable.
    unsafe {
        core::arch::asm!("rep stosq", inout("rcx") PAGE_BYTES / 8 => _,
            inout("rdi") page(address) => _, in("rax") 0u64,
            options(nostack, preserves_flags));
    }
}

/// One frame, owned.
#[derive(Debug)]
pub struct Frame(PhysAddr);

impl Frame {
    /// A frame with whatever it held before.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn allocate(purpose: Purpose) -> Result<Self, OutOfMemory> {
        take_one(purpose).map(Self)
    }

    /// A frame whose bytes are all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn zeroed(purpose: Purpose) -> Result<Self, OutOfMemory> {
        let frame = Self::allocate(purpose)?;
        clear(frame.0);
        Ok(frame)
    }

    /// Where it is.
    pub fn address(&self) -> PhysAddr {
        self.0
    }

    /// Its bytes. A user program that has the frame mapped may change them meanwhile:
    /// callers that share it copy, and expect any value.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_BYTES] {
        // SAFETY: the owner is borrowed mutably, so no other kernel code has the bytes;
        // the physical map shows them.
        unsafe { &mut *self.0.to_physmap().as_mut_ptr::<[u8; PAGE_BYTES]>() }
    }

    /// Its address, the owner forgotten: [`Frame::from_address`] takes it up again.
    pub fn into_address(self) -> PhysAddr {
        ManuallyDrop::new(self).0
    }

    /// The owner of a frame that [`Frame::into_address`] gave up.
    ///
    /// # Safety
    /// `address` came from `into_address` and is taken up once.
    pub unsafe fn from_address(address: PhysAddr) -> Self {
        Self(address)
    }
}

impl Drop for Frame {
    #[inline(always)] // so that a double free names who drops
    fn drop(&mut self) {
        give_back(self.0, 1);
    }
}

/// Frames in a row, owned.
#[derive(Debug)]
pub struct FrameRun {
    start: PhysAddr,
    count: usize,
}

impl FrameRun {
    /// `count` frames in a row for the kernel, the first a multiple of `align` frames (a
    /// power of two).
    ///
    /// # Errors
    /// [`OutOfMemory`], also when there are enough but not in a row.
    pub fn allocate(count: usize, align: usize) -> Result<Self, OutOfMemory> {
        Self::allocate_below(count, align, u64::MAX)
    }

    /// As [`FrameRun::allocate`], all below physical address `below`: for devices that
    /// cannot reach all memory.
    ///
    /// # Errors
    /// As [`FrameRun::allocate`].
    pub fn allocate_below(count: usize, align: usize, below: u64) -> Result<Self, OutOfMemory> {
        take_run(count, align, below, Purpose::Kernel).map(|start| Self { start, count })
    }

    /// 2^`order` frames, naturally aligned.
    ///
    /// # Errors
    /// As [`FrameRun::allocate`].
    pub fn allocate_order(order: u32) -> Result<Self, OutOfMemory> {
        let count = 1usize.checked_shl(order).ok_or(OutOfMemory)?;
        Self::allocate(count, count)
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
        give_back(self.start, self.count);
    }
}

#[base::kernel_test]
fn frames_come_back() {
    let before = super::statistics().free;
    let one = Frame::zeroed(Purpose::User).expect("memory at boot");
    let run = FrameRun::allocate(5, 1).expect("memory at boot");
    let order = FrameRun::allocate_order(4).expect("memory at boot");
    assert!(order.start().is_aligned(16 * PAGE_SIZE));
    assert_eq!(super::statistics().free, before - 1 - 5 - 16);
    drop((one, run, order));
    assert_eq!(super::statistics().free, before);
}

#[base::kernel_test]
fn running_out_is_an_error() {
    let all = super::statistics().total;
    assert_eq!(FrameRun::allocate(all + 1, 1).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_order(60).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_order(64).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_below(1, 1, PAGE_SIZE).err(), Some(OutOfMemory));
}

#[base::kernel_test(should_panic = "double free of the frame")]
fn a_double_free_is_a_panic() {
    free_twice();
}

#[cfg(debug_assertions)]
#[base::kernel_test(
    should_panic = "freed by memory::frames::owner::free_twice (kernel/memory/src/"
)]
fn a_double_free_names_who_freed_before() {
    // Without symbols there are numbers.
    assert!(
        base::symbols::table().is_some(),
        "freed by memory::frames::owner::free_twice (kernel/memory/src/"
    );
    free_twice();
}

#[inline(never)]
fn free_twice() {
    let address = Frame::allocate(Purpose::Kernel).expect("memory at boot").into_address();
    // SAFETY: breaks the rule on purpose: the second owner frees what the first freed.
    // Nothing uses the frame between the two.
    unsafe {
        drop(Frame::from_address(address));
        drop(Frame::from_address(address));
    }
}
