//! Kernel virtual allocations: pages that lie in a row in the kernel's address space and
//! anywhere in memory. What is behind an allocation is never mapped.
//!
//! Addresses come in slots of 4, 8, 16 … pages, each size from a part of its own of the
//! region; so a slot is aligned to its size, and taking and giving one back needs no search.
//! Free slots of a size are a list, whose links stand in a table, one number for each slot
//! that was ever used; its pages come when they are needed and stay. A slot is on the list
//! only when no CPU remembers what was mapped there.

use arch::paging::{
    Entry, EntryFlags, EntrySlot, PAGE_SIZE, PageSize, TOP_LEVEL_SLOT, VMALLOC_BASE, VirtAddr,
};
use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;

use super::{TABLES, TableFrames};
use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse};
use crate::shootdown;

/// The upper half of the region; the lower one is for devices.
const START: u64 = VMALLOC_BASE + TOP_LEVEL_SLOT / 2;
/// Bytes of addresses for the slots of one size.
const PART: u64 = 8 << 30;
/// Slots have 2^2 pages or more.
const LEAST_ORDER: u32 = 2;
/// Sizes of slot: the largest takes a whole part.
const SIZES: usize = 20;
/// The links of all sizes, behind the last part.
const LINKS: u64 = START + SIZES as u64 * PART;
/// Bytes for the links of one size.
const LINKS_PART: u64 = PART / PAGE_SIZE;
/// Pages that are mapped with the lock taken once.
const BATCH: usize = 32;

const FLAGS: EntryFlags = EntryFlags::PRESENT
    .union(EntryFlags::WRITABLE)
    .union(EntryFlags::NO_EXECUTE)
    .union(EntryFlags::GLOBAL);

/// The slots of one size.
#[derive(Clone, Copy)]
struct Slots {
    /// The first free one plus 1, 0 for none.
    free: u32,
    /// Slots that were ever used.
    used: u32,
}

static SLOTS: IrqSpinLock<[Slots; SIZES]> =
    IrqSpinLock::new("vmalloc", [Slots { free: 0, used: 0 }; SIZES]);

/// Whether there are page tables to allocate in.
pub(crate) fn is_ready() -> bool {
    super::root().as_u64() != 0
}

/// The size of slot for `pages` pages, one more that is not mapped, and an alignment in pages.
fn size_of(pages: usize, align: usize) -> Result<usize, OutOfMemory> {
    let least = pages.max(align - 1).checked_add(1).ok_or(OutOfMemory)?;
    let order = least.checked_next_power_of_two().ok_or(OutOfMemory)?.trailing_zeros();
    let size = order.saturating_sub(LEAST_ORDER) as usize;
    if size < SIZES { Ok(size) } else { Err(OutOfMemory) }
}

fn slot_bytes(size: usize) -> u64 {
    PAGE_SIZE << (size as u32 + LEAST_ORDER)
}

fn address(size: usize, slot: u32) -> VirtAddr {
    VirtAddr::new(START + size as u64 * PART + u64::from(slot) * slot_bytes(size))
}

fn link(size: usize, slot: u32) -> *mut u32 {
    VirtAddr::new(LINKS + size as u64 * LINKS_PART + u64::from(slot) * 4).as_mut_ptr()
}

fn take_slot(size: usize) -> Result<u32, OutOfMemory> {
    let mut slots = SLOTS.lock();
    let this = &mut slots[size];
    if let Some(slot) = this.free.checked_sub(1) {
        // SAFETY: a slot on the list was used, so its link is mapped; only the holder of the
        // lock touches it.
        this.free = unsafe { link(size, slot).read() };
        return Ok(slot);
    }
    let slot = this.used;
    if u64::from(slot) >= PART / slot_bytes(size) {
        return Err(OutOfMemory);
    }
    let page = VirtAddr::from_ptr(link(size, slot));
    if page.is_aligned(PAGE_SIZE) {
        map(page, 1)?;
    }
    this.used += 1;
    Ok(slot)
}

fn put_slot(size: usize, slot: u32) {
    let mut slots = SLOTS.lock();
    // SAFETY: as in `take_slot`.
    unsafe { link(size, slot).write(slots[size].free) };
    slots[size].free = slot + 1;
}

/// Maps fresh frames at `pages` pages from `start` on.
fn map(start: VirtAddr, pages: usize) -> Result<(), OutOfMemory> {
    let mut done = 0;
    while done < pages {
        let mut frames: ArrayVec<Frame, BATCH> = ArrayVec::new();
        for _ in 0..BATCH.min(pages - done) {
            match Frame::allocate(FrameUse::Vmalloc) {
                Ok(frame) => frames.push(frame),
                Err(OutOfMemory) => {
                    drop(frames);
                    unmap(start, done);
                    return Err(OutOfMemory);
                }
            }
        }
        let mut guard = TABLES.lock();
        let tables = guard.as_mut().ok_or(OutOfMemory)?;
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let page = start.offset(done as u64 * PAGE_SIZE);
            let source = &mut TableFrames(FrameUse::KernelTable);
            let Ok(slots) = tables.slots(page, PageSize::Small, source) else {
                drop(guard);
                unmap(start, done);
                return Err(OutOfMemory);
            };
            for (slot, frame) in slots.iter().zip(frames.by_ref()) {
                // The mapping holds the reference from now on.
                slot.store(Entry::new(frame.into_address(), FLAGS));
                done += 1;
            }
        }
    }
    Ok(())
}

/// Calls `each` with the entries of `pages` pages from `start` on, all mapped, with the tables
/// locked, by batches.
fn for_each_entry(start: VirtAddr, pages: usize, mut each: impl FnMut(&EntrySlot)) {
    for first in (0..pages).step_by(BATCH) {
        let guard = TABLES.lock();
        for index in first..pages.min(first + BATCH) {
            let page = start.offset(index as u64 * PAGE_SIZE);
            if let Some(slot) = guard.as_ref().and_then(|tables| tables.small_slot(page)) {
                each(slot);
            }
        }
    }
}

/// Unmaps `pages` pages, all mapped, and frees their frames when all CPUs have forgotten them.
fn unmap(start: VirtAddr, pages: usize) {
    if pages == 0 {
        return;
    }
    // The entries keep the frames, for nobody to touch, until the one shootdown is done.
    let kept = EntryFlags::PROT_NONE;
    for_each_entry(start, pages, |slot| slot.store(Entry::new(slot.load().address(), kept)));
    shootdown::kernel_range(start, pages as u64);
    for_each_entry(start, pages, |slot| {
        let frame = slot.swap(Entry::EMPTY).address();
        // SAFETY: `map` gave the mapping the reference, and it is gone from the tables and
        // from all TLBs.
        drop(unsafe { Frame::from_address(frame) });
    });
}

/// Allocates `pages` pages in a row of the kernel's address space, the first at a multiple of
/// `align` pages (a power of two).
///
/// # Errors
/// [`OutOfMemory`], also for more than 4 GiB less a page.
pub(crate) fn allocate(pages: usize, align: usize) -> Result<VirtAddr, OutOfMemory> {
    let size = size_of(pages, align)?;
    if pages > crate::frames::statistics().free {
        return Err(OutOfMemory); // before all there is has been mapped
    }
    let slot = take_slot(size)?;
    let start = address(size, slot);
    match map(start, pages) {
        Ok(()) => Ok(start),
        Err(error) => {
            put_slot(size, slot);
            Err(error)
        }
    }
}

/// Frees what [`allocate`] gave.
///
/// # Safety
/// `start` came from `allocate` with the same numbers, and nobody uses the memory any more.
///
/// # Panics
/// In debug builds, if it is free already.
pub(crate) unsafe fn free(start: VirtAddr, pages: usize, align: usize) {
    debug_assert!(super::is_mapped(start), "double free of the kernel's pages at {start}");
    if let Ok(size) = size_of(pages, align) {
        unmap(start, pages);
        put_slot(size, ((start.as_u64() - START) % PART / slot_bytes(size)) as u32);
    }
}

/// Maps more pages behind an allocation of `pages` pages, if its slot has room for `more` in
/// all. False if it has not, or memory is out.
///
/// # Safety
/// As [`free`].
pub(crate) unsafe fn grow(start: VirtAddr, pages: usize, more: usize, align: usize) -> bool {
    let fits = pages < more && size_of(pages, align) == size_of(more, align);
    fits && map(start.offset(pages as u64 * PAGE_SIZE), more - pages).is_ok()
}

#[cfg(not(test))]
#[base::kernel_test]
fn large_blocks_are_pages_with_a_guard() {
    let frames = || crate::frames::frames_for(FrameUse::Vmalloc);
    for pages in [9, 100] {
        // Their slots' links.
        drop(alloc::vec::Vec::<u8>::with_capacity(pages * PAGE_SIZE as usize));
    }
    let before = frames();
    let mut block: alloc::vec::Vec<u8> = alloc::vec::Vec::with_capacity(9 * PAGE_SIZE as usize);
    block.resize(block.capacity(), 0x5a);
    let start = VirtAddr::from_ptr(block.as_ptr());
    assert!(start.as_u64() >= START && frames() == before + 9);
    assert!(!super::is_mapped(start.offset(9 * PAGE_SIZE)));
    block.resize(100 * PAGE_SIZE as usize, 0xa5);
    assert!(block[..9 * PAGE_SIZE as usize].iter().all(|&byte| byte == 0x5a));
    let grown = VirtAddr::from_ptr(block.as_ptr());
    assert!(frames() == before + 100 && !super::is_mapped(start));
    block.reserve_exact(20 * PAGE_SIZE as usize);
    block.resize(120 * PAGE_SIZE as usize, 1);
    assert_eq!(VirtAddr::from_ptr(block.as_ptr()), grown, "there is room behind it");
    drop(block);
    assert!(!super::is_mapped(grown));
    assert_eq!(frames(), before);
}
