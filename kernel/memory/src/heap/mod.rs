//! The kernel heap behind `alloc`: slabs for what fits ([`slab`]), runs of frames for
//! the rest.
//!
//! A slab is a naturally aligned block of 1 to 4 frames with a header and objects of one
//! size; the header is found by rounding an object's address down. Empty slabs go back
//! to the frame allocator, but for one per size. Everything lies in the physical map, so
//! it is physically contiguous.

mod slab;

use core::alloc::{GlobalAlloc, Layout};

use arch::paging::{PAGE_SIZE, PHYSMAP_BASE, PhysAddr};
use base::sync::IrqSpinLock;

use crate::frames::{FrameRun, FrameUse};
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

fn pages(layout: Layout) -> usize {
    layout.size().div_ceil(PAGE_SIZE as usize)
}

// SAFETY: memory comes from slabs and frame runs, which hand out each byte once until it
// is given back; sizes and alignments are those of the layout or larger; a failure is a
// null pointer, never a panic.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = class_of(layout) {
            return CACHES[class].lock().allocate();
        }
        let align = layout.align().div_ceil(PAGE_SIZE as usize);
        match FrameRun::allocate(pages(layout), align, FrameUse::Heap) {
            Ok(run) => run.leak().to_physmap().as_mut_ptr(),
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(class) = class_of(layout) {
            // SAFETY: the caller gives back what `alloc` gave for this layout, so it is
            // an object of a slab of this class.
            unsafe { CACHES[class].lock().free(pointer) };
            return;
        }
        let start = PhysAddr::new(pointer as u64 - PHYSMAP_BASE);
        // SAFETY: `alloc` leaked a run of that many frames there.
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
    /// Frames that the class's slabs take.
    pub frames: usize,
}

/// The heap's size classes, as they are now.
pub fn statistics() -> impl Iterator<Item = ClassStatistics> {
    CACHES.iter().map(|cache| cache.lock().statistics())
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
        let before = frames();
        let many: Vec<Box<[u8; 512]>> = (0..4096).map(|_| Box::new([1; 512])).collect();
        assert!(frames() >= before + 4096 / 8);
        drop(many);
        // One slab of the class may have been kept where there was none.
        assert!(frames() <= before + 4);
    }

    #[base::kernel_test]
    fn too_much_is_an_error() {
        let mut huge: Vec<u8> = Vec::new();
        assert!(huge.try_reserve_exact(1 << 45).is_err());
    }
}
