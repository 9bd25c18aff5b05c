//! Work on ranges of the user half: visiting the leaves, taking leaves and whole tables
//! out, and breaking a large page up.
//!
//! All of it goes down the tree once per table, not once per page, and stops after a
//! bounded number of tables, so that a caller who holds a lock can let go of it in between.

use core::ops::{ControlFlow, Range};

use super::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use super::entry::{Entry, EntryFlags, EntrySlot};
use super::mapper::{FrameSource, MapError, Mapping, PageSize, PageTable, are_empty};

/// Bytes that one entry of a table of `level` covers.
const fn covers(level: u8) -> u64 {
    PAGE_SIZE << (9 * (level as u32 - 1))
}

/// What [`PageTable::take_range`] has taken out of the tree.
#[derive(Debug)]
pub enum Taken {
    /// A page.
    Leaf(VirtAddr, Mapping),
    /// A table with all that is in it.
    Table(DetachedTable),
}

/// A table that is no longer in its tree.
#[derive(Debug)]
#[must_use = "the table is lost unless it is freed"]
pub struct DetachedTable {
    /// The tree, for the way to tables alone.
    tree: PhysAddr,
    table: PhysAddr,
    level: u8,
    /// No entry is used, so that none need be looked at.
    is_empty: bool,
}

impl DetachedTable {
    /// Frees the table and those below it. `leaf` gets every mapping in them, in ascending
    /// order, and frees its frame or not.
    ///
    /// # Safety
    /// Each CPU that had the tree loaded has since forgotten what it knew of the table's
    /// pages.
    pub unsafe fn free(self, frames: &mut dyn FrameSource, leaf: &mut dyn FnMut(Mapping)) {
        if self.is_empty && self.level == 1 {
            frames.free_table(self.table);
            return;
        }
        // SAFETY: the tree that the table was part of: `from_root`'s caller spoke for all
        // its tables. Nothing else is reached through this value.
        let tree = unsafe { PageTable::from_root(self.tree) };
        tree.free_level(self.table, self.level, frames, leaf);
    }
}

/// Leaf entries that a walk has come to, used or not.
pub enum Leaves<'a> {
    /// Entries in a row of a lowest table, and the page of the first.
    Small(VirtAddr, &'a [EntrySlot]),
    /// The entry of a 2 MiB page, and the page.
    Large(VirtAddr, &'a EntrySlot),
}

type Visit<'a> = &'a mut dyn FnMut(Leaves<'_>) -> ControlFlow<()>;

/// One walk: where it is, where it ends, how many more tables it may enter.
struct Walk {
    at: u64,
    end: u64,
    tables: usize,
}

impl Walk {
    fn new(range: &Range<VirtAddr>, tables: usize) -> Self {
        Self { at: range.start.as_u64(), end: range.end.as_u64(), tables }
    }

    /// Goes on to the next entry in use, from `index` of a table of `level` on; its index.
    /// `None` behind the last one, or at the walk's end.
    fn next_used(&mut self, table: &[EntrySlot], level: u8, mut index: usize) -> Option<usize> {
        let step = covers(level);
        while self.at < self.end {
            let rest = table.get(index..)?;
            let first = rest.first()?.load();
            if first.is_used() {
                return Some(index);
            }
            // Of eight empty ones none need be looked at twice.
            let count = if rest.first_chunk().is_some_and(are_empty) { 8 } else { 1 };
            index += count;
            self.at = (self.at & !(step - 1)) + count as u64 * step;
        }
        None
    }

    /// Counts one more table.
    fn enter(&mut self) -> ControlFlow<()> {
        match self.tables.checked_sub(1) {
            Some(left) => {
                self.tables = left;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }

    /// Where to go on after the walk has stopped early.
    fn rest(&self, walked: ControlFlow<()>) -> Option<VirtAddr> {
        (walked.is_break() && self.at < self.end).then(|| VirtAddr::new(self.at))
    }
}

impl PageTable {
    /// Calls `visit` with the leaf entries that map addresses in `range`, ascending. Stops
    /// when `visit` says so, or after `tables` tables; where to go on then.
    pub fn visit_leaves(
        &self,
        range: Range<VirtAddr>,
        tables: usize,
        visit: Visit<'_>,
    ) -> Option<VirtAddr> {
        let mut walk = Walk::new(&range, tables);
        if range.is_empty() {
            return None;
        }
        let walked = self.visit_level(self.root(), 4, &mut walk, visit);
        walk.rest(walked)
    }

    fn visit_level(
        &self,
        table: PhysAddr,
        level: u8,
        walk: &mut Walk,
        visit: Visit<'_>,
    ) -> ControlFlow<()> {
        let step = covers(level);
        let (table, mut index) = (self.table(table), VirtAddr::new(walk.at).table_index(level));
        while let Some(found) = walk.next_used(table, level, index) {
            index = found + 1;
            let (slot, at) = (&table[found], walk.at);
            let entry = slot.load();
            let next = (at & !(step - 1)) + step;
            if entry.is_leaf(level) {
                debug_assert!(level == 2, "a page of 1 GiB in the user half");
                walk.at = next;
                visit(Leaves::Large(VirtAddr::new(at & !(step - 1)), slot))?;
                continue;
            }
            walk.enter()?;
            if level == 2 {
                walk.at = next;
                let page = VirtAddr::new(at & !(PAGE_SIZE - 1));
                let pages = (walk.end.min(next) - page.as_u64()).div_ceil(PAGE_SIZE);
                let slots = &self.table(entry.address())[page.table_index(1)..];
                visit(Leaves::Small(page, &slots[..pages as usize]))?;
            } else {
                self.visit_level(entry.address(), level - 1, walk, visit)?;
                walk.at = next;
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes all pages in `range` out, and with them each table that lies wholly in `room`,
    /// which holds `range` and has no page of its own. No large page may cross an end of
    /// `range` ([`PageTable::split`]). `take` gets them in ascending order and may say stop;
    /// the walk also stops after `tables` tables. Where to go on then.
    ///
    /// CPUs may know the pages, and walk the tables, until the caller's shootdown.
    pub fn take_range(
        &mut self,
        range: Range<VirtAddr>,
        room: Range<VirtAddr>,
        tables: usize,
        take: &mut dyn FnMut(Taken) -> ControlFlow<()>,
    ) -> Option<VirtAddr> {
        let mut walk = Walk::new(&range, tables);
        if range.is_empty() {
            return None;
        }
        let (start, room) = (walk.at, room.start.as_u64()..room.end.as_u64());
        let walked = self.take_level(self.root(), 4, start, &room, &mut walk, take);
        walk.rest(walked)
    }

    fn take_level(
        &self,
        table: PhysAddr,
        level: u8,
        start: u64,
        room: &Range<u64>,
        walk: &mut Walk,
        take: &mut dyn FnMut(Taken) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let step = covers(level);
        let (table, mut index) = (self.table(table), VirtAddr::new(walk.at).table_index(level));
        while let Some(found) = walk.next_used(table, level, index) {
            index = found + 1;
            let slot = &table[found];
            let entry = slot.load();
            let span = walk.at & !(step - 1);
            let next = span + step;
            if entry.is_leaf(level) {
                debug_assert!(span >= start && next <= walk.end, "a large page across the end");
                walk.at = next;
                let mapping = Self::mapping_of(slot.swap(Entry::EMPTY), level);
                take(Taken::Leaf(VirtAddr::new(span), mapping))?;
                continue;
            }
            let whole = span >= start && next <= walk.end;
            if !whole {
                walk.enter()?;
                self.take_level(entry.address(), level - 1, start, room, walk, take)?;
            }
            walk.at = next;
            if whole || (span >= room.start && next <= room.end) {
                slot.store(Entry::EMPTY);
                take(Taken::Table(DetachedTable {
                    tree: self.root(),
                    table: entry.address(),
                    level: level - 1,
                    is_empty: !whole,
                }))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The table below the entry for `page` in `table`, of `LEVEL`.
    #[inline(always)]
    fn descend<const LEVEL: u8>(&self, table: PhysAddr, page: VirtAddr) -> Option<PhysAddr> {
        let entry = self.slot(table, page, LEVEL).load();
        let is_table = entry.flags() & (EntryFlags::PRESENT | EntryFlags::HUGE);
        (is_table == EntryFlags::PRESENT).then(|| entry.address())
    }

    #[inline(always)]
    fn lowest_table(&self, page: VirtAddr) -> Option<PhysAddr> {
        let table = self.descend::<4>(self.root(), page)?;
        let table = self.descend::<3>(table, page)?;
        self.descend::<2>(table, page)
    }

    /// The entry of the lowest level for `page`, if its table is there: the short way, for
    /// page faults.
    #[inline(always)]
    pub fn small_slot(&self, page: VirtAddr) -> Option<&EntrySlot> {
        Some(self.slot(self.lowest_table(page)?, page, 1))
    }

    /// The entries of the lowest table for `page`, if it is there, from that of `page` on.
    #[inline(always)]
    pub fn small_slots(&self, page: VirtAddr) -> Option<&[EntrySlot]> {
        Some(&self.table(self.lowest_table(page)?)[page.table_index(1)..])
    }

    /// The lowest table on the way to `page` that is there, as the level of its entries, and
    /// the addresses that it is for; `None` if a large page is there.
    #[inline(always)]
    pub fn lowest_span(&self, page: VirtAddr) -> Option<(u8, Range<VirtAddr>)> {
        let (mut table, mut level) = (self.root(), 4);
        while level > 1 {
            let entry = self.slot(table, page, level).load();
            if !entry.is_used() {
                break;
            }
            if entry.is_leaf(level) {
                return None;
            }
            table = entry.address();
            level -= 1;
        }
        let bytes = covers(level) << 9;
        let start = page.align_down(bytes);
        Some((level, start..start.offset(bytes)))
    }

    /// Takes a small page out of its entry.
    pub fn take_leaf(slot: &EntrySlot) -> Mapping {
        Self::mapping_of(slot.swap(Entry::EMPTY), 1)
    }

    /// The leaf entry that maps `page`, and the size of its page.
    pub fn leaf_slot(&self, page: VirtAddr) -> Option<(&EntrySlot, PageSize)> {
        self.leaf(page).map(|(slot, level)| (slot, PageSize::of_level(level)))
    }

    /// Breaks the 2 MiB page that holds `at` up into small ones with the same frames and
    /// rights, if there is one. True if so: then CPUs may still know the large page, which
    /// says the same, until the caller's shootdown.
    ///
    /// # Errors
    /// `OutOfFrames` for the table; nothing has changed then.
    pub fn split(&mut self, at: VirtAddr, frames: &mut dyn FrameSource) -> Result<bool, MapError> {
        let Some((slot, 2)) = self.leaf(at) else { return Ok(false) };
        let table = frames.allocate_table().ok_or(MapError::OutOfFrames)?;
        let entry = slot.load();
        let start = entry.address().align_down(PageSize::Large.bytes());
        let flags = entry.flags() - EntryFlags::HUGE;
        for (small, offset) in self.table(table).iter().zip((0..).step_by(PAGE_SIZE as usize)) {
            small.store(Entry::new(start.offset(offset), flags));
        }
        slot.store(Entry::new(table, Self::table_flags(at)));
        Ok(true)
    }

    /// The entries of the table that maps pages of `size`, from that of `page` on; the missing
    /// tables are made.
    ///
    /// # Errors
    /// `OutOfFrames`, `InsideHugePage`.
    pub fn slots(
        &mut self,
        page: VirtAddr,
        size: PageSize,
        frames: &mut dyn FrameSource,
    ) -> Result<&[EntrySlot], MapError> {
        let mut table = self.root();
        for level in (size.level() + 1..=4).rev() {
            table = self.next_table(table, page, level, frames)?;
        }
        Ok(&self.table(table)[page.table_index(size.level())..])
    }

    /// Whether nothing at all is there for the 2 MiB that hold `page`, also no table.
    pub fn is_block_empty(&self, page: VirtAddr) -> bool {
        let mut table = self.root();
        for level in [4, 3] {
            let entry = self.slot(table, page, level).load();
            if !entry.is_present() {
                return true;
            }
            if entry.is_leaf(level) {
                return false;
            }
            table = entry.address();
        }
        !self.slot(table, page, 2).load().is_used()
    }
}
