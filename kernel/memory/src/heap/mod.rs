//! The kernel heap behind `alloc`: [`slab`]s for what fits, with a [`magazine`] for each CPU
//! in front; a frame, or up to four if they are there in a row; kernel virtual memory
//! ([`crate::kernel_space::vmalloc`]) for the rest, so that no large request needs frames in a
//! row.
//!
//! A slab is a naturally aligned block of 1 to 4 frames with a header and objects of one
//! size; the header is found by rounding an object's address down. Empty slabs go back
//! to the frame allocator, but for one per size. However scattered the free frames are, what fits
//! into a page can be had as long as there is one. What fits into a page is physically
//! contiguous, in the physical map.

mod magazine;
mod poison;
mod slab;

use core::alloc::{GlobalAlloc, Layout};

use arch::paging::{PAGE_SIZE, PHYSMAP_BASE, PhysAddr, VMALLOC_BASE, VirtAddr};
use base::sync::IrqSpinLock;

use crate::OutOfMemory;
use crate::frames::{FrameRun, FrameUse};
use crate::kernel_space::vmalloc;
use slab::{CLASSES, Cache, class_of};

static CACHES: [IrqSpinLock<Cache>; CLASSES.len()] = {
    let mut caches = [const { IrqSpinLock::new("heap", Cache::new(0)) }; CLASSES.len()];
    let mut class = 0;
    while class < CLASSES.len() {
        caches[class] = IrqSpinLock::new("heap", Cache::new(class));
        class += 1;
    }
    caches
};

struct KernelHeap;

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;

/// Pages that are tried to be had in a row of frames first: that costs no page tables, and no
/// shootdown when they are freed.
const MOST_IN_A_ROW: usize = 4;

fn pages(layout: Layout) -> usize {
    layout.size().div_ceil(PAGE_SIZE as usize)
}

/// What no slab has.
fn allocate_pages(layout: Layout) -> *mut u8 {
    let (pages, align) = (pages(layout), layout.align().div_ceil(PAGE_SIZE as usize));
    let can_map = vmalloc::is_ready();
    let in_a_row = match (pages, align) {
        (1, 1) => FrameRun::allocate(1, 1, FrameUse::Heap),
        (..=MOST_IN_A_ROW, ..=MOST_IN_A_ROW) if can_map => {
            FrameRun::allocate_at_hand(pages, align, FrameUse::Heap)
        }
        _ if !can_map => FrameRun::allocate(pages, align, FrameUse::Heap),
        _ => Err(OutOfMemory),
    };
    if let Ok(run) = in_a_row {
        return run.leak().to_physmap().as_mut_ptr();
    }
    if !can_map || (pages, align) == (1, 1) {
        return core::ptr::null_mut();
    }
    vmalloc::allocate(pages, align).map_or(core::ptr::null_mut(), |start| start.as_mut_ptr())
}

fn is_vmalloc(pointer: *mut u8) -> bool {
    pointer as u64 >= VMALLOC_BASE
}

// SAFETY: memory comes from slabs, frame runs and kernel virtual memory, which hand out each
// byte once until it is given back; sizes and alignments are those of the layout or larger; a
// failure is a null pointer, never a panic.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => magazine::allocate(class),
            None => allocate_pages(layout),
        }
    }

    #[cfg_attr(debug_assertions, inline(never))] // so that who frees can be told
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(class) = class_of(layout) {
            let places = if cfg!(debug_assertions) { poison::places() } else { [0; 2] };
            // SAFETY: the caller gives back what `alloc` gave for this layout, so it is
            // an object of this class.
            return unsafe { magazine::deallocate(pointer, class, places) };
        }
        if is_vmalloc(pointer) {
            let start = VirtAddr::from_ptr(pointer);
            let align = layout.align().div_ceil(PAGE_SIZE as usize);
            // SAFETY: `allocate_pages` had it from there, for these numbers.
            return unsafe { vmalloc::free(start, pages(layout), align) };
        }
        let start = PhysAddr::new(pointer as u64 - PHYSMAP_BASE);
        // SAFETY: `allocate_pages` leaked a run of that many frames there.
        drop(unsafe { FrameRun::from_parts(start, pages(layout)) });
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract: `new_size` is not zero and
        // does not overflow when rounded up to the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let fits = match (class_of(layout), class_of(new)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => pages(layout) == pages(new),
            _ => false,
        };
        if fits {
            return pointer;
        }
        if is_vmalloc(pointer) {
            let (start, align) =
                (VirtAddr::from_ptr(pointer), layout.align().div_ceil(PAGE_SIZE as usize));
            // SAFETY: as in `dealloc`.
            if unsafe { vmalloc::grow(start, pages(layout), pages(new), align) } {
                return pointer;
            }
        }
        // SAFETY: both blocks are live and distinct, and the shorter length is copied.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                to.copy_from_nonoverlapping(pointer, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
            to
        }
    }
}

/// One size class of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassStatistics {
    /// Bytes of an object.
    pub size: usize,
    /// Objects handed out.
    pub used: usize,
    /// Free objects that CPUs keep.
    pub kept: usize,
    /// Frames that the class's slabs take.
    pub frames: usize,
}

/// The heap's size classes, as they are now.
pub fn statistics() -> impl Iterator<Item = ClassStatistics> {
    CACHES.iter().enumerate().map(|(class, cache)| {
        let kept = magazine::held(class);
        let statistics = cache.lock().statistics();
        let used = statistics.used.saturating_sub(kept);
        ClassStatistics { used, kept, ..statistics }
    })
}

/// Frees what the heap keeps for later: for [`crate::reclaim`]. Neither sleeps nor waits for a
/// lock. Returns how many frames came free.
pub fn shrink(_frames: usize) -> usize {
    magazine::shrink()
}

#[cfg(not(test))]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::*;

    #[base::kernel_test]
    fn objects_do_not_overlap() {
        let mut boxes: Vec<Box<[u8]>> = Vec::new();
        for round in 0..400usize {
            let bytes = round * 37 % 5000 + 1;
            boxes.push(alloc::vec![round as u8; bytes].into_boxed_slice());
        }
        for (round, block) in boxes.iter().enumerate() {
            assert!(block.iter().all(|&byte| byte == round as u8));
        }
    }

    #[base::kernel_test]
    fn alignment_is_kept() {
        for shift in 0..16 {
            let layout = Layout::from_size_align(24, 1 << shift).expect("a small power of two");
            // SAFETY: the layout is not empty; the block is given back with it.
            unsafe {
                let pointer = alloc::alloc::alloc(layout);
                assert!(!pointer.is_null() && (pointer as usize).is_multiple_of(1 << shift));
                alloc::alloc::dealloc(pointer, layout);
            }
        }
    }

    #[base::kernel_test]
    fn growing_keeps_the_contents() {
        let mut numbers = Vec::new();
        for number in 0..20_000u32 {
            numbers.push(number);
        }
        assert!(numbers.iter().enumerate().all(|(index, &number)| index == number as usize));
    }

    #[base::kernel_test]
    fn empty_slabs_go_back() {
        let frames = || statistics().map(|class| class.frames).sum::<usize>();
        shrink(usize::MAX);
        let before = frames();
        let many: Vec<Box<[u8; 512]>> = (0..4096).map(|_| Box::new([1; 512])).collect();
        assert!(frames() >= before + 4096 / 8);
        drop(many);
        shrink(usize::MAX);
        // One slab of the class may have been kept where there was none.
        assert!(frames() <= before + 4);
    }

    #[base::kernel_test]
    fn too_much_is_an_error() {
        let mut huge: Vec<u8> = Vec::new();
        let twice = crate::frames::total() * 2 * PAGE_SIZE as usize;
        for bytes in [twice, 1 << 45, 1 << 62] {
            assert!(huge.try_reserve_exact(bytes).is_err(), "{bytes:#x} bytes");
        }
    }
}
