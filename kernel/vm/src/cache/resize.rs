//! Cutting a file short, and longer; holes.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use memory::frames::Frame;

use super::lookup::Found;
use super::{Flags, PageCache};
use crate::PAGE;
use crate::object::ObjectError;

impl PageCache {
    /// Sets the file's length. What lies behind it is gone, and zero if the file grows again.
    /// The caller has seen to it that nobody else writes to the file or changes its length. May
    /// sleep: when this returns nothing of what was cut off is being stored, and its place may
    /// be used for something else.
    ///
    /// Whoever has pages mapped that were cut off loses them, and what was made of them in private:
    /// the caller holds no lock that an address space's may be waited for with.
    pub fn set_len(self: &Arc<Self>, len: u64) {
        let old = self.len.load(Ordering::Acquire);
        // Nobody finds the rest any more, before it goes.
        self.len.store(len, Ordering::Release);
        self.clear_tail(len.min(old));
        if len > old {
            return self.lengthened(old);
        }
        self.forget_room(len / PAGE);
        // Also if it stays as long as it is: what could not be written to its end lies behind it.
        let gone = len.div_ceil(PAGE)..u64::MAX;
        self.remove(gone.clone());
        if len < old {
            self.cut(&gone, true);
        }
    }

    /// A page is cut short: what the store has room for behind that may go.
    pub(super) fn forget_room(&self, index: u64) {
        self.change(&mut self.pages.lock(), index, Flags::ROOM, Flags::empty());
    }

    /// Calls a page dirty that is there, since its tail was cut off.
    pub fn touch(self: &Arc<Self>, index: u64) {
        if let Found::Ready(frame) | Found::Marked(frame) = self.find(index) {
            self.make_dirty(index, &frame, Flags::empty());
        }
    }

    /// Takes all pages with these numbers out, also from those who have them mapped: what is
    /// stored was changed past the cache. The caller has seen to it that nobody writes to them:
    /// what is dirty is lost. It holds no lock that an address space's may be waited for with.
    pub fn invalidate(self: &Arc<Self>, range: Range<u64>) {
        self.remove(range.clone());
        self.cut(&range, false);
    }

    /// Nobody finds the file again: takes all pages out that are not mapped. Those that are being
    /// read keep the cache until that is over, and the last reference goes in an interrupt handler,
    /// which should not have much to do then. Does not sleep.
    pub fn abandon(&self) {
        let mut from = 0;
        while self.mapped_by.load(Ordering::SeqCst) == 0 {
            let mut frames: ArrayVec<Frame, 32> = ArrayVec::new();
            let mut pages = self.pages.lock();
            while !frames.is_full()
                && let Some((index, _)) = pages.next(from)
            {
                frames.extend(self.take(&mut pages, index));
                from = index + 1;
            }
            drop(pages);
            if frames.is_empty() {
                return;
            }
        }
    }

    /// Takes pages out that are clean and that nobody uses: all of them, unless somebody has the
    /// cache locked.
    pub fn drop_unused(&self) {
        let mut from = 0;
        while let Some((next, _)) = self.shrink(from, usize::MAX, true) {
            from = next;
        }
    }

    /// Takes all pages with these numbers out.
    pub(super) fn remove(&self, range: Range<u64>) {
        let mut from = range.start;
        loop {
            self.wait_for_stored(range.clone());
            let mut pages = self.pages.lock();
            // A few at a time, for interrupts are off.
            for _ in 0..32 {
                let Some((index, page)) = pages.next(from) else { return };
                if index >= range.end {
                    return;
                }
                if page.flags() & Flags::WRITEBACK.bits() != 0 {
                    break; // since we waited
                }
                from = index + 1;
                let frame = self.take(&mut pages, index);
                drop(frame);
            }
        }
    }

    /// Makes a hole of the bytes with these numbers, in a file that is in memory alone. The
    /// caller has seen to it that nobody writes to the file.
    pub fn punch(self: &Arc<Self>, range: Range<u64>) {
        let (first, end) = (range.start.div_ceil(PAGE), range.end / PAGE);
        if first > end {
            // Within one page.
            self.clear_within(range);
            return;
        }
        self.clear_within(range.start..first * PAGE);
        self.clear_within(end * PAGE..range.end);
        self.remove(first..end);
        self.cut(&(first..end), false);
    }

    /// Makes all pages be there that have bytes of the range, in a file that is in memory alone.
    ///
    /// # Errors
    /// `NoSpace`, `OutOfMemory`: some are there then.
    pub fn fill(self: &Arc<Self>, range: Range<u64>) -> Result<(), ObjectError> {
        for index in range.start / PAGE..range.end.div_ceil(PAGE) {
            self.fill_page(index)?;
        }
        Ok(())
    }
}
