//! Kernel stacks: [`KernelStack`], in a region of slots, each with unmapped pages below.

use alloc::vec::Vec;

use arch::paging::{EntryFlags, PAGE_SIZE, PageSize, STACKS_BASE, TOP_LEVEL_SLOT, VirtAddr};
use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;

use super::{TABLES, TableFrames};
use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse};
use crate::shootdown;

/// Bytes of a kernel stack: for the probe of a disk behind a controller behind a bridge, with an
/// interrupt in its midst. Debug builds use more of it.
pub const STACK_BYTES: u64 = if cfg!(debug_assertions) { 32 * 1024 } else { 24 * 1024 };

const STACK_PAGES: usize = (STACK_BYTES / PAGE_SIZE) as usize;

/// Bytes from one stack to the next; the difference, at the low end, is never mapped.
pub(super) const SLOT_BYTES: u64 = 64 * 1024;

/// Freed stacks that stay mapped for the next thread.
const CACHED: usize = 16;

struct Slots {
    /// First slot that was never used.
    next: u64,
    /// Slots whose pages are unmapped.
    free: Vec<u64>,
    /// Slots whose pages are still there.
    cached: Vec<u64>,
}

static SLOTS: IrqSpinLock<Slots> =
    IrqSpinLock::new("kernel stacks", Slots { next: 0, free: Vec::new(), cached: Vec::new() });

/// Counts of stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackStatistics {
    /// Owned by somebody.
    pub used: usize,
    /// Freed, and kept mapped for the next.
    pub cached: usize,
}

/// The counts of now.
pub fn statistics() -> StackStatistics {
    let slots = SLOTS.lock();
    let cached = slots.cached.len();
    StackStatistics { used: slots.next as usize - slots.free.len() - cached, cached }
}

/// A kernel stack, owned. Nothing may run on it any more when it is dropped.
#[derive(Debug)]
pub struct KernelStack {
    slot: u64,
}

fn bottom(slot: u64) -> VirtAddr {
    VirtAddr::new(STACKS_BASE + (slot + 1) * SLOT_BYTES - STACK_BYTES)
}

impl KernelStack {
    /// A stack of [`STACK_BYTES`], its contents whatever was there.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn allocate() -> Result<Self, OutOfMemory> {
        let slot = {
            let mut slots = SLOTS.lock();
            if let Some(slot) = slots.cached.pop() {
                return Ok(Self { slot });
            }
            // Room to give this slot back later without allocating.
            let known = slots.next as usize + 1;
            let (free, cached) = (slots.free.len(), slots.cached.len());
            slots.free.try_reserve(known - free).map_err(|_| OutOfMemory)?;
            slots.cached.try_reserve(CACHED - cached).map_err(|_| OutOfMemory)?;
            match slots.free.pop() {
                Some(slot) => slot,
                None if (slots.next + 1) * SLOT_BYTES > TOP_LEVEL_SLOT => return Err(OutOfMemory),
                None => {
                    slots.next += 1;
                    slots.next - 1
                }
            }
        };
        let flags = EntryFlags::WRITABLE | EntryFlags::NO_EXECUTE | EntryFlags::GLOBAL;
        let mut page = bottom(slot);
        for _ in 0..STACK_BYTES / PAGE_SIZE {
            let mapped = Frame::allocate(FrameUse::KernelStack).and_then(|frame| {
                let mut tables = TABLES.lock();
                let tables = tables.as_mut().ok_or(OutOfMemory)?;
                let source = &mut TableFrames(FrameUse::KernelTable);
                tables.map(page, frame.address(), PageSize::Small, flags, source)?;
                let _ = frame.into_address(); // the mapping owns it now
                Ok(())
            });
            if mapped.is_err() {
                unmap(slot);
                SLOTS.lock().free.push(slot);
                return Err(OutOfMemory);
            }
            page = page.offset(PAGE_SIZE);
        }
        Ok(Self { slot })
    }

    /// Lowest address of the stack.
    pub fn bottom(&self) -> VirtAddr {
        bottom(self.slot)
    }

    /// The address behind the stack, a multiple of 16: where the first push goes below.
    pub fn top(&self) -> VirtAddr {
        bottom(self.slot).offset(STACK_BYTES)
    }
}

/// Unmaps stacks that are kept ready, for [`crate::reclaim`]. Neither sleeps nor waits for a lock
/// that the caller may hold. Returns how many frames came free.
pub fn shrink(frames: usize) -> usize {
    let mut freed = 0;
    while freed < frames && !TABLES.is_locked() {
        // Held to the end: who has it elsewhere may wait for what the caller holds.
        let Some(mut slots) = SLOTS.try_lock() else { break };
        let Some(slot) = slots.cached.pop() else { break };
        unmap(slot);
        slots.free.push(slot); // reserved by `allocate`
        freed += STACK_PAGES;
    }
    freed
}

/// Writes `byte` to the whole of a stack that nothing runs on: for tests.
pub fn fill(stack: &mut KernelStack, byte: u8) {
    // SAFETY: the stack is mapped and the caller's; nothing runs on it: whoever
    // runs a task on it keeps it.
    unsafe { stack.bottom().as_mut_ptr::<u8>().write_bytes(byte, STACK_BYTES as usize) };
}

/// Unmaps what of the slot is mapped and frees the frames.
fn unmap(slot: u64) {
    let mut frames: ArrayVec<Frame, STACK_PAGES> = ArrayVec::new();
    for page in 0..STACK_PAGES as u64 {
        let page = bottom(slot).offset(page * PAGE_SIZE);
        let unmapped = TABLES.lock().as_mut().map(|tables| tables.unmap(page));
        if let Some(Ok((mapping, flush))) = unmapped {
            flush.ignore(); // all at once, below
            // SAFETY: `allocate` gave the mapping the owner of this frame; the mapping
            // is gone from the table.
            frames.push(unsafe { Frame::from_address(mapping.address) });
        }
    }
    // Before the frames are freed at the end of this function.
    shootdown::kernel_range(bottom(slot), STACK_PAGES as u64);
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        {
            let mut slots = SLOTS.lock();
            if slots.cached.len() < CACHED {
                slots.cached.push(self.slot); // reserved by `allocate`
                return;
            }
        }
        unmap(self.slot);
        SLOTS.lock().free.push(self.slot); // reserved by `allocate`
    }
}

#[base::kernel_test]
fn stacks_have_guards_and_come_back() {
    let lookup = |address| TABLES.lock().as_ref().and_then(|tables| tables.lookup(address));
    let stacks: Vec<KernelStack> =
        (0..CACHED + 4).map_while(|_| KernelStack::allocate().ok()).collect();
    assert_eq!(stacks.len(), CACHED + 4);
    for stack in &stacks {
        assert!(stack.top().is_aligned(16));
        assert!(lookup(stack.bottom()).is_some());
        assert!(lookup(VirtAddr::new(stack.bottom().as_u64() - 1)).is_none());
        assert!(lookup(stack.top()).is_none());
    }
}
