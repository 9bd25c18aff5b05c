//! [`UserTable`]: work on ranges of pages. The lock is free now and then, so that a large
//! range does not keep preemption off; the address space's own lock keeps other changes out.

use core::ops::{ControlFlow, Range};
use core::sync::atomic::Ordering;

use arch::paging::{
    Entry, EntryFlags, EntrySlot, Leaves, Mapping, PAGE_SIZE, PageSize, PageTable, Taken, VirtAddr,
};
use arrayvec::ArrayVec;

use super::access::Access;
use super::file_pages::is_file_page;
use super::table::{LARGE_PAGES, UserTable, is_exclusive, is_user_page, pages_of, release};
use crate::OutOfMemory;
use crate::frames;
use crate::shootdown;

/// Pages and tables that are taken out for one shootdown.
pub(super) const BATCH: usize = 32;
/// Tables that are looked at in one go, with preemption off.
pub(super) const TABLES_AT_ONCE: usize = 16;
/// The end of the lower half, a multiple of what any table covers.
const LOWER_HALF_END: VirtAddr = VirtAddr::new(1 << 47);

/// Calls `each` with the leaf entries in use among `leaves`, and their pages and sizes.
pub(super) fn for_each_used(
    leaves: &Leaves<'_>,
    mut each: impl FnMut(VirtAddr, PageSize, &EntrySlot),
) {
    match leaves {
        Leaves::Small(first, slots) => {
            arch::paging::for_each_used(slots, |index, slot| {
                each(first.offset(index as u64 * PAGE_SIZE), PageSize::Small, slot);
            });
        }
        Leaves::Large(page, slot) => each(*page, PageSize::Large, slot),
    }
}

/// Whose a page is that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// The program's own: pages that others see stay read-only.
    Own,
    /// Copies are the program's own: pages of the file stay read-only, too.
    Copies,
    /// Everybody's.
    Shared,
    /// Everybody's, and somebody is to be told of the first write: what is read-only stays so.
    Told,
}

/// Whether a CPU that knows `old` must forget it for `new` to hold: less is allowed.
fn takes_away(old: EntryFlags, new: EntryFlags) -> bool {
    let allowed = EntryFlags::PRESENT | EntryFlags::WRITABLE;
    old.contains(EntryFlags::PRESENT)
        && (!(old & (allowed - new)).is_empty()
            || new.contains(EntryFlags::NO_EXECUTE) && !old.contains(EntryFlags::NO_EXECUTE))
}

impl UserTable {
    fn forget_all(&self) {
        // More pages than any CPU forgets one by one: it forgets everything, also the tables
        // that it had walked.
        shootdown::user_range(self.root, &self.loaded_on, VirtAddr::new(0), u64::MAX);
    }

    /// Calls `visit` with the leaf entries of `range`, under the lock, until it says stop.
    fn visit(
        &self,
        range: &Range<VirtAddr>,
        mut visit: impl FnMut(&Leaves<'_>) -> ControlFlow<()>,
    ) {
        let (mut at, mut is_stopped) = (range.start, false);
        while !is_stopped {
            let tables = self.tables.lock();
            let rest = tables.visit_leaves(at..range.end, TABLES_AT_ONCE, &mut |leaves| {
                let walked = visit(&leaves);
                is_stopped = walked.is_break();
                walked
            });
            drop(tables);
            let Some(rest) = rest else { return };
            at = rest;
        }
    }

    /// Takes all mappings in `range` away and drops their frames; tables go with them that lie
    /// wholly in `room`, which holds `range` and in which nothing else is mapped. No large page
    /// may cross an end of `range`: see [`UserTable::split`].
    pub fn unmap_range(&self, range: Range<VirtAddr>, room: Range<VirtAddr>) {
        if self.unmap_few(&range, &room) {
            return;
        }
        let mut at = range.start;
        loop {
            let mut taken: ArrayVec<Taken, BATCH> = ArrayVec::new();
            let rest = self.tables.lock().take_range(
                at..range.end,
                room.clone(),
                TABLES_AT_ONCE,
                &mut |part| {
                    taken.push(part);
                    if taken.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            self.forget(&taken);
            taken.into_iter().for_each(|part| self.free(part));
            match rest {
                Some(rest) => at = rest,
                None => return,
            }
        }
    }

    /// Unmaps a few small pages in one lowest table, the short way, if no table goes with
    /// them. False if it is not so.
    fn unmap_few(&self, range: &Range<VirtAddr>, room: &Range<VirtAddr>) -> bool {
        let pages = ((range.end.as_u64() - range.start.as_u64()) / PAGE_SIZE) as usize;
        let block = range.start.align_down(PageSize::Large.bytes());
        if pages > BATCH || range.end > block.offset(PageSize::Large.bytes()) {
            return false;
        }
        let mut taken: ArrayVec<Taken, BATCH> = ArrayVec::new();
        {
            let tables = self.tables.lock();
            let Some((level, span)) = tables.lowest_span(range.start) else { return false };
            if level < 4 && room.start <= span.start && span.end <= room.end {
                return false;
            }
            let slots = if level == 1 { tables.small_slots(range.start) } else { None };
            for (index, slot) in (0..).zip(slots.unwrap_or_default().iter().take(pages)) {
                if slot.load().is_used() {
                    let page = range.start.offset(index * PAGE_SIZE);
                    taken.push(Taken::Leaf(page, PageTable::take_leaf(slot)));
                }
            }
        }
        if !taken.is_empty() {
            self.forget(&taken);
            taken.into_iter().for_each(|part| self.free(part));
        }
        true
    }

    /// Makes all CPUs forget what was taken out.
    fn forget(&self, taken: &[Taken]) {
        let mut pages: Option<(VirtAddr, VirtAddr)> = None;
        for part in taken {
            let Taken::Leaf(page, mapping) = part else { return self.forget_all() };
            let end = page.offset(mapping.size.bytes());
            pages = Some((pages.map_or(*page, |(first, _)| first), end));
        }
        if let Some((first, end)) = pages {
            let pages = (end.as_u64() - first.as_u64()) / PAGE_SIZE;
            shootdown::user_range(self.root, &self.loaded_on, first, pages);
        }
    }

    fn free(&self, part: Taken) {
        let mut pages = 0;
        let mut leaf = |mapping: Mapping| {
            if !mapping.flags.contains(EntryFlags::BORROWED) {
                pages += pages_of(mapping.size);
            }
            // SAFETY: an entry of these tables, which was taken out and forgotten.
            unsafe { release(mapping) };
        };
        match part {
            Taken::Leaf(_, mapping) => leaf(mapping),
            // SAFETY: taken out of these tables and forgotten by all CPUs.
            Taken::Table(table) => unsafe { table.free(&mut self.source(), &mut leaf) },
        }
        self.mapped.fetch_sub(pages, Ordering::Relaxed);
    }

    /// Takes all mappings and all tables but the top one away. Takes long where there are
    /// many, but can be preempted.
    pub fn clear(&self) {
        let all = VirtAddr::new(0)..LOWER_HALF_END;
        self.unmap_range(all.clone(), all);
    }

    /// Breaks up a large page that has `at` inside, so that a change may end there.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing has changed then.
    pub fn split(&self, at: VirtAddr) -> Result<(), OutOfMemory> {
        if at.is_aligned(PageSize::Large.bytes()) || !at.is_user() {
            return Ok(());
        }
        self.split_locked(&mut self.tables.lock(), at)
    }

    /// Changes what may be done with the mapped pages in `range`; they keep their frames,
    /// also when that is nothing. Which of them may be written if `access` says so is for
    /// `writes` to say. No large page may cross an end of `range`.
    pub fn protect_range(&self, range: Range<VirtAddr>, access: Access, writes: Writes) {
        match writes {
            Writes::Own => self.protect(&range, access, is_exclusive),
            Writes::Copies => self.protect(&range, access, |entry, size| {
                is_exclusive(entry, size) && !is_file_page(entry)
            }),
            Writes::Shared => self.protect(&range, access, |_, _| true),
            Writes::Told => self
                .protect(&range, access, |entry, _| entry.flags().contains(EntryFlags::WRITABLE)),
        }
    }

    /// As [`UserTable::protect_range`]; `may_write` is asked what was mapped before.
    #[inline(always)]
    fn protect(
        &self,
        range: &Range<VirtAddr>,
        access: Access,
        may_write: impl Fn(Entry, PageSize) -> bool,
    ) {
        let mut forget: Option<(VirtAddr, VirtAddr)> = None;
        self.visit(range, |leaves| {
            for_each_used(leaves, |page, size, slot| {
                let old = slot.load();
                let kept = old.flags() & (EntryFlags::HUGE | EntryFlags::BORROWED);
                let writable = access.write && may_write(old, size);
                let rights = if writable { access } else { access.read_only() };
                let flags = rights.flags() | kept;
                slot.store(Entry::new(old.address().align_down(size.bytes()), flags));
                if takes_away(old.flags(), flags) {
                    let first = forget.map_or(page, |(first, _)| first);
                    forget = Some((first, page.offset(size.bytes())));
                }
            });
            ControlFlow::Continue(())
        });
        if let Some((first, end)) = forget {
            let pages = (end.as_u64() - first.as_u64()) / PAGE_SIZE;
            shootdown::user_range(self.root, &self.loaded_on, first, pages);
        }
    }

    /// Writes 1 for each page in `range` that is there, in ascending order, and leaves the
    /// bytes of others as they are.
    pub fn residency(&self, range: Range<VirtAddr>, bytes: &mut [u8]) {
        self.visit(&range, |leaves| {
            for_each_used(leaves, |page, size, _| {
                let start = page.max(range.start);
                let end = page.offset(size.bytes()).min(range.end);
                let index =
                    |at: VirtAddr| ((at.as_u64() - range.start.as_u64()) / PAGE_SIZE) as usize;
                if let Some(bytes) = bytes.get_mut(index(start)..index(end)) {
                    bytes.fill(1);
                }
            });
            ControlFlow::Continue(())
        });
    }

    /// Moves the mapped pages in `from` to `to` and on, where none may be mapped. No large
    /// page may cross an end of `from`.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; then nothing has moved.
    pub fn move_range(&self, from: Range<VirtAddr>, to: VirtAddr) -> Result<(), OutOfMemory> {
        let target = |page: VirtAddr| to.offset(page.as_u64() - from.start.as_u64());
        self.prepare_move(&from, target)?;
        let mut at = from.start;
        loop {
            let mut moving: ArrayVec<(VirtAddr, PageSize, Entry), BATCH> = ArrayVec::new();
            let mut tables = self.tables.lock();
            // One table at a time, and of it as much as there is room for.
            let rest = tables.visit_leaves(at..from.end, TABLES_AT_ONCE, &mut |leaves| {
                for_each_used(&leaves, |page, size, slot| {
                    if !moving.is_full() {
                        moving.push((page, size, slot.swap(Entry::EMPTY)));
                    }
                });
                if moving.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            for (page, size, entry) in &moving {
                self.put_moved(&mut tables, target(*page), *size, *entry);
            }
            drop(tables);
            let last = moving.last().map(|(page, size, _)| page.offset(size.bytes()));
            match (moving.is_full(), last, rest) {
                (true, Some(last), _) | (false, _, Some(last)) => at = last,
                _ => break,
            }
        }
        self.forget_all();
        Ok(())
    }

    /// Makes the tables that a move needs, so that nothing can fail half-way, and breaks up
    /// the large pages that do not fit where they go.
    fn prepare_move(
        &self,
        from: &Range<VirtAddr>,
        target: impl Fn(VirtAddr) -> VirtAddr,
    ) -> Result<(), OutOfMemory> {
        let mut at = from.start;
        while at < from.end {
            let mut tables = self.tables.lock();
            let mut next = None;
            let rest = tables.visit_leaves(at..from.end, TABLES_AT_ONCE, &mut |leaves| {
                for_each_used(&leaves, |page, size, _| {
                    next.get_or_insert((page, size));
                });
                if next.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let Some((page, size)) = next else {
                match rest {
                    Some(rest) => at = rest,
                    None => return Ok(()),
                }
                continue;
            };
            let to = target(page);
            let fits = to.is_aligned(size.bytes()) && tables.is_block_empty(to);
            if size == PageSize::Large && fits {
                tables.slots(to, size, &mut self.source())?;
                at = page.offset(size.bytes());
                continue;
            }
            if size == PageSize::Large {
                self.split_locked(&mut tables, page)?;
            }
            tables.slots(to, PageSize::Small, &mut self.source())?;
            at = page.offset(PAGE_SIZE);
        }
        Ok(())
    }

    fn put_moved(&self, tables: &mut PageTable, to: VirtAddr, size: PageSize, entry: Entry) {
        assert!(is_user_page(to), "moving a page to {to}");
        match tables.slots(to, size, &mut self.source()) {
            Ok([slot, ..]) => slot.store(entry),
            other => panic!("moving a page to {to}, whose tables were made: {:?}", other.err()),
        }
    }

    /// Shows the pages in `range` in `child`, too, a table of which nothing in `range` is
    /// mapped: from now on who writes gets a copy, here and there. `child` may not be in use.
    /// If `was_writable` is set then, [`UserTable::forget_writable`] must follow before the
    /// address space's lock is given up.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; `child` has some of the pages then.
    pub fn share_range(
        &self,
        child: &Self,
        range: Range<VirtAddr>,
        was_writable: &mut bool,
    ) -> Result<(), OutOfMemory> {
        let mut result = Ok(());
        self.visit(&range, |leaves| match child.share_leaves(leaves, was_writable) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        });
        result
    }

    /// Makes all CPUs forget that pages were writable which [`UserTable::share_range`] has
    /// shared.
    pub fn forget_writable(&self) {
        self.forget_all();
    }

    fn share_leaves(
        &self,
        leaves: &Leaves<'_>,
        was_writable: &mut bool,
    ) -> Result<(), OutOfMemory> {
        let mut protected = |slot: &EntrySlot| {
            let entry = slot.load();
            let flags = entry.flags() - EntryFlags::WRITABLE - EntryFlags::DIRTY;
            let read_only = Entry::new(entry.address(), flags);
            if entry.flags().contains(EntryFlags::WRITABLE) {
                slot.store(read_only);
                *was_writable = true;
            }
            read_only
        };
        // One after the other's lock, in this order alone: a child is in nobody else's hands.
        let mut tables = self.tables.lock_nested(1);
        let source = &mut self.source();
        let mut shared = 0;
        match leaves {
            Leaves::Large(page, slot) => {
                let entry = protected(slot);
                let start = entry.address().align_down(PageSize::Large.bytes());
                tables.map(*page, start, PageSize::Large, entry.flags(), source)?;
                // SAFETY: the parent's entry keeps its frames, under its lock; the child's
                // entry owns the new references.
                unsafe { frames::share_range(start, LARGE_PAGES) };
                shared = LARGE_PAGES;
            }
            Leaves::Small(first, slots) => {
                // The page of zeros is brought again when it is touched.
                let is_shared =
                    |entry: Entry| entry.is_used() && !entry.flags().contains(EntryFlags::BORROWED);
                let Some(from) = slots.iter().position(|slot| is_shared(slot.load())) else {
                    return Ok(());
                };
                let page = first.offset(from as u64 * PAGE_SIZE);
                let targets = tables.slots(page, PageSize::Small, source)?;
                arch::paging::for_each_used(&slots[from..], |index, slot| {
                    if let Some(to) = targets.get(index)
                        && is_shared(slot.load())
                    {
                        let entry = protected(slot);
                        // SAFETY: as above.
                        unsafe { frames::share_range(entry.address(), 1) };
                        to.store(entry);
                        shared += 1;
                    }
                });
            }
        }
        self.mapped.fetch_add(shared, Ordering::Relaxed);
        Ok(())
    }
}
