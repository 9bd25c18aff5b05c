//! The frame allocator: the bitmap, its lock, and who freed what last.

use arch::paging::{IMAGE_BASE, PAGE_SIZE, PhysAddr};
use arch::unwind;
use base::symbols::Caller;
use base::sync::IrqSpinLock;
use bitmap::{FrameBitmap, FrameError};

use crate::OutOfMemory;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The kernel's own needs: may use the reserve.
    Kernel,
    /// A user program's memory: may not.
    User,
}

/// The state behind the lock.
pub(super) struct Allocator {
    pub(super) bitmap: FrameBitmap<'static>,
    /// Frames that [`Purpose::User`] leaves alone.
    pub(super) reserve: usize,
    /// Frames that were free at boot.
    pub(super) total: usize,
    /// Debug builds: for each frame, where it was freed last, as an offset of a return
    /// address from the image's base; 0 for never. Empty in release builds.
    pub(super) freed_at: &'static mut [u32],
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

/// Takes one frame.
pub(super) fn take_one(purpose: Purpose) -> Result<PhysAddr, OutOfMemory> {
    let mut guard = ALLOCATOR.lock();
    let allocator = guard.as_mut().ok_or(OutOfMemory)?;
    if purpose == Purpose::User && allocator.bitmap.free_frames() <= allocator.reserve {
        return Err(OutOfMemory);
    }
    let frames = allocator.bitmap.frames();
    let frame = allocator.bitmap.allocate_one(0..frames).ok_or(OutOfMemory)?;
    Ok(PhysAddr::from_frame(frame))
}

/// Takes `count` neighbouring frames, the first a multiple of `align` frames (a power of
/// two), all below physical address `below`.
pub(super) fn take_run(
    count: usize,
    align: usize,
    below: u64,
    purpose: Purpose,
) -> Result<PhysAddr, OutOfMemory> {
    let mut guard = ALLOCATOR.lock();
    let allocator = guard.as_mut().ok_or(OutOfMemory)?;
    let left = allocator.bitmap.free_frames().checked_sub(count).ok_or(OutOfMemory)?;
    if purpose == Purpose::User && left < allocator.reserve {
        return Err(OutOfMemory);
    }
    let limit = allocator.bitmap.frames().min((below / PAGE_SIZE) as usize);
    let first = allocator.bitmap.allocate_range(count, align, 0..limit).ok_or(OutOfMemory)?;
    Ok(PhysAddr::from_frame(first))
}

/// A return address as the allocator keeps it.
fn encode(caller: u64) -> u32 {
    caller.wrapping_sub(IMAGE_BASE) as u32
}

fn decode(code: u32) -> Option<Caller> {
    (code != 0).then(|| Caller(IMAGE_BASE + u64::from(code)))
}

/// Gives `count` frames from `start` back to the allocator. For owners only: what still
/// uses the frames must be gone.
///
/// The caller is known by the return address: `Drop` cannot pass its caller's `Location` on.
///
/// # Panics
/// If one of them is free already, naming (in debug builds) who freed it before, or if
/// they are not RAM.
#[inline(never)]
pub(super) fn give_back(start: PhysAddr, count: usize) {
    let (caller, _) = unwind::caller();
    let mut guard = ALLOCATOR.lock();
    let Some(allocator) = guard.as_mut() else {
        panic!("frames freed before there is an allocator, by {}", Caller(caller));
    };
    match allocator.bitmap.release(start.frame(), count) {
        Ok(()) => {
            let last = start.frame() + count;
            if let Some(places) = allocator.freed_at.get_mut(start.frame()..last) {
                places.fill(encode(caller));
            }
        }
        Err(FrameError::AlreadyFree { frame }) => {
            let before = allocator.freed_at.get(frame).copied().and_then(decode);
            drop(guard);
            let (address, caller) = (PhysAddr::from_frame(frame), Caller(caller));
            match before {
                Some(before) => panic!(
                    "double free of the frame at {address}: freed by {before}, and again by {caller}"
                ),
                None => panic!("double free of the frame at {address}, by {caller}"),
            }
        }
        Err(FrameError::OutOfRange { .. }) => {
            drop(guard);
            panic!("free of {count} frames at {start}, which is not RAM, by {}", Caller(caller));
        }
    }
}

/// Gives frames to the allocator that have no owner: loader data that nobody needs any
/// more.
///
/// # Safety
/// Nothing refers to the memory any more, and no owner of these frames exists.
pub unsafe fn free_unowned(start: PhysAddr, count: usize) {
    give_back(start, count);
    if let Some(allocator) = ALLOCATOR.lock().as_mut() {
        allocator.total += count;
    }
}
