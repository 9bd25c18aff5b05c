//! [`PageStore`]: where the pages of a file come from and go to. It is asked for a [`Batch`] of
//! neighbouring pages at a time and answers in [`Part`]s, each when it is done, in whatever
//! order and context.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Result;
use base::time;
use memory::frames::Frame;

use super::{Flags, PageCache};
use crate::PAGE;
use crate::object::ObjectError;

/// Keeps the bytes of a file: a file system.
pub trait PageStore: Send + Sync {
    /// Has the pages of `batch` read. Bytes behind the file's end may be anything. May sleep,
    /// but not for the batch.
    fn read(&self, batch: Arc<Batch>);

    /// Has the pages of `batch` stored. They may change meanwhile: what of that is stored is
    /// open. May sleep, but not for the batch.
    fn write(&self, batch: Arc<Batch>);

    /// Makes room for these bytes of the file, and calls `dirty`, which makes their pages dirty: what
    /// the store keeps of the file must not lead to the room before it has their bytes, so the two
    /// are one to whoever has pages stored. May sleep; `dirty` does not.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`, `EIO`, `EFBIG`: there is not room for all of them then, and `dirty` was
    /// called if there is for some; what it says.
    fn reserve(&self, bytes: Range<u64>, dirty: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Whether room comes in pages at least: then a page for which some was made has all.
    fn gives_whole_pages(&self) -> bool;

    /// As [`PageStore::reserve`], for a page of a mapping, which nobody keeps from being cut off
    /// meanwhile: no room is made behind the end that the file has by then.
    ///
    /// # Errors
    /// As that; `EIO` if the bytes begin behind the end of the file.
    fn reserve_within(
        &self,
        bytes: Range<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()>;

    /// The file has pages that are not stored, after it had none: somebody is to see to them
    /// within a while. Called without locks.
    fn became_dirty(&self);

    /// There is more that is not stored than should be: what the store was told of is to be stored
    /// at once, without anybody waiting for that here. Called without locks.
    fn hurry(&self);
}

/// What is done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Read,
    Write,
}

/// Neighbouring pages that are being read or stored.
#[derive(Debug)]
pub struct Batch {
    cache: Arc<PageCache>,
    first: u64,
    frames: Vec<Frame>,
    work: Work,
}

impl Batch {
    pub(super) fn new(
        cache: &Arc<PageCache>,
        first: u64,
        frames: Vec<Frame>,
        work: Work,
    ) -> Arc<Self> {
        Arc::new(Self { cache: cache.clone(), first, frames, work })
    }

    /// Number of the first page.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Numbers of the pages.
    pub fn pages(&self) -> Range<u64> {
        self.first..self.first + self.frames.len() as u64
    }

    /// The part with these pages, which must all be of the batch and in no other part.
    pub fn part(self: &Arc<Self>, pages: Range<u64>) -> Part {
        let end = pages.end.min(self.pages().end);
        let start = pages.start.clamp(self.first, end);
        Part { batch: self.clone(), pages: start..end, is_done: false }
    }
}

/// Some pages of a batch. Dropping it before it is done fails it.
#[derive(Debug)]
pub struct Part {
    batch: Arc<Batch>,
    pages: Range<u64>,
    is_done: bool,
}

impl Part {
    /// Its pages: number and frame.
    pub fn frames(&self) -> impl Iterator<Item = (u64, &Frame)> {
        let skip = (self.pages.start - self.batch.first) as usize;
        self.pages.clone().zip(self.batch.frames.iter().skip(skip))
    }

    /// Its pages hold zeros: there is nothing to be read.
    pub fn zero(self) {
        for (_, frame) in self.frames() {
            frame.clear(0, PAGE as usize);
        }
        self.done(Ok(()));
    }

    /// It is done. May be called in interrupt handlers.
    pub fn done(mut self, result: core::result::Result<(), ObjectError>) {
        self.finish(result);
    }

    fn finish(&mut self, result: core::result::Result<(), ObjectError>) {
        self.is_done = true;
        let cache = &self.batch.cache;
        let len = cache.len();
        for (index, frame) in self.frames() {
            let start = index * PAGE;
            // What lies behind the file's end is zero, for those who map the page.
            if self.batch.work == Work::Read && result.is_ok() && len < start + PAGE {
                let from = len.saturating_sub(start) as usize;
                frame.clear(from, PAGE as usize - from);
            }
            let mut pages = cache.pages.lock();
            // It may have been taken out meanwhile.
            if pages.get(index).is_none_or(|page| page.address() != frame.address()) {
                continue;
            }
            let (clear, set) = match (self.batch.work, &result) {
                (Work::Read, Ok(())) => (Flags::FAILED, Flags::UP_TO_DATE),
                (Work::Read, Err(ObjectError::OutOfMemory)) => {
                    (Flags::MARK, Flags::FAILED | Flags::NO_MEMORY)
                }
                (Work::Read, Err(_)) => (Flags::MARK, Flags::FAILED),
                // Nobody has tried yet: it is stored another time.
                (Work::Write, Err(ObjectError::OutOfMemory)) => (Flags::WRITEBACK, Flags::DIRTY),
                (Work::Write, _) => (Flags::WRITEBACK, Flags::empty()),
            };
            cache.change(&mut pages, index, clear, set);
        }
        if self.batch.work == Work::Write {
            if result.is_err() {
                cache.note_failure();
            }
            cache.note_stored(time::now_ns());
        }
        cache.changed.wake_all();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done {
            self.finish(Err(ObjectError::Io));
        }
    }
}
