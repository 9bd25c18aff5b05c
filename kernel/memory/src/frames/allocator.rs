//! The frame allocator: the bitmap, its lock, and the counts.

use core::sync::atomic::Ordering;

use arch::paging::{PAGE_SIZE, PhysAddr};
use arch::unwind;
use base::symbols::Caller;
use base::sync::IrqSpinLock;
use bitmap::FrameBitmap;

use super::metadata::{self, State};
use super::usage::FrameUse;
use crate::OutOfMemory;

/// The state behind the lock.
pub(super) struct Allocator {
    pub(super) bitmap: FrameBitmap<'static>,
    /// Frames that are not for users: see [`FrameUse::is_for_user`].
    pub(super) reserve: usize,
    /// Frames that were free at boot.
    pub(super) total: usize,
    /// Frames handed out, by use.
    pub(super) usage: [usize; FrameUse::ALL.len()],
}

pub(super) static ALLOCATOR: IrqSpinLock<Option<Allocator>> = IrqSpinLock::new("frames", None);

/// Counts, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Handed out and free together: RAM without what the kernel image, the loader's
    /// data and the allocator's own tables take.
    pub total: usize,
    /// Free now.
    pub free: usize,
    /// Of the free ones, kept for the kernel.
    pub reserve: usize,
}

/// The counts of now; all zero before the allocator is there.
pub fn statistics() -> Statistics {
    ALLOCATOR.lock().as_ref().map_or(Statistics::default(), |allocator| Statistics {
        total: allocator.total,
        free: allocator.bitmap.free_frames(),
        reserve: allocator.reserve,
    })
}

/// Asks for leave before the kernel allocates for itself what a user program wants kept, an
/// open file or a mapping: programs may not use up the reserve in this way either. What is
/// then allocated without a way to fail comes from the reserve at worst.
///
/// # Errors
/// [`OutOfMemory`] while only the reserve is left.
pub fn check_user_may_allocate() -> Result<(), OutOfMemory> {
    let statistics = statistics();
    if statistics.free <= statistics.reserve { Err(OutOfMemory) } else { Ok(()) }
}

/// For each use, how many frames are handed out for it.
pub fn usage() -> impl Iterator<Item = (FrameUse, usize)> {
    let usage = ALLOCATOR.lock().as_ref().map(|allocator| allocator.usage).unwrap_or_default();
    FrameUse::ALL.into_iter().zip(usage)
}

/// Takes one frame.
pub(super) fn take_one(frame_use: FrameUse) -> Result<PhysAddr, OutOfMemory> {
    let mut guard = ALLOCATOR.lock();
    let allocator = guard.as_mut().ok_or(OutOfMemory)?;
    if frame_use.is_for_user() && allocator.bitmap.free_frames() <= allocator.reserve {
        return Err(OutOfMemory);
    }
    let frames = allocator.bitmap.frames();
    let frame = allocator.bitmap.allocate_one(0..frames).ok_or(OutOfMemory)?;
    allocator.usage[frame_use as usize] += 1;
    let address = PhysAddr::from_frame(frame);
    metadata::of(address).hand_out(frame_use);
    Ok(address)
}

/// Takes `count` neighbouring frames, the first a multiple of `align` frames (a power of
/// two), all below physical address `below`.
pub(super) fn take_run(
    count: usize,
    align: usize,
    below: u64,
    frame_use: FrameUse,
) -> Result<PhysAddr, OutOfMemory> {
    let mut guard = ALLOCATOR.lock();
    let allocator = guard.as_mut().ok_or(OutOfMemory)?;
    let left = allocator.bitmap.free_frames().checked_sub(count).ok_or(OutOfMemory)?;
    if frame_use.is_for_user() && left < allocator.reserve {
        return Err(OutOfMemory);
    }
    let limit = allocator.bitmap.frames().min((below / PAGE_SIZE) as usize);
    let first = allocator.bitmap.allocate_range(count, align, 0..limit).ok_or(OutOfMemory)?;
    allocator.usage[frame_use as usize] += count;
    drop(guard);
    for frame in first..first + count {
        metadata::of(PhysAddr::from_frame(frame)).hand_out(frame_use);
    }
    Ok(PhysAddr::from_frame(first))
}

/// Drops a reference to the frame at `address`, and frees it if it was the last.
///
/// Who frees is known by the return address: `Drop` cannot pass its caller's `Location` on.
///
/// # Panics
/// If the frame has no reference, naming (in debug builds) who freed it.
#[inline(never)]
pub(super) fn release_one(address: PhysAddr) {
    if drop_reference(address, || unwind::caller().0) {
        give_back(address, 1);
    }
}

/// As [`release_one`], for each of `count` frames in a row.
#[inline(never)]
pub(super) fn release_frames(start: PhysAddr, count: usize) {
    let (caller, _) = unwind::caller();
    let at = |index: usize| start.offset(index as u64 * PAGE_SIZE);
    let mut first = 0;
    for index in 0..count {
        if !drop_reference(at(index), || caller) {
            give_back(at(first), index - first);
            first = index + 1;
        }
    }
    give_back(at(first), count - first);
}

/// Drops a reference. True if it was the last: the frame is the caller's to give back.
#[inline(always)]
fn drop_reference(address: PhysAddr, caller: impl Fn() -> u64) -> bool {
    let metadata = metadata::of(address);
    match metadata.references.fetch_sub(1, Ordering::AcqRel) {
        1 => {
            metadata.note_freed(caller());
            true
        }
        0 => double_free(address, Caller(caller())),
        _ => false,
    }
}

#[cold]
fn double_free(address: PhysAddr, caller: Caller) -> ! {
    let metadata = metadata::of(address);
    metadata.references.fetch_add(1, Ordering::Relaxed);
    if metadata.state() == State::Unmanaged {
        panic!("free of the frame at {address}, which is not the allocator's, by {caller}");
    }
    match metadata.freed_by() {
        Some(before) => panic!(
            "double free of the frame at {address}: freed by {before}, and again by {caller}"
        ),
        None => panic!("double free of the frame at {address}, by {caller}"),
    }
}

/// Gives `count` frames, none or some in a row, to the bitmap. No reference to them is left.
fn give_back(start: PhysAddr, count: usize) {
    if count == 0 {
        return;
    }
    let mut guard = ALLOCATOR.lock();
    let Some(allocator) = guard.as_mut() else {
        panic!("frames freed before there is an allocator");
    };
    for index in 0..count as u64 {
        let metadata = metadata::of(start.offset(index * PAGE_SIZE));
        allocator.usage[metadata.frame_use() as usize] -= 1;
        metadata.set_state(State::Free);
    }
    if let Err(error) = allocator.bitmap.release(start.frame(), count) {
        drop(guard);
        panic!("the free frames are in disorder: {error}");
    }
}

/// Gives frames to the allocator that have no owner: loader data that nobody needs any
/// more.
///
/// # Safety
/// Nothing refers to the memory any more, and no owner of these frames exists.
pub unsafe fn free_unowned(start: PhysAddr, count: usize) {
    if let Some(allocator) = ALLOCATOR.lock().as_mut() {
        allocator.total += count;
        allocator.usage[FrameUse::Other as usize] += count;
    }
    for index in 0..count as u64 {
        let address = start.offset(index * PAGE_SIZE);
        assert_eq!(metadata::of(address).state(), State::Unmanaged, "the frame at {address}");
        metadata::of(address).hand_out(FrameUse::Other);
    }
    release_frames(start, count);
}
