//! Leave to allocate on behalf of a user program what cannot fail: programs may not use up the
//! reserve in this way either, however many of them are in the middle of a call.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::allocator::{Statistics, is_low, reserve, statistics};
use super::cache::BATCH;
use crate::OutOfMemory;
use crate::reclaim::reclaim_now;

/// Frames that calls that are going on may still take.
static PROMISED: AtomicUsize = AtomicUsize::new(0);

/// Frames that the kernel may take for a user's call, above the reserve, as long as this lives.
/// What is promised to others is not promised twice; what was taken counts until the end of the
/// call as well.
#[must_use = "the frames are promised as long as this lives"]
#[derive(Debug)]
pub struct Allowance(usize);

impl Allowance {
    /// Promises `count` frames.
    ///
    /// # Errors
    /// [`OutOfMemory`] if that many are not there beside the reserve and what others were
    /// promised.
    pub fn take(count: usize) -> Result<Self, OutOfMemory> {
        PROMISED.fetch_add(count, Ordering::Relaxed);
        let this = Self(count);
        check(0)?;
        Ok(this)
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        PROMISED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Frames that are reclaimed at a time, at least, and how often that is tried: others may take them.
const RECLAIMED: usize = 256;
const TRIES: usize = 8;

/// Whether `count` frames are there beside the reserve and what was promised.
fn check(count: usize) -> Result<(), OutOfMemory> {
    let promised = PROMISED.load(Ordering::Relaxed);
    // Memory that is not low is more than the reserve twice, and some (`becomes_low`).
    if count <= BATCH && promised <= reserve() && !is_low() {
        return Ok(());
    }
    // What others could do without goes first: pages of files above all.
    for _ in 0..TRIES {
        let Statistics { free, reserve, .. } = statistics();
        let wanted = promised.saturating_add(count).saturating_add(reserve);
        if free >= wanted {
            return Ok(());
        }
        if reclaim_now((wanted - free).max(RECLAIMED)) == 0 {
            break;
        }
    }
    Err(OutOfMemory)
}

/// Asks for leave before the kernel allocates for itself what a user program wants kept, an
/// open file or a mapping, if that can fail or is less than a page.
///
/// # Errors
/// [`OutOfMemory`] while only the reserve is left, or what others were promised.
pub fn check_user_may_allocate() -> Result<(), OutOfMemory> {
    check_user_may_take(1)
}

/// As [`check_user_may_allocate`], for what takes `count` frames: it must not come from the
/// reserve in part either.
///
/// # Errors
/// [`OutOfMemory`] if less than the reserve would be left.
pub fn check_user_may_take(count: usize) -> Result<(), OutOfMemory> {
    check(count.max(1))
}

#[cfg(not(test))]
#[base::kernel_test]
fn what_programs_want_kept_leaves_the_reserve_alone() {
    let Statistics { free, reserve, .. } = statistics();
    let most = free - reserve;
    assert_eq!(check_user_may_allocate(), Ok(()));
    assert_eq!(check_user_may_take(most / 2), Ok(()));
    assert_eq!(check_user_may_take(most + reserve / 2), Err(OutOfMemory));
    assert_eq!(check_user_may_take(usize::MAX), Err(OutOfMemory));
    assert_eq!(check_user_may_take(0), Ok(()));
    // What is promised to one is not there for another.
    let first = Allowance::take(most / 3 * 2).expect("two thirds of what there is");
    assert!(Allowance::take(most / 3 * 2).is_err());
    assert_eq!(check_user_may_take(most / 2), Err(OutOfMemory));
    drop(first);
    assert_eq!(check_user_may_take(most / 2), Ok(()));
}
