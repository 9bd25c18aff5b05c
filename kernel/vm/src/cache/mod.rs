//! The page cache: the pages of a file that are in memory ([`PageCache`]), whoever reads,
//! writes or maps them.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | [`PageCache`], its pages and their [`Flags`] |
//! | `store.rs` | [`PageStore`], where pages come from and go to; [`Batch`] and [`Part`] |
//! | `lookup.rs` | finding pages, reading those that are not there |
//! | `budget.rs` | [`Budget`], how many pages files may have that are in memory alone |
//! | `ahead.rs` | [`ReadAhead`], how far to read ahead |
//! | `copy.rs` | read(2) and write(2) |
//! | `write_back.rs` | storing what is dirty |
//! | `resize.rs` | cutting a file short, and longer |
//! | `reclaim.rs` | giving pages back when memory is out |
//! | `object.rs` | [`MappedCache`], mapping a file |
//!
//! **Who owns what.** The cache holds one reference to each page's frame. Whoever reads,
//! writes, stores or maps a page takes another one under the cache's lock, and works with the
//! page without the lock. A page of which the cache has the only reference, found so under the
//! lock, is used by nobody and can be thrown away if it is clean.
//!
//! **A page's life.** It is put in empty, without `UP_TO_DATE`, by whoever finds it missing
//! and reads it; others wait. When it was read it is `UP_TO_DATE`, for good. Changed, it is
//! `DIRTY`; to store it `DIRTY` is taken away first and `WRITEBACK` is set, so that a change
//! meanwhile makes it dirty again. What comes first, the change or the flag: the bytes change,
//! then the page is called dirty.
//!
//! **Room.** Before a page is changed the store is asked for room for that, once: as long as the
//! page is there and is not cut short, it keeps the room. Only [`PageCache::write`] knows that,
//! for its caller keeps others from changing the length meanwhile.
//!
//! **Mapped to be written.** A page is called dirty and `WRITABLE` before a program can write to
//! it without a fault, and once more when it can. Whoever takes `DIRTY` away to store it takes
//! `WRITABLE` away, too, and makes it read-only in all page tables (`vm::reverse`) before he reads
//! the bytes: the next write faults, and the page is dirty again. So munmap(2) and exit lose
//! nothing, and no page table is asked what is dirty.
//!
//! **Locks.** One spin lock for each cache, held for some pages at a time and never while a
//! page is copied, read or stored. Interrupt handlers take it: reads and writes end there.
//! Reading and writing take no other lock here; that writers and what changes the length come
//! one at a time is for the file system (`fs`), which has a lock in each inode for that.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use base::sync::{IrqSpinLock, SpinLock};
use bitflags::bitflags;
use memory::frames::{FlaggedFrame, Frame};
use page_tree::{PageTree, Tag};
use task::WaitQueue;

use crate::object::ObjectError;
use crate::reverse::Links;

mod ahead;
mod budget;
mod copy;
mod lookup;
#[cfg(not(test))]
mod map_tests;
mod object;
mod reclaim;
mod resize;
mod store;
#[cfg(not(test))]
mod tests;
mod write_back;

pub use ahead::ReadAhead;
pub use budget::{Budget, pages_in_memory};
pub use object::MappedCache;
pub use reclaim::{drop_clean, init, pages as cached_pages};
pub use store::{Batch, PageStore, Part};
pub use write_back::{Reach, dirty, dirty_pages, dirty_ratio, set_dirty_ratio, written_back};

bitflags! {
    /// What a page is. In the low bits of its entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u16 {
        /// It holds the file's bytes.
        const UP_TO_DATE = 1 << 0;
        /// Newer than what is stored.
        const DIRTY = 1 << 1;
        /// Being stored.
        const WRITEBACK = 1 << 2;
        /// Used since reclaim last looked.
        const REFERENCED = 1 << 3;
        /// It may be mapped so that programs can write to it: not stored before that has ended.
        const WRITABLE = 1 << 4;
        /// Reading it failed; it goes as soon as somebody is told.
        const FAILED = 1 << 5;
        /// Read ahead: whoever comes here has more read.
        const MARK = 1 << 6;
        /// The store has room for all of it: it need not be asked before it is written to.
        const ROOM = 1 << 7;
        /// With `FAILED`: there was no memory for that.
        const NO_MEMORY = 1 << 8;
    }
}

/// Where the pages are when they are not in memory.
enum Keeper {
    /// Nowhere: the cache is all there is, and its pages stay. They are on this budget.
    Memory(Arc<Budget>),
    /// In a file system's hands.
    Store(Weak<dyn PageStore>),
}

/// The pages of one file that are in memory.
pub struct PageCache {
    /// Its place among all caches.
    id: u64,
    store: Keeper,
    pages: IrqSpinLock<PageTree<FlaggedFrame>>,
    /// Bytes of the file.
    len: AtomicU64,
    /// Whether reclaim knows it.
    is_known: AtomicBool,
    /// Where one waits for pages to be read or stored.
    changed: WaitQueue,
    /// How often storing a page has failed.
    failures: AtomicU32,
    /// Who may have it mapped: `MappedCache`s.
    mapped_by: AtomicUsize,
    /// See [`PageCache::cuts`].
    cuts: AtomicU64,
    /// Where it is mapped so that programs can write to it, if it is stored.
    links: Links,
    /// The end of what is being written behind the end of the file; 0 if nothing is.
    writes_to: AtomicU64,
    /// Pages that are dirty or being stored.
    unstored: AtomicUsize,
    /// When the first of them became so, in nanoseconds of the clock; 0 if none is.
    dirty_since: AtomicU64,
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageCache({}, {} bytes)", self.id, self.len())
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl PageCache {
    fn make(len: u64, store: Keeper) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            store,
            pages: IrqSpinLock::new("page cache", PageTree::new()),
            len: AtomicU64::new(len),
            is_known: AtomicBool::new(false),
            changed: WaitQueue::new("page"),
            failures: AtomicU32::new(0),
            unstored: AtomicUsize::new(0),
            mapped_by: AtomicUsize::new(0),
            cuts: AtomicU64::new(0),
            links: SpinLock::new("mappings of a file", PageTree::new()),
            writes_to: AtomicU64::new(0),
            dirty_since: AtomicU64::new(0),
        })
    }

    /// The cache of a file of `len` bytes that `store` keeps, in whose hands it is.
    pub fn new(len: u64, store: Weak<dyn PageStore>) -> Arc<Self> {
        Self::make(len, Keeper::Store(store))
    }

    /// The cache that is a file, at first empty, of `len` bytes: nothing keeps it but memory, of
    /// which it takes no more than the budget has.
    pub fn in_memory(len: u64, budget: Arc<Budget>) -> Arc<Self> {
        Self::make(len, Keeper::Memory(budget))
    }

    /// Whether nothing keeps it but memory.
    fn is_in_memory(&self) -> bool {
        matches!(self.store, Keeper::Memory(_))
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pages that are in memory.
    pub fn pages(&self) -> usize {
        self.pages.lock().len()
    }

    /// Pages that are dirty or being stored.
    pub fn unstored_pages(&self) -> usize {
        self.unstored.load(Ordering::Relaxed)
    }

    /// How often storing a page has failed so far: whoever was told of all but some is to be
    /// told of these.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Acquire)
    }

    fn store(&self) -> Result<Option<Arc<dyn PageStore>>, ObjectError> {
        match &self.store {
            Keeper::Memory(_) => Ok(None),
            // The file is gone, and its cache is still mapped somewhere.
            Keeper::Store(store) => store.upgrade().map(Some).ok_or(ObjectError::Io),
        }
    }

    /// Changes the flags of a page that is there, and what is told of them: tags and counts.
    fn change(
        &self,
        pages: &mut PageTree<FlaggedFrame>,
        index: u64,
        clear: Flags,
        set: Flags,
    ) -> Option<Flags> {
        let page = pages.get_mut(index)?;
        let before = Flags::from_bits_truncate(page.flags());
        page.change(clear.bits(), set.bits());
        let after = Flags::from_bits_truncate(page.flags());
        for (flag, tag) in [(Flags::DIRTY, Tag::Dirty), (Flags::WRITEBACK, Tag::Writeback)] {
            if before.contains(flag) != after.contains(flag) {
                pages.set_tag(index, tag, after.contains(flag));
            }
        }
        self.count(before, after);
        Some(before)
    }

    fn count(&self, before: Flags, after: Flags) {
        write_back::count_flags(before, after);
        let unstored = |flags: Flags| flags.intersects(Flags::DIRTY | Flags::WRITEBACK);
        match (unstored(before), unstored(after)) {
            (false, true) => {
                self.unstored.fetch_add(1, Ordering::Relaxed);
                write_back::count(1);
            }
            (true, false) => {
                self.unstored.fetch_sub(1, Ordering::Relaxed);
                write_back::count(-1);
            }
            _ => {}
        }
    }

    /// Takes a page out, whatever it is.
    fn take(&self, pages: &mut PageTree<FlaggedFrame>, index: u64) -> Option<Frame> {
        let page = pages.remove(index)?;
        self.count(Flags::from_bits_truncate(page.flags()), Flags::empty());
        if let Keeper::Memory(budget) = &self.store {
            budget.give();
        }
        Some(page.into_frame())
    }
}

impl Drop for PageCache {
    fn drop(&mut self) {
        let mut pages = core::mem::take(&mut *self.pages.lock());
        while let Some((index, _)) = pages.next(0) {
            drop(self.take(&mut pages, index));
        }
        reclaim::forget(self.id);
    }
}
