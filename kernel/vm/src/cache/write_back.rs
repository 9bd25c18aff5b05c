//! Storing what is dirty: [`PageCache::write_back`], and how much dirty memory there may be.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicIsize, AtomicU64, AtomicUsize, Ordering};

use base::time;
use memory::frames::{self, Frame};
use page_tree::Tag;

use super::reclaim::next_cache;
use super::store::{Batch, Work};
use super::{Flags, PageCache};
use crate::PAGE;
use crate::object::ObjectError;
use crate::reverse;

/// Most pages of a batch: 1 MiB.
const MOST: usize = 256;

/// Pages of all caches that are dirty or being stored.
static UNSTORED: AtomicIsize = AtomicIsize::new(0);

/// Of them those that are dirty, and those that are being stored; a page may be both.
static DIRTY: AtomicIsize = AtomicIsize::new(0);
static WRITTEN_BACK: AtomicIsize = AtomicIsize::new(0);

pub(super) fn count(change: isize) {
    UNSTORED.fetch_add(change, Ordering::Relaxed);
}

/// Notes that a page's flags change.
pub(super) fn count_flags(before: Flags, after: Flags) {
    for (flag, counter) in [(Flags::DIRTY, &DIRTY), (Flags::WRITEBACK, &WRITTEN_BACK)] {
        match (before.contains(flag), after.contains(flag)) {
            (false, true) => _ = counter.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = counter.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// Pages of all files that are dirty.
pub fn dirty() -> usize {
    DIRTY.load(Ordering::Relaxed).max(0) as usize
}

/// Pages of all files that are being stored.
pub fn written_back() -> usize {
    WRITTEN_BACK.load(Ordering::Relaxed).max(0) as usize
}

/// Pages of all files that are dirty or being stored.
pub fn dirty_pages() -> usize {
    UNSTORED.load(Ordering::Relaxed).max(0) as usize
}

/// How far storing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is begun.
    Start,
    /// It is over: what was dirty is stored, as far as the device says so without a flush.
    Wait,
}

/// [`dirty_ratio`]: a fifth at first, as on Linux.
static RATIO: AtomicUsize = AtomicUsize::new(20);

/// How much of the memory, in percent, may be dirty before who writes has to wait for some to be
/// stored.
pub fn dirty_ratio() -> usize {
    RATIO.load(Ordering::Relaxed)
}

/// Sets [`dirty_ratio`]; false if that is no percentage.
#[must_use]
pub fn set_dirty_ratio(percent: usize) -> bool {
    let is_good = percent <= 100;
    if is_good {
        RATIO.store(percent, Ordering::Relaxed);
    }
    is_good
}

/// Most dirty pages.
fn limit() -> usize {
    frames::total() / 100 * dirty_ratio()
}

/// How often all files are looked at for what is to be stored soon, at most.
const HURRY_NS: u64 = 100_000_000;
/// When they were last.
static HURRIED: AtomicU64 = AtomicU64::new(0);

/// Has all files stored soon.
fn hurry_all() {
    let now = time::now_ns();
    let last = HURRIED.load(Ordering::Relaxed);
    if now < last.saturating_add(HURRY_NS) {
        return;
    }
    let is_first =
        HURRIED.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if !is_first {
        return;
    }
    let mut from = 0;
    while let Some(cache) = next_cache(from) {
        from = cache.id + 1;
        if cache.unstored_pages() > 0
            && let Ok(Some(store)) = cache.store()
        {
            store.hurry();
        }
    }
}

impl PageCache {
    /// Whether who makes pages dirty is to see to it that some are stored ([`PageCache::throttle`]).
    pub(crate) fn has_too_much(&self) -> bool {
        dirty_pages() > limit() / 2 && !self.is_in_memory()
    }

    /// Sees to it that there is not too much that is not stored: from half of the limit on it is
    /// stored soon, and beyond that whoever made pages dirty waits.
    pub(crate) fn throttle(self: &Arc<Self>) {
        if !self.has_too_much() {
            return;
        }
        if let Ok(Some(store)) = self.store() {
            store.hurry();
        }
        if dirty_pages() > limit() {
            // An error is told by fsync(2).
            let _ = self.write_back(0..u64::MAX, Reach::Wait);
            // It is other files that have so much, perhaps.
            if dirty_pages() > limit() {
                hurry_all();
            }
        }
    }

    /// Something of the file that is not in its pages can never be stored: counted among
    /// [`PageCache::failures`].
    pub fn note_lost(&self) {
        self.note_failure();
    }

    pub(super) fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Pages were stored; `now` is the time.
    pub(super) fn note_stored(&self, now: u64) {
        let since = if self.unstored_pages() == 0 { 0 } else { now };
        self.dirty_since.store(since, Ordering::Relaxed);
    }

    /// Since when pages are dirty, in nanoseconds of the clock; `None` if none is.
    pub fn dirty_since(&self) -> Option<u64> {
        Some(self.dirty_since.load(Ordering::Relaxed)).filter(|&since| since != 0)
    }

    /// Stores the dirty ones among the pages of `range`. May sleep.
    ///
    /// # Errors
    /// `Io` if the file is gone or, with [`Reach::Wait`], storing one failed; `OutOfMemory`.
    pub fn write_back(
        self: &Arc<Self>,
        range: Range<u64>,
        reach: Reach,
    ) -> Result<(), ObjectError> {
        let Some(store) = self.store()? else { return Ok(()) };
        let failures = self.failures();
        let mut from = range.start;
        loop {
            if reach == Reach::Wait {
                // A page that is dirty and being stored is stored once more.
                self.wait_in_order(from..range.end, Flags::DIRTY);
            }
            let Some((first, frames)) = self.take_dirty(from..range.end)? else { break };
            from = first + frames.len() as u64;
            reverse::write_protect(&self.links, first, &frames);
            self.clear_behind_end(first, &frames);
            store.write(Batch::new(self, first, frames, Work::Write));
        }
        if reach == Reach::Wait {
            self.wait_in_order(range, Flags::empty());
            if self.failures() != failures {
                return Err(ObjectError::Io);
            }
        }
        Ok(())
    }

    /// Takes the first dirty pages of `range` that lie side by side and are not being stored;
    /// they are now.
    fn take_dirty(&self, range: Range<u64>) -> Result<Option<(u64, Vec<Frame>)>, ObjectError> {
        let mut frames = Vec::new();
        frames.try_reserve_exact(MOST).map_err(|_| ObjectError::OutOfMemory)?;
        let mut first = range.start;
        let mut pages = self.pages.lock();
        let mut from = range.start;
        while frames.len() < MOST
            && let Some((index, page)) = pages.next_tagged(from, Tag::Dirty)
            && index < range.end
        {
            let flags = Flags::from_bits_truncate(page.flags());
            let is_busy = flags.contains(Flags::WRITEBACK);
            if is_busy || (!frames.is_empty() && index != from) {
                if frames.is_empty() {
                    from = index + 1;
                    continue;
                }
                break;
            }
            if frames.is_empty() {
                first = index;
            }
            frames.push(page.share());
            // Who has it mapped loses the right to write to it before it is stored.
            let clear = Flags::DIRTY | Flags::WRITABLE;
            self.change(&mut pages, index, clear, Flags::WRITEBACK);
            from = index + 1;
        }
        Ok((!frames.is_empty()).then_some((first, frames)))
    }

    /// Zeros what a program has written behind the end of the file, in the page with that, if it
    /// is among `frames`: it must not come to light when the file grows, here or on the disk.
    fn clear_behind_end(&self, first: u64, frames: &[Frame]) {
        // Under the lock, so that whoever writes there now has said so, or comes after.
        let _pages = self.pages.lock();
        let end = self.writes_to.load(Ordering::Acquire).max(self.len());
        let (index, within) = (end / PAGE, (end % PAGE) as usize);
        let frame = index.checked_sub(first).and_then(|place| frames.get(place as usize));
        if let (true, Some(frame)) = (within > 0, frame) {
            frame.clear(within, PAGE as usize - within);
        }
    }

    /// The first page of `range` that is being stored and has the flags `also`.
    fn first_stored(&self, range: Range<u64>, also: Flags) -> Option<u64> {
        let pages = self.pages.lock();
        let mut from = range.start;
        while let Some((index, page)) = pages.next_tagged(from, Tag::Writeback)
            && index < range.end
        {
            if Flags::from_bits_truncate(page.flags()).contains(also) {
                return Some(index);
            }
            from = index + 1;
        }
        None
    }

    /// Waits until no page of `range` is being stored.
    pub(super) fn wait_for_stored(&self, range: Range<u64>) {
        let is_over = || self.first_stored(range.clone(), Flags::empty()).is_none();
        self.changed.wait(|| is_over().then_some(()));
    }

    /// Waits for each page of `range` that is being stored and has the flags `also`, one after the
    /// other: this ends, also if others store pages of the file all the time.
    fn wait_in_order(&self, range: Range<u64>, also: Flags) {
        let mut from = range.start;
        while let Some(index) = self.first_stored(from..range.end, also) {
            let is_over = || self.first_stored(index..index + 1, also).is_none();
            self.changed.wait(|| is_over().then_some(()));
            from = index + 1;
        }
    }
}
