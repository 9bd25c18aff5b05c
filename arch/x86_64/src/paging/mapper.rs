//! [`PageTable`]: walks, maps, unmaps and frees a tree of four-level tables.
//!
//! Tables are reached through the physical map. Intermediate entries are made by one
//! rule: present, writable, executable, and user-accessible exactly below
//! [`USER_END`](super::USER_END); the leaf alone restricts.

use super::addr::{IMAGE_BASE, PAGE_SIZE, PhysAddr, TOP_LEVEL_SLOT, VirtAddr};
use super::entry::{Entry, EntryFlags, EntrySlot};
use super::flush::Flush;

/// Sizes of page that the CPU can map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
    /// 1 GiB; only where CPUID says so (see `cpu::features`).
    Giant,
}

impl PageSize {
    /// Bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Small => PAGE_SIZE,
            Self::Large => PAGE_SIZE << 9,
            Self::Giant => PAGE_SIZE << 18,
        }
    }

    pub(super) const fn level(self) -> u8 {
        match self {
            Self::Small => 1,
            Self::Large => 2,
            Self::Giant => 3,
        }
    }

    pub(super) const fn of_level(level: u8) -> Self {
        match level {
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Giant,
        }
    }
}

/// Why a page could not be mapped or unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame for a table.
    OutOfFrames,
    /// Something is mapped there already.
    AlreadyMapped,
    /// Nothing is mapped there.
    NotMapped,
    /// The address lies inside a larger page than the request is for.
    InsideHugePage,
    /// An address is not a multiple of the page size, or not canonical.
    Misaligned,
}

/// Where page tables get their frames from.
pub trait FrameSource {
    /// A frame that is the caller's alone, every byte zero; `None` when memory is out.
    fn allocate_table(&mut self) -> Option<PhysAddr>;
    /// Takes a frame back that `allocate_table` gave.
    fn free_table(&mut self, frame: PhysAddr);
}

/// What an address is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First byte of the page in physical memory.
    pub address: PhysAddr,
    /// Size of the page.
    pub size: PageSize,
    /// Flags of the leaf entry.
    pub flags: EntryFlags,
}

type Table = [EntrySlot; 512];

/// The flags of a leaf at `level`, with what follows from the level and the rights.
pub(super) fn leaf_flags(mut flags: EntryFlags, level: u8) -> EntryFlags {
    flags.set(EntryFlags::PRESENT, !flags.contains(EntryFlags::PROT_NONE));
    flags.set(EntryFlags::HUGE, level != 1);
    flags
}

/// Whether none of eight entries is in use.
#[inline(always)]
pub(super) fn are_empty(slots: &[EntrySlot; 8]) -> bool {
    let [a, b, c, d, e, f, g, h] = slots.each_ref().map(|slot| slot.load().bits());
    (a | b | c | d) | (e | f | g | h) == 0
}

/// Calls `each` with the entries in use among `slots` and their indices. They may be few:
/// eight empty ones are passed over at once.
#[inline(always)]
pub fn for_each_used(slots: &[EntrySlot], mut each: impl FnMut(usize, &EntrySlot)) {
    let (eights, rest) = slots.as_chunks::<8>();
    let mut index = 0;
    for eight in eights {
        if !are_empty(eight) {
            for (offset, slot) in eight.iter().enumerate() {
                if slot.load().is_used() {
                    each(index + offset, slot);
                }
            }
        }
        index += 8;
    }
    for (offset, slot) in rest.iter().enumerate() {
        if slot.load().is_used() {
            each(index + offset, slot);
        }
    }
}

/// A tree of page tables, named by its root. It does not own the tree: the owner
/// (kernel space, user address space) calls [`PageTable::free_user_half`] at its end.
#[derive(Debug)]
pub struct PageTable {
    root: PhysAddr,
}

impl PageTable {
    /// The tree under the level-4 table in frame `root`.
    ///
    /// # Safety
    /// `root` and every table below it must be page tables, mapped in the physical
    /// map, and changed through this value only while it lives.
    pub unsafe fn from_root(root: PhysAddr) -> Self {
        Self { root }
    }

    /// The frame of the top table, as CR3 takes it.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    #[inline(always)]
    pub(super) fn table(&self, frame: PhysAddr) -> &Table {
        // SAFETY: `from_root`'s caller promised that every present intermediate entry
        // names a page table inside the physical map. The slots are atomics, so a
        // shared reference stands beside the CPU's own writes.
        unsafe { &*frame.to_physmap().as_ptr::<Table>() }
    }

    #[inline(always)]
    pub(super) fn slot(&self, table: PhysAddr, page: VirtAddr, level: u8) -> &EntrySlot {
        &self.table(table)[page.table_index(level)]
    }

    /// Copies the entries of the kernel half of the top level from `kernel`.
    pub fn share_kernel_half(&mut self, kernel: &PageTable) {
        let (to, from) = (self.table(self.root), kernel.table(kernel.root));
        for (to, from) in to[256..].iter().zip(&from[256..]) {
            to.store(from.load());
        }
    }

    /// Copies the top-level entry that covers `address` from `other`.
    pub fn share_top_level(&mut self, other: &PageTable, address: VirtAddr) {
        let entry = other.slot(other.root, address, 4).load();
        self.slot(self.root, address, 4).store(entry);
    }

    /// Makes the next-level table of every top-level slot that `[start, end)` touches,
    /// so that trees which share the slot see later mappings in it.
    pub fn prepare_top_level(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        frames: &mut dyn FrameSource,
    ) -> Result<(), MapError> {
        let mut slot_start = start.align_down(TOP_LEVEL_SLOT).as_u64();
        loop {
            self.next_table(self.root, VirtAddr::new(slot_start), 4, frames)?;
            match slot_start.checked_add(TOP_LEVEL_SLOT) {
                Some(next) if next < end.as_u64() => slot_start = next,
                _ => return Ok(()),
            }
        }
    }

    /// The flags of an entry that leads to a table on the way to `page`: the one rule.
    pub(super) fn table_flags(page: VirtAddr) -> EntryFlags {
        let mut flags = EntryFlags::PRESENT | EntryFlags::WRITABLE;
        flags.set(EntryFlags::USER, page.is_user());
        flags
    }

    pub(super) fn mapping_of(entry: Entry, level: u8) -> Mapping {
        let size = PageSize::of_level(level);
        Mapping { address: entry.address().align_down(size.bytes()), size, flags: entry.flags() }
    }

    pub(super) fn next_table(
        &self,
        table: PhysAddr,
        page: VirtAddr,
        level: u8,
        frames: &mut dyn FrameSource,
    ) -> Result<PhysAddr, MapError> {
        let slot = self.slot(table, page, level);
        let entry = slot.load();
        if entry.is_present() {
            return if entry.is_leaf(level) {
                Err(MapError::InsideHugePage)
            } else {
                Ok(entry.address())
            };
        }
        let frame = frames.allocate_table().ok_or(MapError::OutOfFrames)?;
        slot.store(Entry::new(frame, Self::table_flags(page)));
        Ok(frame)
    }

    /// Maps one page. `flags` are those of the leaf without `PRESENT` and `HUGE`,
    /// which this adds; with `PROT_NONE` the leaf is not present.
    ///
    /// # Errors
    /// As [`MapError`] says; on an error nothing is mapped (a fresh empty table may
    /// stay for the next call).
    pub fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        flags: EntryFlags,
        frames: &mut dyn FrameSource,
    ) -> Result<(), MapError> {
        if !page.is_aligned(size.bytes()) || !to.is_aligned(size.bytes()) || !page.is_canonical() {
            return Err(MapError::Misaligned);
        }
        let mut table = self.root;
        let mut level = 4;
        while level > size.level() {
            table = self.next_table(table, page, level, frames)?;
            level -= 1;
        }
        let slot = self.slot(table, page, level);
        if slot.load().is_used() {
            return Err(MapError::AlreadyMapped);
        }
        slot.store(Entry::new(to, leaf_flags(flags, level)));
        Ok(())
    }

    pub(super) fn leaf(&self, page: VirtAddr) -> Option<(&EntrySlot, u8)> {
        if !page.is_canonical() {
            return None;
        }
        let mut table = self.root;
        let mut level = 4;
        loop {
            let slot = self.slot(table, page, level);
            let entry = slot.load();
            if !entry.is_used() {
                return None;
            }
            if entry.is_leaf(level) {
                return Some((slot, level));
            }
            table = entry.address();
            level -= 1;
        }
    }

    /// What `address` is mapped to; for a `PROT_NONE` page the flags lack `PRESENT`.
    pub fn lookup(&self, address: VirtAddr) -> Option<Mapping> {
        let (slot, level) = self.leaf(address)?;
        Some(Self::mapping_of(slot.load(), level))
    }

    /// Takes the mapping of `page` away and returns what it was; the caller decides
    /// about the frame after the flush. Tables stay.
    ///
    /// # Errors
    /// `NotMapped`; `InsideHugePage` if `page` is not the first byte of its page.
    pub fn unmap(&mut self, page: VirtAddr) -> Result<(Mapping, Flush), MapError> {
        let (slot, level) = self.leaf(page).ok_or(MapError::NotMapped)?;
        let size = PageSize::of_level(level);
        if !page.is_aligned(size.bytes()) {
            return Err(MapError::InsideHugePage);
        }
        let mapping = Self::mapping_of(slot.swap(Entry::EMPTY), level);
        Ok((mapping, Flush::new(page)))
    }

    /// Calls `visit` with every entry on the way to `address`, from the top (level 4),
    /// until one is not present or is a leaf.
    pub fn walk(&self, address: VirtAddr, mut visit: impl FnMut(u8, usize, Entry)) {
        let mut table = self.root;
        for level in (1..=4).rev() {
            let entry = self.slot(table, address, level).load();
            visit(level, address.table_index(level), entry);
            if !entry.is_present() || entry.is_leaf(level) {
                return;
            }
            table = entry.address();
        }
    }

    /// Frees every table of the user half and the top table itself. `leaf` gets every
    /// mapping that is still there, in ascending order, and frees its frame or not.
    ///
    /// # Safety
    /// No CPU has this tree loaded, or will load it again.
    pub unsafe fn free_user_half(
        self,
        frames: &mut dyn FrameSource,
        leaf: &mut dyn FnMut(Mapping),
    ) {
        for_each_used(&self.table(self.root)[..256], |_, slot| {
            self.free_level(slot.load().address(), 3, frames, leaf);
        });
        frames.free_table(self.root);
    }

    pub(super) fn free_level(
        &self,
        table: PhysAddr,
        level: u8,
        frames: &mut dyn FrameSource,
        leaf: &mut dyn FnMut(Mapping),
    ) {
        for_each_used(self.table(table), |_, slot| {
            let entry = slot.load();
            if entry.is_leaf(level) {
                leaf(Self::mapping_of(entry, level));
            } else {
                self.free_level(entry.address(), level - 1, frames, leaf);
            }
        });
        frames.free_table(table);
    }
}

/// The address of the kernel image's byte that lies at physical address `address`.
pub const fn image_address(address: PhysAddr) -> VirtAddr {
    VirtAddr::new(IMAGE_BASE + address.as_u64())
}
