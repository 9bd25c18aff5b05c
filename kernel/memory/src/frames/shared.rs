//! References that are held as addresses, by page-table entries above all, and the page of
//! zeros.

use core::sync::atomic::{AtomicU64, Ordering};

use arch::paging::{PAGE_SIZE, PhysAddr};

use super::metadata::{self, Freed};
use super::owner::{Frame, clear};
use super::release::release_frames;
use super::zones::Zones;
use crate::OutOfMemory;

/// More references to one frame than this are a mistake: a count that only grows. What a program
/// can make grow stops at half of it ([`is_shared_by_many`]).
const MOST_REFERENCES: u32 = u32::MAX / 2;

/// Whether a frame has so many references that no program may have more: with as many page-table
/// entries for one page they fill 8 GiB.
pub fn is_shared_by_many(frame: &Frame) -> bool {
    reference_count(frame.address()) > MOST_REFERENCES / 2
}

/// Counts one more reference to the frame at `address`, which somebody holds.
#[inline(always)]
pub(super) fn add_reference(address: PhysAddr) {
    let before = metadata::of(address).references.fetch_add(1, Ordering::Relaxed);
    if before.wrapping_sub(1) >= MOST_REFERENCES {
        cannot_share(address, before);
    }
}

#[cold]
fn cannot_share(address: PhysAddr, before: u32) -> ! {
    metadata::of(address).references.fetch_sub(1, Ordering::Relaxed);
    let freed = Freed(metadata::of(address).freed_by());
    panic!("the frame at {address} has {before} references and cannot be shared{freed}");
}

/// A further reference to the frame at `address`.
///
/// # Safety
/// Somebody holds a reference to it meanwhile, as a [`Frame`] or as an address.
///
/// # Panics
/// If it has no reference.
#[inline(always)]
pub unsafe fn share_address(address: PhysAddr) -> Frame {
    add_reference(address);
    // SAFETY: the reference that was just counted.
    unsafe { Frame::from_address(address) }
}

/// Counts one more reference for each of `count` frames from `start` on, for the caller to
/// hold as addresses: [`release_range`] or [`Frame::from_address`] take them up.
///
/// # Safety
/// As [`share_address`], for each.
///
/// # Panics
/// If one has no reference.
pub unsafe fn share_range(start: PhysAddr, count: usize) {
    for index in 0..count as u64 {
        add_reference(start.offset(index * PAGE_SIZE));
    }
}

/// Drops one reference of each of `count` frames from `start` on; those that nobody holds
/// any more are freed, neighbours at once.
///
/// # Safety
/// The caller gives up a reference to each, held as an address.
///
/// # Panics
/// If one is free already.
#[inline(always)] // so that a double free names who releases
pub unsafe fn release_range(start: PhysAddr, count: usize) {
    release_frames(start, count);
}

/// How many references to the frame at `address`, which is RAM, there are now: 0 for one
/// that is free or not the allocator's.
#[inline(always)]
pub fn reference_count(address: PhysAddr) -> u32 {
    metadata::of(address).references.load(Ordering::Relaxed)
}

/// What the owner of a frame wants to find by the frame: for a page cache, object and index.
/// It is 0 when the frame is handed out, and nobody uses it yet.
pub fn mapping(address: PhysAddr) -> &'static AtomicU64 {
    &metadata::of(address).mapping
}

static ZERO_PAGE: AtomicU64 = AtomicU64::new(0);

/// The frame that holds zeros for ever: to be mapped read-only where memory is read that
/// was never written. It is never freed and has no references.
#[inline(always)]
pub fn zero_page() -> PhysAddr {
    PhysAddr::new(ZERO_PAGE.load(Ordering::Relaxed))
}

/// Takes the page of zeros out of `zones`.
pub(super) fn make_zero_page(zones: &mut Zones) -> Result<(), OutOfMemory> {
    let address = metadata::take_early(zones)?;
    clear(address, 1);
    ZERO_PAGE.store(address.as_u64(), Ordering::Relaxed);
    Ok(())
}
