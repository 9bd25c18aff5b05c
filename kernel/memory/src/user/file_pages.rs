//! [`UserTable`]: pages that a page cache has, too. They are told from a program's own by what
//! their frames are used for ([`FrameUse::FileCache`]): an entry for one can be taken away at any
//! time, for the next touch brings it again. Whether such a page is writable here is for the
//! cache to know, which is told before it becomes so and asks for it to end
//! ([`UserTable::write_protect`]).

use core::ops::{ControlFlow, Range};
use core::sync::atomic::Ordering;

use arch::paging::{
    Entry, EntryFlags, MapError, Mapping, PAGE_SIZE, PageSize, PageTable, PhysAddr, VirtAddr,
};
use arrayvec::ArrayVec;

use super::access::Access;
use super::ranges::{BATCH, TABLES_AT_ONCE, for_each_used};
use super::table::{UserTable, is_user_page, release};
use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse, is_used_for};
use crate::shootdown;

/// Which pages of files are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePages {
    /// All.
    All,
    /// Those that the program cannot write to.
    ReadOnly,
}

/// Whether an entry of the lowest level shows a page of a file.
#[inline(always)]
pub(super) fn is_file_page(entry: Entry) -> bool {
    entry.is_used()
        && !entry.flags().contains(EntryFlags::BORROWED)
        && is_used_for(entry.address(), FrameUse::FileCache)
}

impl UserTable {
    /// Maps those of `frames` that are there, at the pages from `page` on, all of which one
    /// lowest table maps. Pages at which something is mapped stay as they are.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table.
    ///
    /// # Panics
    /// If the address is not a user page: the caller's map of VMAs would be wrong.
    pub fn map_some(
        &self,
        page: VirtAddr,
        frames: impl IntoIterator<Item = Option<Frame>>,
        access: Access,
    ) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let flags = access.flags();
        let mut tables = self.tables.lock();
        let slots = match tables.slots(page, PageSize::Small, &mut self.source()) {
            Ok(slots) => slots,
            // Another thread, with a large page.
            Err(MapError::InsideHugePage) => return Ok(()),
            Err(_) => return Err(OutOfMemory),
        };
        let mut mapped = 0;
        for (slot, frame) in slots.iter().zip(frames) {
            if let Some(frame) = frame
                && !slot.load().is_used()
            {
                slot.store(Entry::new(frame.into_address(), flags)); // which owns it now
                mapped += 1;
            }
        }
        self.mapped.fetch_add(mapped, Ordering::Relaxed);
        Ok(())
    }

    /// Maps `frame` at `page`, or allows more there if it is there already. If another one is
    /// there, that one stays.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table.
    ///
    /// # Panics
    /// As [`UserTable::map_some`].
    pub fn map_or_allow(
        &self,
        page: VirtAddr,
        frame: Frame,
        access: Access,
    ) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let mut tables = self.tables.lock();
        match tables.slots(page, PageSize::Small, &mut self.source()) {
            Ok([slot, ..]) => {
                let old = slot.load();
                if !old.is_used() {
                    slot.store(Entry::new(frame.into_address(), access.flags()));
                    self.mapped.fetch_add(1, Ordering::Relaxed);
                } else if old.address() == frame.address() {
                    // More than before: a CPU that does not know it yet faults once more.
                    slot.store(Entry::new(old.address(), access.flags()));
                }
                Ok(())
            }
            Ok([]) | Err(MapError::InsideHugePage) => Ok(()),
            Err(_) => Err(OutOfMemory),
        }
    }

    /// Makes `pages` read-only that show just these frames. On return no CPU can write to them
    /// through this table: what was written until then is in the frames.
    pub fn write_protect(&self, pages: impl IntoIterator<Item = (VirtAddr, PhysAddr)>) {
        let mut changed: Option<(VirtAddr, VirtAddr)> = None;
        let tables = self.tables.lock();
        for (page, frame) in pages {
            let Some(slot) = tables.small_slot(page) else { continue };
            let old = slot.load();
            if old.address() != frame || !old.flags().contains(EntryFlags::WRITABLE) {
                continue;
            }
            slot.store(Entry::new(frame, old.flags() - EntryFlags::WRITABLE - EntryFlags::DIRTY));
            let end = page.offset(PAGE_SIZE);
            changed = Some(changed.map_or((page, end), |(from, to)| (from.min(page), to.max(end))));
        }
        drop(tables);
        if let Some((first, end)) = changed {
            let pages = (end.as_u64() - first.as_u64()) / PAGE_SIZE;
            shootdown::user_range(self.root, &self.loaded_on, first, pages);
        }
    }

    /// Takes the pages of files in `range` away; how many. The program's own pages stay.
    pub fn unmap_file_pages(&self, range: Range<VirtAddr>, which: FilePages) -> usize {
        let mut count = 0;
        let mut at = range.start;
        while at < range.end {
            let mut taken: ArrayVec<(VirtAddr, Mapping), BATCH> = ArrayVec::new();
            let tables = self.tables.lock();
            let rest = tables.visit_leaves(at..range.end, TABLES_AT_ONCE, &mut |leaves| {
                for_each_used(&leaves, |page, size, slot| {
                    let entry = slot.load();
                    let fits = size == PageSize::Small
                        && is_file_page(entry)
                        && (which == FilePages::All
                            || !entry.flags().contains(EntryFlags::WRITABLE));
                    if fits && !taken.is_full() {
                        taken.push((page, PageTable::take_leaf(slot)));
                    }
                });
                if taken.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            drop(tables);
            let bounds = taken.first().zip(taken.last());
            let bounds = bounds.map(|((first, _), (last, _))| (*first, last.offset(PAGE_SIZE)));
            if let Some((first, end)) = bounds {
                let pages = (end.as_u64() - first.as_u64()) / PAGE_SIZE;
                shootdown::user_range(self.root, &self.loaded_on, first, pages);
            }
            let is_full = taken.is_full();
            self.mapped.fetch_sub(taken.len(), Ordering::Relaxed);
            count += taken.len();
            for (_, mapping) in taken {
                // SAFETY: an entry of these tables that was taken out, and every CPU has
                // forgotten it.
                unsafe { release(mapping) };
            }
            match (is_full, bounds, rest) {
                (true, Some((_, end)), _) => at = end,
                (_, _, Some(rest)) => at = rest,
                _ => break,
            }
        }
        count
    }
}
