//! [`VmaMap`]: the VMAs of an address space, sorted by address, no two overlapping,
//! neighbours merged where they can be. The structure is floor 0's [`RangeMap`]; here it
//! learns what memory a program may have.

use core::ops::Range;

use memory::{OutOfMemory, frames};
use range_map::{NoMemory, RangeMap};

use crate::PAGE;
use crate::vma::Vma;

/// Most VMAs of one address space (Linux's `vm.max_map_count`).
pub(crate) const MAX_VMAS: usize = 65_530;

/// See the module.
#[derive(Debug)]
pub struct VmaMap {
    vmas: RangeMap<Vma>,
}

impl Default for VmaMap {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the map may take memory: the reserve is not for what programs ask for.
fn may_allocate() -> bool {
    frames::check_user_may_allocate().is_ok()
}

fn out_of_memory(_: NoMemory) -> OutOfMemory {
    OutOfMemory
}

impl VmaMap {
    /// A map without VMAs.
    pub const fn new() -> Self {
        Self { vmas: RangeMap::new(MAX_VMAS, may_allocate) }
    }

    /// All VMAs, by rising address.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.vmas.iter()
    }

    /// How many VMAs there are.
    pub fn len(&self) -> usize {
        self.vmas.len()
    }

    /// Whether there is no VMA.
    pub fn is_empty(&self) -> bool {
        self.vmas.is_empty()
    }

    /// The VMA that holds `address`, if it is the one that was found last.
    #[inline(always)]
    pub fn find_again(&self, address: u64) -> Option<&Vma> {
        self.vmas.find_again(address)
    }

    /// The VMA that holds `address`.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.vmas.find(address)
    }

    /// The first VMA that holds `address` or lies above it.
    pub fn next_from(&self, address: u64) -> Option<&Vma> {
        self.vmas.next_from(address)
    }

    /// The last VMA that begins below `address`.
    pub fn prev_before(&self, address: u64) -> Option<&Vma> {
        self.vmas.prev_before(address)
    }

    /// The VMAs that have addresses in `range`, by rising address.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Vma> {
        self.vmas.overlapping(range)
    }

    /// Whether a VMA begins below `at` and goes on from there, so that a change which begins or
    /// ends at `at` splits it.
    pub(crate) fn is_cut_at(&self, at: u64) -> bool {
        self.find(at).is_some_and(|vma| vma.start < at)
    }

    /// Whether no VMA has an address in `range`.
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.vmas.is_free(range)
    }

    /// Whether `range` is free, and not in the guard of the VMA above it either.
    pub fn is_free_of_guards(&self, range: Range<u64>) -> bool {
        self.vmas.is_free_of_guards(range)
    }

    /// Whether every address in `range` is in some VMA.
    pub fn is_covered(&self, range: Range<u64>) -> bool {
        self.vmas.is_covered(range)
    }

    /// Where the first hole in `range` begins; `range.end` or more without one.
    pub fn covered_end(&self, range: Range<u64>) -> u64 {
        self.vmas.covered_end(range)
    }

    /// The highest free range of `len` bytes in `within`; its first address.
    pub fn find_gap(&self, len: u64, within: Range<u64>) -> Option<u64> {
        self.find_gap_aligned(len, PAGE, within, true)
    }

    /// The highest (`top_down`) or lowest free range of `len` bytes in `within`; its first
    /// address, which is a multiple of `align`, a power of two.
    pub fn find_gap_aligned(
        &self,
        len: u64,
        align: u64,
        within: Range<u64>,
        top_down: bool,
    ) -> Option<u64> {
        self.vmas.find_gap(len, align, within, top_down)
    }

    /// Makes room for `more` VMAs: changes that add no more cannot fail then. An
    /// insertion or a removal adds at most one, a change two.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for more than [`MAX_VMAS`].
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        self.vmas.reserve(more).map_err(out_of_memory)
    }

    /// Adds a VMA where nothing is, and merges it with its neighbours where it goes on
    /// what they are.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for more than [`MAX_VMAS`]; nothing has changed then.
    pub fn insert(&mut self, vma: Vma) -> Result<(), OutOfMemory> {
        self.vmas.insert(vma).map_err(out_of_memory)
    }

    /// Takes what lies in `range` out of the map.
    ///
    /// # Errors
    /// [`OutOfMemory`], only if `range` is inside a VMA; nothing has changed then.
    pub fn remove(&mut self, range: Range<u64>) -> Result<(), OutOfMemory> {
        self.vmas.remove(range).map_err(out_of_memory)
    }

    /// Takes out the VMA whose addresses are just those of `range`, if there is one.
    pub fn take_exact(&mut self, range: &Range<u64>) -> Option<Vma> {
        self.vmas.take_exact(range)
    }

    /// The free addresses around `address`, which is in no VMA.
    pub fn gap_around(&self, address: u64) -> Range<u64> {
        self.vmas.gap_around(address)
    }

    /// Changes each VMA in `range`; those that cross its ends are split first, and what
    /// then fits is merged.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing has changed then.
    pub fn change(
        &mut self,
        range: Range<u64>,
        change: impl FnMut(&mut Vma),
    ) -> Result<(), OutOfMemory> {
        self.vmas.change(range, change).map_err(out_of_memory)
    }

    /// Gives the VMA that holds `address` other ends, and merges it with what it then
    /// meets and fits. Returns whether it was done: not if it would meet others' addresses.
    #[must_use]
    pub fn resize(&mut self, address: u64, to: Range<u64>) -> bool {
        self.vmas.resize(address, to)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.vmas.clear();
    }
}

#[cfg(not(test))]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::vma::{Backing, VmaFlags};
    use memory::user::Access;

    const RW: Access = Access { read: true, write: true, execute: false };

    fn vma(pages: Range<u64>, access: Access) -> Vma {
        Vma {
            start: pages.start * PAGE,
            end: pages.end * PAGE,
            access,
            flags: VmaFlags::empty(),
            backing: Backing::Anonymous,
            link: None,
        }
    }

    fn pages(map: &VmaMap) -> Vec<(u64, u64)> {
        map.iter().map(|vma| (vma.start / PAGE, vma.end / PAGE)).collect()
    }

    #[base::kernel_test]
    fn neighbours_merge_and_split() {
        let mut map = VmaMap::new();
        map.insert(vma(10..12, RW)).expect("memory");
        map.insert(vma(14..16, RW)).expect("memory");
        map.insert(vma(12..14, RW)).expect("memory");
        assert_eq!(pages(&map), [(10, 16)]);
        map.change(11 * PAGE..13 * PAGE, |vma| vma.access = Access::NONE).expect("memory");
        assert_eq!(pages(&map), [(10, 11), (11, 13), (13, 16)]);
        map.change(11 * PAGE..13 * PAGE, |vma| vma.access = RW).expect("memory");
        assert_eq!(pages(&map), [(10, 16)]);
        map.remove(12 * PAGE..13 * PAGE).expect("memory");
        assert_eq!(pages(&map), [(10, 12), (13, 16)]);
        assert!(map.is_covered(13 * PAGE..16 * PAGE) && !map.is_covered(11 * PAGE..14 * PAGE));
        assert_eq!(map.covered_end(10 * PAGE..16 * PAGE), 12 * PAGE);
        map.remove(0..100 * PAGE).expect("memory");
        assert!(pages(&map).is_empty());
    }

    #[base::kernel_test]
    fn the_reserve_is_not_for_maps() {
        let mut hogs: Vec<frames::FrameRun> = Vec::with_capacity(1000);
        let mut order = 18;
        while hogs.len() < hogs.capacity() {
            let now = frames::statistics();
            let left = now.free.saturating_sub(now.reserve);
            match frames::FrameRun::allocate_order(order, frames::FrameUse::Other) {
                _ if left == 0 => break,
                Ok(run) if run.frames() <= left => hogs.push(run),
                _ if order == 0 => break,
                _ => order -= 1,
            }
        }
        let mut map = VmaMap::new();
        let refused = map.insert(vma(10..12, RW));
        drop(hogs);
        assert_eq!(refused, Err(OutOfMemory));
        assert_eq!(map.insert(vma(10..12, RW)), Ok(()));
    }

    #[base::kernel_test]
    fn the_highest_gap_that_fits_is_found() {
        let mut map = VmaMap::new();
        let within = 10 * PAGE..100 * PAGE;
        assert_eq!(map.find_gap(PAGE, within.clone()), Some(99 * PAGE));
        map.insert(vma(95..100, RW)).expect("memory");
        map.insert(vma(90..93, Access::NONE)).expect("memory");
        assert_eq!(map.find_gap(PAGE, within.clone()), Some(94 * PAGE));
        assert_eq!(map.find_gap(2 * PAGE, within.clone()), Some(93 * PAGE));
        assert_eq!(map.find_gap(3 * PAGE, within.clone()), Some(87 * PAGE));
        assert_eq!(map.find_gap(80 * PAGE, within.clone()), Some(10 * PAGE));
        assert_eq!(map.find_gap(81 * PAGE, within.clone()), None);
    }
}
