//! [`Budget`]: how many pages files may have together that are in memory and nowhere else.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

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
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Gives one back.
    pub(super) fn give(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}
