//! read(2) and write(2): between the pages and a program's memory.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use base::time;
use memory::frames::{Frame, FrameUse};
use memory::user::UserSlice;

use super::ahead::ReadAhead;
use super::lookup::Found;
use super::{Flags, PageCache, PageStore};
use crate::PAGE;
use crate::object::ObjectError;

impl From<ObjectError> for Errno {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Io => Self::EIO,
            ObjectError::OutOfMemory => Self::ENOMEM,
            ObjectError::NoSpace => Self::ENOSPC,
        }
    }
}

/// [`Flags::ROOM`] if a page has room for all of it when the store has made some for these bytes.
fn room_of(store: Option<&dyn PageStore>, bytes: &Range<u64>) -> Flags {
    let is_whole = bytes.end - bytes.start == PAGE;
    match store {
        Some(store) if is_whole || store.gives_whole_pages() => Flags::ROOM,
        _ => Flags::empty(),
    }
}

/// What a copy came to: the bytes, if there were any, else why not.
fn outcome(done: usize, error: Option<Errno>) -> Result<usize> {
    match error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

impl PageCache {
    /// Copies bytes from `offset` on to `to`: as many as the file has there. Returns how many;
    /// fewer if the rest cannot be read or written to `to`.
    ///
    /// # Errors
    /// `EIO`, `ENOMEM`, `EFAULT`, for the first byte.
    pub fn read(
        self: &Arc<Self>,
        offset: u64,
        to: UserSlice,
        ahead: Option<&ReadAhead>,
    ) -> Result<usize> {
        let mut done = 0;
        while done < to.len() {
            let at = offset + done as u64;
            let cuts = self.cuts();
            let Some(left) = self.len().checked_sub(at).filter(|&left| left > 0) else { break };
            let (index, within) = (at / PAGE, (at % PAGE) as usize);
            let room = (PAGE as usize - within).min(usize::try_from(left).unwrap_or(usize::MAX));
            let part = to.skip(done).take(room);
            let frame = match self.find(index) {
                Found::Ready(frame) => {
                    if let Some(ahead) = ahead {
                        ahead.note(index);
                    }
                    frame
                }
                Found::Absent if self.is_in_memory() => {
                    if part.clear().is_err() {
                        return outcome(done, Some(Errno::EFAULT));
                    }
                    done += part.len();
                    continue;
                }
                _ => {
                    let wanted = (within + (to.len() - done)).div_ceil(PAGE as usize) as u64;
                    match self.page(index, wanted, ahead) {
                        Ok(frame) => frame,
                        // The file was cut short meanwhile, and may be longer again.
                        Err(_) if at >= self.len() => break,
                        Err(_) if cuts != self.cuts() => continue,
                        Err(error) => return outcome(done, Some(error.into())),
                    }
                }
            };
            let copied = part.write_from_frame(&frame, within);
            done += copied;
            if copied < part.len() {
                return outcome(done, Some(Errno::EFAULT));
            }
        }
        Ok(done)
    }

    /// Copies bytes from `offset` on to kernel memory: as many as the file has there, and how
    /// many those are.
    ///
    /// # Errors
    /// As [`ObjectError`] says.
    pub fn read_bytes(
        self: &Arc<Self>,
        offset: u64,
        to: &mut [u8],
    ) -> core::result::Result<usize, ObjectError> {
        let mut done = 0;
        while done < to.len() {
            let at = offset + done as u64;
            let cuts = self.cuts();
            let Some(left) = self.len().checked_sub(at).filter(|&left| left > 0) else { break };
            let within = (at % PAGE) as usize;
            let room = (PAGE as usize - within).min(usize::try_from(left).unwrap_or(usize::MAX));
            let (_, rest) = to.split_at_mut(done);
            let len = room.min(rest.len());
            let (part, _) = rest.split_at_mut(len);
            if self.is_in_memory() && matches!(self.find(at / PAGE), Found::Absent) {
                part.fill(0);
            } else {
                match self.page(at / PAGE, 1, None) {
                    Ok(frame) => frame.read(within, part),
                    // As above.
                    Err(_) if at >= self.len() => break,
                    Err(_) if cuts != self.cuts() => continue,
                    Err(error) => return Err(error),
                }
            }
            done += len;
        }
        Ok(done)
    }

    /// Copies `from` to the file from `offset` on, which grows if it ends before. The caller
    /// has seen to it that nobody else writes to the file or changes its length. Returns how
    /// many bytes were written; fewer if the rest has no room or cannot be read.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`, `EIO`, and what [`reserve`](super::PageStore::reserve) says, for the
    /// first byte.
    pub fn write(self: &Arc<Self>, offset: u64, from: UserSlice) -> Result<usize> {
        self.write_parts(offset, from.len(), |done, frame, within, len| {
            from.skip(done).take(len).read_to_frame(frame, within)
        })
    }

    /// As [`PageCache::write`], from kernel memory.
    ///
    /// # Errors
    /// As [`PageCache::write`].
    pub fn write_bytes(self: &Arc<Self>, offset: u64, from: &[u8]) -> Result<usize> {
        self.write_parts(offset, from.len(), |done, frame, within, len| {
            let part = from.get(done..done + len).unwrap_or_default();
            frame.write(within, part);
            part.len()
        })
    }

    /// Writes `len` bytes, page by page: `copy` gets how many were written before, a page, where
    /// in it, and how many bytes; it says how many it copied.
    fn write_parts(
        self: &Arc<Self>,
        offset: u64,
        len: usize,
        mut copy: impl FnMut(usize, &Frame, usize, usize) -> usize,
    ) -> Result<usize> {
        let old_len = self.len();
        if len > 0 && offset > old_len {
            self.clear_tail(old_len);
        }
        let end = offset + len as u64;
        if end > old_len && !self.is_in_memory() {
            let _pages = self.pages.lock();
            self.writes_to.store(end, Ordering::Release);
        }
        let result = self.write_pages(offset, len, &mut copy);
        self.writes_to.store(0, Ordering::Release);
        if offset > old_len && self.len() > old_len {
            self.lengthened(old_len);
        }
        result
    }

    fn write_pages(
        self: &Arc<Self>,
        offset: u64,
        len: usize,
        copy: &mut impl FnMut(usize, &Frame, usize, usize) -> usize,
    ) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (index, within) = (at / PAGE, (at % PAGE) as usize);
            let part = (PAGE as usize - within).min(len - done);
            let copied = match self
                .write_page(index, within, part, |frame| copy(done, frame, within, part))
            {
                Ok(copied) => copied,
                Err(error) => return outcome(done, Some(error)),
            };
            if copied > 0 {
                self.len.fetch_max(at + copied as u64, Ordering::AcqRel);
            }
            done += copied;
            if copied < part {
                return outcome(done, Some(Errno::EFAULT));
            }
            self.throttle();
            if task::is_killed() {
                break;
            }
        }
        Ok(done)
    }

    /// Writes a part of a page; how many bytes `copy` copied.
    fn write_page(
        self: &Arc<Self>,
        index: u64,
        within: usize,
        part: usize,
        mut copy: impl FnMut(&Frame) -> usize,
    ) -> Result<usize> {
        let start = index * PAGE + within as u64;
        let bytes = start..start + part as u64;
        let (found, has_room) = self.find_to_write(index);
        let frame = match found {
            Found::Ready(frame) | Found::Marked(frame) => frame,
            Found::Absent => {
                let is_whole = within == 0 && part == PAGE as usize;
                let is_new = index * PAGE >= self.len().next_multiple_of(PAGE);
                if is_whole || is_new || self.is_in_memory() {
                    // Filled before anybody can see it.
                    let frame = Frame::zeroed(FrameUse::FileCache).map_err(|_| Errno::ENOMEM)?;
                    let copied = copy(&frame);
                    if copied == part || (copied > 0 && (is_new || self.is_in_memory())) {
                        if self.put_written(bytes.clone(), &frame)? {
                            return Ok(copied);
                        }
                    } else if copied == 0 {
                        return Ok(0);
                    }
                    // Somebody read it meanwhile, or some of the old bytes stay.
                }
                self.page(index, 1, None)?
            }
            Found::Busy | Found::Failed => self.page(index, 1, None)?,
        };
        if !has_room {
            // With the old bytes; the new ones make it dirty once more.
            self.reserve_dirty(bytes, &frame)?;
        }
        let copied = copy(&frame);
        if copied > 0 {
            self.make_dirty(index, &frame, Flags::empty());
        }
        Ok(copied)
    }

    /// Puts a page in of which these bytes were written, unless there is one by now.
    fn put_written(self: &Arc<Self>, bytes: Range<u64>, frame: &Frame) -> Result<bool> {
        let index = bytes.start / PAGE;
        let was_clean = self.unstored_pages() == 0;
        let store = self.store()?;
        let room = room_of(store.as_deref(), &bytes);
        let mut is_put = false;
        let mut put = || {
            let flags = Flags::UP_TO_DATE | Flags::REFERENCED | self.dirty() | room;
            is_put = self.put(index, frame.share(), flags)?;
            Ok(())
        };
        let made = match store {
            Some(store) => store.reserve(bytes, &mut put),
            None => put(),
        };
        if made.is_err() {
            self.forget_room(index);
        }
        made?;
        if is_put {
            self.note_dirty(was_clean);
        }
        Ok(is_put)
    }

    /// Has room made for bytes of a page that is there, and calls it dirty.
    fn reserve_dirty(self: &Arc<Self>, bytes: Range<u64>, frame: &Frame) -> Result<()> {
        let index = bytes.start / PAGE;
        let store = self.store()?;
        let room = room_of(store.as_deref(), &bytes);
        let mut dirty = || {
            self.make_dirty(index, frame, room);
            Ok(())
        };
        let made = match store {
            Some(store) => store.reserve(bytes, &mut dirty),
            None => dirty(),
        };
        if made.is_err() {
            self.forget_room(index);
        }
        made
    }

    /// Takes room for these bytes: what was not there is zeros, and stored. The caller has seen to
    /// it that nobody else writes to the file.
    ///
    /// # Errors
    /// As [`PageCache::write`]; some may be done then.
    pub fn write_zeros(self: &Arc<Self>, bytes: Range<u64>) -> Result<()> {
        let mut at = bytes.start;
        while at < bytes.end {
            if task::is_killed() {
                return Err(Errno::EINTR);
            }
            let part = at..bytes.end.min((at / PAGE + 1) * PAGE);
            at = part.end;
            let is_behind = part.start / PAGE * PAGE >= self.len();
            if is_behind && matches!(self.find(part.start / PAGE), Found::Absent) {
                let zeros = Frame::zeroed(FrameUse::FileCache).map_err(|_| Errno::ENOMEM)?;
                if self.put_written(part.clone(), &zeros)? {
                    self.throttle();
                    continue;
                }
            }
            let frame = self.page(part.start / PAGE, 1, None)?;
            self.reserve_dirty(part, &frame)?;
            self.throttle();
        }
        Ok(())
    }

    /// What a changed page is: dirty, unless there is nowhere to store it.
    fn dirty(&self) -> Flags {
        if self.is_in_memory() { Flags::empty() } else { Flags::DIRTY }
    }

    /// Calls the page, of which `frame` is the caller's reference, dirty, and what `more` says.
    pub(super) fn make_dirty(self: &Arc<Self>, index: u64, frame: &Frame, more: Flags) {
        let was_clean = {
            let mut pages = self.pages.lock();
            let was_clean = self.unstored_pages() == 0;
            // Cut off meanwhile, it is nobody's.
            if pages.get(index).is_some_and(|page| page.address() == frame.address()) {
                let set = self.dirty() | Flags::REFERENCED | more;
                self.change(&mut pages, index, Flags::empty(), set);
            }
            was_clean
        };
        self.note_dirty(was_clean);
    }

    /// Pages have become dirty, after there was none if `was_clean`.
    fn note_dirty(&self, was_clean: bool) {
        if self.unstored_pages() == 0 {
            return;
        }
        let now = time::now_ns().max(1);
        let is_first =
            self.dirty_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if (was_clean || is_first)
            && let Ok(Some(store)) = self.store()
        {
            store.became_dirty();
        }
    }

    /// Copies zeros over the bytes of the range, which lies within a page.
    pub(super) fn clear_within(self: &Arc<Self>, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if let Found::Ready(frame) | Found::Marked(frame) = self.find(range.start / PAGE) {
            frame.clear((range.start % PAGE) as usize, (range.end - range.start) as usize);
        }
    }

    /// Makes a page be there, of zeros if it is not.
    pub(super) fn fill_page(self: &Arc<Self>, index: u64) -> core::result::Result<(), ObjectError> {
        if let Found::Absent = self.find(index) {
            let frame = Frame::zeroed(FrameUse::FileCache).map_err(|_| ObjectError::OutOfMemory)?;
            self.put(index, frame, Flags::UP_TO_DATE | Flags::REFERENCED)?;
        }
        Ok(())
    }

    /// Copies zeros over what lies behind byte `len` of its page.
    pub(super) fn clear_tail(self: &Arc<Self>, len: u64) {
        let within = (len % PAGE) as usize;
        if within > 0
            && let Found::Ready(frame) | Found::Marked(frame) = self.find(len / PAGE)
        {
            frame.clear(within, PAGE as usize - within);
        }
    }
}
