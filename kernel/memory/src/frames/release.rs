//! Dropping references, and the reports of those that were dropped too often.
//!
//! Who frees is known by the return address: `Drop` cannot pass its caller's `Location` on.

use core::sync::atomic::Ordering;

use arch::paging::{PAGE_SIZE, PhysAddr};
use arch::unwind;
use base::symbols::Caller;

use super::allocator::{give_back, give_back_one};
use super::metadata::{self, Metadata, State};

/// Drops a reference to the frame at `address`, and frees it if it was the last.
///
/// # Panics
/// If the frame has no reference, naming (in debug builds) who freed it.
#[inline(never)]
pub(super) fn release_one(address: PhysAddr) {
    let metadata = metadata::of(address);
    if drop_reference(address, metadata, 0, || unwind::caller().0) {
        give_back_one(address, metadata);
    }
}

/// As [`release_one`], for each of `count` frames in a row.
#[inline(never)]
pub(super) fn release_frames(start: PhysAddr, count: usize) {
    let (caller, _) = unwind::caller();
    let at = |index: usize| start.offset(index as u64 * PAGE_SIZE);
    let mut first = 0;
    for index in 0..count {
        if !drop_reference(at(index), metadata::of(at(index)), index, || caller) {
            give_back(at(first), index - first);
            first = index + 1;
        }
    }
    give_back(at(first), count - first);
}

/// Drops a reference. True if it was the last: the frame is the caller's to give back.
#[inline(always)]
fn drop_reference(
    address: PhysAddr,
    metadata: &Metadata,
    index: usize,
    caller: impl Fn() -> u64,
) -> bool {
    match metadata.references.fetch_sub(1, Ordering::AcqRel) {
        1 => {
            metadata.note_freed(address, index, if cfg!(debug_assertions) { caller() } else { 0 });
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
