//! [`LockOwner`]: what tells owners of locks apart.

use core::num::NonZero;
use core::sync::atomic::{AtomicU64, Ordering};

/// Somebody who may lock files: a process, by its table of descriptors, or an open file. It
/// costs nothing until it first does.
#[derive(Debug, Default)]
pub struct LockOwner(
    /// Its number; 0 until it needs one.
    AtomicU64,
);

impl LockOwner {
    /// One that has no locks.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Its number, which no other owner has or had.
    pub(super) fn number(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if let Some(number) = self.known() {
            return number;
        }
        // More than can be counted to.
        let new = NEXT.fetch_add(1, Ordering::Relaxed);
        match self.0.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => new,
            Err(others) => others,
        }
    }

    /// Its number; `None` if it never had a lock.
    pub(super) fn known(&self) -> Option<u64> {
        NonZero::new(self.0.load(Ordering::Relaxed)).map(NonZero::get)
    }
}
