//! Giving pages back when memory is out: those that are clean and that nobody else uses, of
//! all files in turn. A page that was used since the last look is passed over once.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};

use base::sync::IrqSpinLock;
use memory::frames::{self, FlaggedFrame, FrameUse};
use memory::reclaim::{Kind, register};
use page_tree::PageTree;

use super::{Flags, PageCache};
use crate::object::ObjectError;

/// Pages that are looked at with a cache locked once.
const STEP: usize = 64;
/// Looks at pages for each page that is wanted, before that is enough.
const PATIENCE: usize = 64;

/// All caches that have or had pages, by number.
static CACHES: IrqSpinLock<Option<PageTree<Weak<PageCache>>>> =
    IrqSpinLock::new("page caches", None);

/// Where the last look ended: cache and page.
static HAND: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Makes the page cache known to reclaim. Call once.
pub fn init() {
    register("the page cache", Kind::Anywhere, |frames| match shrink(frames, false) {
        // All have been used since the last look: then those go that come next.
        0 => shrink(frames, true),
        freed => freed,
    });
}

/// Frames that pages of files take.
pub fn pages() -> usize {
    frames::frames_for(FrameUse::FileCache)
}

/// Sees to it that a cache is found by reclaim.
pub(super) fn know(cache: &Arc<PageCache>) -> Result<(), ObjectError> {
    if cache.is_known.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut caches = CACHES.lock();
    let caches = caches.get_or_insert_with(PageTree::new);
    caches.insert(cache.id, Arc::downgrade(cache)).map_err(|_| ObjectError::OutOfMemory)?;
    cache.is_known.store(true, Ordering::Relaxed);
    Ok(())
}

pub(super) fn forget(id: u64) {
    let forgotten = CACHES.lock().as_mut().and_then(|caches| caches.remove(id));
    drop(forgotten);
}

/// Throws all clean pages away that nobody uses. Returns how many.
pub fn drop_clean() -> usize {
    let mut dropped = 0;
    let mut from = 0;
    while let Some(cache) = next_cache(from) {
        from = cache.id + 1;
        let mut page = 0;
        while let Some((next, freed)) = cache.shrink(page, usize::MAX, true) {
            page = next;
            dropped += freed;
        }
    }
    dropped
}

/// The first cache from number `from` on.
pub(super) fn next_cache(from: u64) -> Option<Arc<PageCache>> {
    let caches = CACHES.lock();
    let caches = caches.as_ref()?;
    let mut at = from;
    loop {
        let (id, cache) = caches.next(at)?;
        if let Some(cache) = cache.upgrade() {
            return Some(cache);
        }
        at = id + 1;
    }
}

/// Frees up to `wanted` frames; how many it freed. Neither sleeps nor waits for a lock.
fn shrink(wanted: usize, even_used: bool) -> usize {
    let mut freed = 0;
    let mut looks = wanted.saturating_mul(PATIENCE);
    let [mut id, mut page] = [HAND[0].load(Ordering::Relaxed), HAND[1].load(Ordering::Relaxed)];
    let mut wraps = 0;
    while freed < wanted && looks > 0 && wraps < 3 {
        // The list may be locked by whoever asks for memory.
        let cache = {
            let Some(caches) = CACHES.try_lock() else { break };
            caches.as_ref().and_then(|caches| {
                let (id, cache) = caches.next(id)?;
                Some((id, cache.upgrade()))
            })
        };
        match cache {
            None => (id, page, wraps) = (0, 0, wraps + 1),
            Some((found, cache)) => {
                if found != id {
                    (id, page) = (found, 0);
                }
                let next = cache.and_then(|cache| cache.shrink(page, wanted - freed, even_used));
                // A cache with no pages that could go is passed over quickly.
                match next {
                    Some((next, some)) => {
                        (page, freed) = (next, freed + some);
                        looks = looks.saturating_sub(STEP);
                    }
                    None => {
                        (id, page) = (id + 1, 0);
                        looks = looks.saturating_sub(1);
                    }
                }
            }
        }
    }
    HAND[0].store(id, Ordering::Relaxed);
    HAND[1].store(page, Ordering::Relaxed);
    freed
}

impl PageCache {
    /// Throws some of the pages from `from` on away; where to go on, and how many those were.
    /// `None` at the end, or if the cache is locked.
    pub(super) fn shrink(&self, from: u64, most: usize, even_used: bool) -> Option<(u64, usize)> {
        if self.is_in_memory() {
            return None;
        }
        let mut pages = self.pages.try_lock()?;
        let mut at = from;
        let mut freed = 0;
        for looks in 0..STEP {
            if freed >= most {
                break;
            }
            let Some((index, page)) = pages.next(at) else {
                return (looks > 0).then_some((at, freed));
            };
            at = index + 1;
            if !is_unused(page) {
                continue;
            }
            if page.flags() & Flags::REFERENCED.bits() != 0 && !even_used {
                self.change(&mut pages, index, Flags::REFERENCED, Flags::empty());
                continue;
            }
            drop(self.take(&mut pages, index));
            freed += 1;
        }
        Some((at, freed))
    }
}

/// Whether the cache has the only reference to a page that is stored. Under its lock, where
/// others take theirs.
fn is_unused(page: &FlaggedFrame) -> bool {
    let flags = Flags::from_bits_truncate(page.flags());
    flags.contains(Flags::UP_TO_DATE)
        && !flags.intersects(Flags::DIRTY | Flags::WRITEBACK)
        && page.references() == 1
}
