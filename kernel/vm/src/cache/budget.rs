//! [`Budget`]: how many pages files may have together that are in memory and nowhere else.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicIsize, AtomicU64, Ordering};

/// Pages on all budgets.
static USED: AtomicIsize = AtomicIsize::new(0);

/// Pages of all files that are in memory and nowhere else.
pub fn pages_in_memory() -> usize {
    USED.load(Ordering::Relaxed).max(0) as usize
}

/// A limit, and what of it is used.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// One of so many pages.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0) })
    }

    /// Most pages.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Pages there are.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes a page, if there is one left.
    pub(super) fn take(&self) -> bool {
        let more = |used| (used < self.limit).then_some(used + 1);
        let is_taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if is_taken {
            USED.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Gives one back.
    pub(super) fn give(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
        USED.fetch_sub(1, Ordering::Relaxed);
    }
}
