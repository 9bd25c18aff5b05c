//! [`ReadAhead`]: how far an open file is read ahead. Whoever reads in order has twice as many
//! pages read each time, up to a limit, and more when half of these were used; whoever does
//! not has the pages read that were asked for.

use core::sync::atomic::{AtomicU64, Ordering};

/// Most pages that are read at a time: 256 KiB.
pub(super) const MOST: u64 = 64;
/// Pages that are read when a file is read from its start.
const FIRST: u64 = 4;

/// What an open file knows of how it is read. A hint: two threads may spoil it.
#[derive(Debug)]
pub struct ReadAhead {
    /// The page behind the last that was asked for.
    next: AtomicU64,
    /// Pages that were read at a time last.
    window: AtomicU64,
    /// The page behind the last that was read ahead.
    end: AtomicU64,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadAhead {
    /// Of a file that was just opened.
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(0), window: AtomicU64::new(0), end: AtomicU64::new(0) }
    }

    /// Notes that page `index` was asked for.
    pub(super) fn note(&self, index: u64) {
        self.next.store(index + 1, Ordering::Relaxed);
    }

    /// How many pages to read from `index` on, which is not there; `wanted` of them are asked
    /// for now.
    pub(super) fn window(&self, index: u64, wanted: u64) -> u64 {
        let in_order = self.next.load(Ordering::Relaxed) == index;
        let last = self.window.load(Ordering::Relaxed);
        let window = match (in_order, last) {
            (true, 0) => FIRST,
            (true, last) => 2 * last,
            (false, _) => 0,
        };
        let window = window.max(wanted).min(MOST);
        self.window.store(if in_order { window } else { 0 }, Ordering::Relaxed);
        self.end.store(index + window, Ordering::Relaxed);
        window
    }

    /// The pages to be read next, whose reader has come to the mark at `index`.
    pub(super) fn ahead(&self, index: u64) -> (u64, u64) {
        let end = self.end.load(Ordering::Relaxed);
        let start = if end > index && end - index <= MOST { end } else { index + 1 };
        let window = (2 * self.window.load(Ordering::Relaxed)).clamp(FIRST, MOST);
        self.window.store(window, Ordering::Relaxed);
        self.end.store(start + window, Ordering::Relaxed);
        (start, window)
    }
}
