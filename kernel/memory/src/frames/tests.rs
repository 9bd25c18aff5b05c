//! Kernel tests of frames.

use arch::paging::PAGE_SIZE;

use super::*;
use crate::OutOfMemory;

const OTHER: FrameUse = FrameUse::Other;

#[base::kernel_test]
fn frames_come_back() {
    let before = statistics().free;
    let one = Frame::zeroed(FrameUse::Anonymous).expect("memory at boot");
    let run = FrameRun::allocate(5, 1, OTHER).expect("memory at boot");
    let order = FrameRun::allocate_order(4, OTHER).expect("memory at boot");
    assert!(order.start().is_aligned(16 * PAGE_SIZE));
    assert_eq!(statistics().free, before - 1 - 5 - 16);
    drop((one, run, order));
    assert_eq!(statistics().free, before);
}

#[base::kernel_test]
fn running_out_is_an_error() {
    let all = statistics().total;
    assert_eq!(FrameRun::allocate(all + 1, 1, OTHER).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_order(60, OTHER).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_order(64, OTHER).err(), Some(OutOfMemory));
    assert_eq!(FrameRun::allocate_below(1, 1, PAGE_SIZE, OTHER).err(), Some(OutOfMemory));
}

#[base::kernel_test(should_panic = "double free of the frame")]
fn a_double_free_is_a_panic() {
    free_twice();
}

#[cfg(debug_assertions)]
#[base::kernel_test(
    should_panic = "freed by memory::frames::tests::free_twice (kernel/memory/src/"
)]
fn a_double_free_names_who_freed_before() {
    // Without symbols there are numbers.
    assert!(
        base::symbols::table().is_some(),
        "freed by memory::frames::tests::free_twice (kernel/memory/src/"
    );
    free_twice();
}

#[inline(never)]
fn free_twice() {
    let address = Frame::allocate(OTHER).expect("memory at boot").into_address();
    // SAFETY: breaks the rule on purpose: the second owner frees what the first freed.
    // Nothing uses the frame between the two.
    unsafe {
        drop(Frame::from_address(address));
        drop(Frame::from_address(address));
    }
}

#[base::kernel_test]
fn the_last_reference_frees() {
    let used = || frames_for(FrameUse::SharedMemory);
    let (before, used_before) = (statistics().free, used());
    let mut first = Frame::zeroed(FrameUse::SharedMemory).expect("memory at boot");
    let address = first.address();
    assert!(!first.is_shared() && reference_count(address) == 1);
    first.bytes_mut()[7] = 1;
    let second = first.share();
    // SAFETY: `first` holds a reference.
    let third = unsafe { share_address(address) };
    assert!(second.is_shared() && third.address() == address);
    assert_eq!((reference_count(address), statistics().free), (3, before - 1));
    assert_eq!(used(), used_before + 1);
    drop((first, second));
    let held = third.into_address();
    assert_eq!((reference_count(address), statistics().free), (1, before - 1));
    // SAFETY: `held` holds the last reference.
    drop(unsafe { Frame::from_address(held) });
    assert_eq!((reference_count(address), statistics().free), (0, before));
    assert_eq!(used(), used_before);
}

#[base::kernel_test]
fn a_large_frame_is_512_frames() {
    let before = statistics().free;
    // Memory may be short on a small machine.
    let Ok(large) = LargeFrame::zeroed(FrameUse::Anonymous) else {
        return assert!(before < statistics().total / 4, "{before} frames are free");
    };
    let start = large.into_address();
    assert!(start.is_aligned(LARGE_FRAMES as u64 * PAGE_SIZE));
    assert_eq!(statistics().free, before - LARGE_FRAMES);
    let at = |index: u64| start.offset(index * PAGE_SIZE);
    // SAFETY: `start` holds the references to all; one to each is given up and one kept.
    unsafe {
        share_range(start, LARGE_FRAMES);
        let kept = Frame::from_address(at(100));
        release_range(start, LARGE_FRAMES);
        release_range(start, 100);
        assert_eq!(statistics().free, before - LARGE_FRAMES + 100);
        release_range(at(101), LARGE_FRAMES - 101);
        assert_eq!((reference_count(at(99)), reference_count(at(100))), (0, 1));
        assert_eq!(statistics().free, before - 1);
        drop(kept);
    }
    assert_eq!(statistics().free, before);
}

#[base::kernel_test]
fn memory_below_4_gib_is_used_last() {
    const END: u64 = 1 << 32;
    let low = FrameRun::allocate_below(7, 4, END, FrameUse::Dma).expect("memory at boot");
    assert!(low.start().as_u64() + 7 * PAGE_SIZE <= END && low.start().is_aligned(4 * PAGE_SIZE));
    let mut free_above = 0;
    zones(|zone| free_above += if zone.range.0.as_u64() >= END { zone.free } else { 0 });
    if free_above > 1000 {
        let high = FrameRun::allocate(2, 1, OTHER).expect("memory at boot");
        assert!(high.start().as_u64() >= END);
        // Frames that are freed come first whatever they are.
        drain_caches();
        let high = Frame::allocate(OTHER).expect("memory at boot");
        assert!(high.address().as_u64() >= END);
    }
}

#[base::kernel_test]
fn the_zero_page_is_zero() {
    // SAFETY: the page is there for good and nobody writes to it.
    let page = unsafe { &*zero_page().to_physmap().as_ptr::<[u64; 512]>() };
    assert!(page.iter().all(|&word| word == 0) && reference_count(zero_page()) == 0);
}

#[base::kernel_test(should_panic = "has 0 references and cannot be shared")]
fn a_free_frame_cannot_be_shared() {
    let frame = Frame::allocate(OTHER).expect("memory at boot");
    let address = frame.address();
    drop(frame);
    // SAFETY: breaks the rule on purpose: nobody holds a reference.
    drop(unsafe { share_address(address) });
}
