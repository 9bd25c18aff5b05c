//! Finding pages; reading those that are not there.

use alloc::sync::Arc;
use alloc::vec::Vec;

use memory::frames::{FlaggedFrame, Frame, FrameUse, check_user_may_allocate};
use page_tree::PageTree;

use super::ahead::ReadAhead;
use super::store::{Batch, Work};
use super::{Flags, Keeper, PageCache, reclaim};
use crate::PAGE;
use crate::object::ObjectError;

/// What is at a page's place.
pub(super) enum Found {
    /// The page, up to date.
    Ready(Frame),
    /// The page, up to date, and the next ones are to be read.
    Marked(Frame),
    /// Somebody reads it.
    Busy,
    /// It could not be read.
    Failed,
    /// Nothing.
    Absent,
}

fn find_in(pages: &mut PageTree<FlaggedFrame>, index: u64) -> Found {
    let Some(page) = pages.get_mut(index) else { return Found::Absent };
    let flags = Flags::from_bits_truncate(page.flags());
    if flags.contains(Flags::UP_TO_DATE) {
        page.change(Flags::MARK.bits(), Flags::REFERENCED.bits());
        let frame = page.share();
        return if flags.contains(Flags::MARK) {
            Found::Marked(frame)
        } else {
            Found::Ready(frame)
        };
    }
    if flags.contains(Flags::FAILED) { Found::Failed } else { Found::Busy }
}

impl PageCache {
    pub(super) fn find(&self, index: u64) -> Found {
        find_in(&mut self.pages.lock(), index)
    }

    /// As [`PageCache::find`], and whether the page can be written to without the store being asked.
    pub(super) fn find_to_write(&self, index: u64) -> (Found, bool) {
        let mut pages = self.pages.lock();
        let found = find_in(&mut pages, index);
        let has_room = matches!(found, Found::Ready(_) | Found::Marked(_))
            && pages.get(index).is_some_and(|page| page.flags() & Flags::ROOM.bits() != 0);
        (found, has_room)
    }

    /// Whether the page is in memory.
    pub fn is_resident(&self, index: u64) -> bool {
        let pages = self.pages.lock();
        pages.get(index).is_some_and(|page| page.flags() & Flags::UP_TO_DATE.bits() != 0)
    }

    /// The page, which is read if it is not there, and with it those that `ahead` says;
    /// `wanted` pages are asked for from here on. May sleep.
    ///
    /// # Errors
    /// As [`ObjectError`] says; `Io` if the page is not there and behind the file's end, which
    /// may have come nearer since the caller looked.
    pub fn page(
        self: &Arc<Self>,
        index: u64,
        wanted: u64,
        ahead: Option<&ReadAhead>,
    ) -> Result<Frame, ObjectError> {
        let frame = loop {
            match self.find(index) {
                Found::Ready(frame) => break frame,
                Found::Marked(frame) => {
                    if let Some(ahead) = ahead {
                        let (start, count) = ahead.ahead(index);
                        // What cannot be read ahead is read when it is asked for.
                        let _ = self.start_read(start, count);
                    }
                    break frame;
                }
                Found::Busy => self.changed.wait(|| (!self.is_busy(index)).then_some(())),
                Found::Failed => return Err(self.take_failed(index)),
                Found::Absent if index >= self.len().div_ceil(PAGE) => return Err(ObjectError::Io),
                Found::Absent => {
                    let count = ahead.map_or(wanted, |ahead| ahead.window(index, wanted));
                    self.start_read(index, count.max(1))?;
                }
            }
        };
        if let Some(ahead) = ahead {
            ahead.note(index);
        }
        Ok(frame)
    }

    fn is_busy(&self, index: u64) -> bool {
        let pages = self.pages.lock();
        let ended = (Flags::UP_TO_DATE | Flags::FAILED).bits();
        pages.get(index).is_some_and(|page| page.flags() & ended == 0)
    }

    /// Takes a page that could not be read out, so that the next one who asks tries again.
    fn take_failed(&self, index: u64) -> ObjectError {
        let mut pages = self.pages.lock();
        let flags =
            pages.get(index).map_or(Flags::empty(), |page| Flags::from_bits_truncate(page.flags()));
        if flags.contains(Flags::FAILED) {
            drop(self.take(&mut pages, index));
        }
        let is_memory = flags.contains(Flags::NO_MEMORY);
        if is_memory { ObjectError::OutOfMemory } else { ObjectError::Io }
    }

    /// Puts `frame` into the place of a page if nothing is there.
    ///
    /// # Errors
    /// Without memory for that, `OutOfMemory`; `NoSpace` beyond the budget. The frame is dropped if it is not put in.
    pub(super) fn put(
        self: &Arc<Self>,
        index: u64,
        frame: Frame,
        flags: Flags,
    ) -> Result<bool, ObjectError> {
        reclaim::know(self)?;
        check_user_may_allocate().map_err(|_| ObjectError::OutOfMemory)?;
        let mut pages = self.pages.lock();
        if pages.get(index).is_some() {
            return Ok(false);
        }
        if let Keeper::Memory(budget) = &self.store
            && !budget.take()
        {
            return Err(ObjectError::NoSpace);
        }
        let page = FlaggedFrame::new(frame, (flags & !Flags::DIRTY).bits());
        if pages.insert(index, page).is_err() {
            if let Keeper::Memory(budget) = &self.store {
                budget.give();
            }
            return Err(ObjectError::OutOfMemory);
        }
        if flags.contains(Flags::DIRTY) {
            self.change(&mut pages, index, Flags::empty(), Flags::DIRTY);
        }
        Ok(true)
    }

    /// Has up to `count` pages from `first` on read that are within the file, up to the first
    /// that is there. Does not wait for them.
    ///
    /// # Errors
    /// `OutOfMemory` if there is none for the first one; `Io` if the file is gone.
    pub(super) fn start_read(self: &Arc<Self>, first: u64, count: u64) -> Result<(), ObjectError> {
        let end = self.len().div_ceil(PAGE);
        let count = count.min(end.saturating_sub(first)).min(super::ahead::MOST) as usize;
        let store = self.store()?;
        let mut frames: Vec<Frame> = Vec::new();
        frames.try_reserve_exact(count).map_err(|_| ObjectError::OutOfMemory)?;
        for index in (first..).take(count) {
            let in_memory = store.is_none();
            let frame = match in_memory {
                true => Frame::zeroed(FrameUse::FileCache),
                false => Frame::allocate(FrameUse::FileCache),
            };
            let put = frame.map_err(|_| ObjectError::OutOfMemory).and_then(|frame| {
                let share = frame.share();
                let mut flags = if in_memory { Flags::UP_TO_DATE } else { Flags::empty() };
                // Halfway through, more is read.
                if count > 1 && index == first + count as u64 / 2 {
                    flags |= Flags::MARK;
                }
                Ok(self.put(index, frame, flags)?.then_some(share))
            });
            match put {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) if frames.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        if let Some(store) = store
            && !frames.is_empty()
        {
            store.read(Batch::new(self, first, frames, Work::Read));
        }
        Ok(())
    }
}
