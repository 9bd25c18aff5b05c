//! Cutting a file short, and longer.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use super::PageCache;
use crate::PAGE;

impl PageCache {
    /// Sets the file's length. What lies behind it is gone, and zero if the file grows again.
    /// The caller has seen to it that nobody else writes to the file or changes its length. May
    /// sleep: when this returns nothing of what was cut off is being stored, and its place may
    /// be used for something else.
    ///
    /// Whoever has pages mapped that were cut off keeps them; see
    /// [`AddressSpace::forget_object`](crate::AddressSpace).
    pub fn set_len(self: &Arc<Self>, len: u64) {
        let old = self.len.load(Ordering::Acquire);
        // Nobody finds the rest any more, before it goes.
        self.len.store(len, Ordering::Release);
        self.clear_tail(len.min(old));
        if len < old {
            self.remove_from(len.div_ceil(PAGE));
        }
    }

    /// Takes all pages from number `first` on out.
    pub fn remove_from(&self, first: u64) {
        let mut from = first;
        loop {
            self.wait_for_stored(first..u64::MAX);
            let mut pages = self.pages.lock();
            // A few at a time, for interrupts are off.
            for _ in 0..32 {
                let Some((index, _)) = pages.next(from) else { return };
                from = index + 1;
                let frame = self.take(&mut pages, index);
                drop(frame);
            }
        }
    }
}
