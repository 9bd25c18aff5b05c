//! Mapping a file: [`MappedCache`], and what page faults ask the cache for.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use memory::frames::Frame;

use super::ahead::ReadAhead;
use super::{Flags, PageCache};
use crate::PAGE;
use crate::object::ObjectError;
use crate::reverse::{self, Links};

/// Most pages that are read because a program says that it will need them: 2 MiB.
const WILL_NEED: u64 = 512;

/// A page cache that may be mapped, and how it is read through the mappings.
#[derive(Debug)]
pub struct MappedCache {
    cache: Arc<PageCache>,
    ahead: ReadAhead,
}

impl MappedCache {
    /// Of a cache, for one open file.
    pub fn new(cache: &Arc<PageCache>) -> Self {
        cache.mapped_by.fetch_add(1, Ordering::SeqCst);
        Self { cache: cache.clone(), ahead: ReadAhead::new() }
    }

    /// The cache.
    pub fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    /// How far it is read ahead.
    pub fn ahead(&self) -> &ReadAhead {
        &self.ahead
    }
}

impl Drop for MappedCache {
    fn drop(&mut self) {
        self.cache.mapped_by.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PageCache {
    /// Whether the pages are stored somewhere: then those that are written must be known.
    pub fn is_stored(&self) -> bool {
        !self.is_in_memory()
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// How often pages were taken out, or the file's end moved, so far: what was found before is
    /// not to be mapped after.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }

    /// Pages were taken out: whoever has them mapped loses them, and with `copies` also what was
    /// made of them in private.
    pub(super) fn cut(self: &Arc<Self>, pages: &Range<u64>, copies: bool) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        if self.mapped_by.load(Ordering::SeqCst) > 0 {
            reverse::unmap(self, pages, copies);
        }
    }

    /// The file has become longer, and `old` was its end: of the page with that, which may be
    /// mapped to be written, there may be more to be stored now, and the next write has to ask.
    pub(super) fn lengthened(self: &Arc<Self>, old: u64) {
        if old.is_multiple_of(PAGE) || self.is_in_memory() {
            return;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        let index = old / PAGE;
        let frame = {
            let mut pages = self.pages.lock();
            let frame = pages
                .get(index)
                .filter(|page| page.flags() & Flags::WRITABLE.bits() != 0)
                .map(|page| page.share());
            if frame.is_some() {
                self.change(&mut pages, index, Flags::WRITABLE, Flags::empty());
            }
            frame
        };
        if let Some(frame) = frame {
            reverse::write_protect(&self.links, index, &[frame]);
        }
    }

    /// Calls `each` with the pages from `first` on, `count` of them: those that are in memory and
    /// within the file, and `None` for the others.
    pub(crate) fn resident(&self, first: u64, count: usize, mut each: impl FnMut(Option<Frame>)) {
        let end = self.len().div_ceil(PAGE);
        let ready = (Flags::UP_TO_DATE | Flags::MARK, Flags::UP_TO_DATE);
        let mut pages = self.pages.lock();
        for index in (first..).take(count) {
            let page = if index < end { pages.get_mut(index) } else { None };
            // A page with a mark has more read: by whoever asks for it.
            let page = page.filter(|page| page.flags() & ready.0.bits() == ready.1.bits());
            each(page.map(|page| {
                page.change(0, Flags::REFERENCED.bits());
                page.share()
            }));
        }
    }

    /// Has room made for a page that a program is about to write to in a mapping, and calls it
    /// dirty. May sleep.
    ///
    /// # Errors
    /// `NoSpace` if there is no room, `Io` if it is behind the end of the file by now, `OutOfMemory`.
    pub(crate) fn prepare_write(
        self: &Arc<Self>,
        index: u64,
        frame: &Frame,
    ) -> Result<(), ObjectError> {
        let Some(store) = self.store()? else { return Ok(()) };
        let bytes = index * PAGE..self.len().min((index + 1) * PAGE);
        if bytes.is_empty() {
            return Err(ObjectError::Io);
        }
        let mut dirty = || {
            self.note_writable(index, frame);
            Ok(())
        };
        store.reserve_within(bytes, &mut dirty).map_err(|error| match error {
            Errno::ENOMEM => ObjectError::OutOfMemory,
            Errno::ENOSPC | Errno::EDQUOT => ObjectError::NoSpace,
            _ => ObjectError::Io,
        })
    }

    /// The page, of which `frame` is the caller's reference, is mapped so that programs can
    /// write to it. It is dirty from now on, until it has been made read-only and stored.
    pub(crate) fn note_writable(self: &Arc<Self>, index: u64, frame: &Frame) {
        self.make_dirty(index, frame, Flags::WRITABLE);
    }

    /// Has pages read that will be needed soon. Does not wait for them.
    pub(crate) fn will_need(self: &Arc<Self>, pages: Range<u64>) {
        if self.is_in_memory() {
            return; // what is not there is zeros
        }
        let end = pages.end.min(self.len().div_ceil(PAGE));
        let end = end.min(pages.start.saturating_add(WILL_NEED));
        let mut at = pages.start;
        while at < end {
            // Up to a page that is there; what cannot be read now is read when it is touched.
            if !self.is_present(at) && self.start_read(at, end - at).is_err() {
                return;
            }
            at += 1;
            while at < end && self.is_present(at) {
                at += 1;
            }
        }
    }

    fn is_present(&self, index: u64) -> bool {
        self.pages.lock().get(index).is_some()
    }
}
