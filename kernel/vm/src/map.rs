//! [`VmaMap`]: the VMAs of an address space, sorted by address, no two overlapping,
//! neighbours merged where they can be.
//!
//! A sorted vector: a program has some tens of VMAs, finding one is a binary search, and
//! every growth can fail with an error, which a tree of boxes cannot.

use alloc::vec::Vec;
use core::ops::Range;

use memory::{OutOfMemory, frames};

use crate::vma::Vma;

/// Most VMAs of one address space (Linux's `vm.max_map_count`).
pub(crate) const MAX_VMAS: usize = 65_530;

/// Most VMAs that a change adds: it cuts at two places, or inserts one.
const ONE_CHANGE: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct VmaMap {
    vmas: Vec<Vma>,
}

impl VmaMap {
    /// A map without VMAs.
    pub const fn new() -> Self {
        Self { vmas: Vec::new() }
    }

    /// All VMAs, by rising address.
    pub fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.vmas.iter()
    }

    /// Index of the first VMA that ends behind `address`.
    fn index_from(&self, address: u64) -> usize {
        self.vmas.partition_point(|vma| vma.end <= address)
    }

    /// The VMA that holds `address`.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        self.vmas.get(self.index_from(address)).filter(|vma| vma.contains(address))
    }

    /// The VMAs that have addresses in `range`, by rising address.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Vma> {
        let from = self.index_from(range.start);
        self.vmas.iter().skip(from).take_while(move |vma| vma.start < range.end)
    }

    /// Whether no VMA has an address in `range`.
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Whether every address in `range` is in some VMA.
    pub fn is_covered(&self, range: Range<u64>) -> bool {
        self.covered_end(range.clone()) >= range.end
    }

    /// Where the first hole in `range` begins; `range.end` or more without one.
    pub fn covered_end(&self, range: Range<u64>) -> u64 {
        let mut at = range.start;
        for vma in self.overlapping(range) {
            if vma.start > at {
                break;
            }
            at = vma.end;
        }
        at
    }

    /// The highest free range of `len` bytes in `within`; its first address.
    pub fn find_gap(&self, len: u64, within: Range<u64>) -> Option<u64> {
        let mut end = within.end;
        let above = self.vmas.partition_point(|vma| vma.start < within.end);
        for vma in self.vmas.iter().take(above).rev() {
            if vma.end <= end && end - vma.end >= len {
                break;
            }
            end = end.min(vma.start);
        }
        let start = end.checked_sub(len)?;
        (start >= within.start).then_some(start)
    }

    /// Makes room for `more` VMAs. One change adds at most [`ONE_CHANGE`].
    ///
    /// # Errors
    /// [`OutOfMemory`], also for more than [`MAX_VMAS`].
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        if self.vmas.len() + more > MAX_VMAS {
            return Err(OutOfMemory);
        }
        if self.vmas.capacity() - self.vmas.len() < more {
            frames::check_user_may_allocate()?;
        }
        self.vmas.try_reserve(more).map_err(|_| OutOfMemory)
    }

    /// Adds a VMA where nothing is, and merges it with its neighbours where it goes on
    /// what they are.
    ///
    /// # Errors
    /// [`OutOfMemory`], also for more than [`MAX_VMAS`]; nothing has changed then.
    pub fn insert(&mut self, vma: Vma) -> Result<(), OutOfMemory> {
        debug_assert!(vma.start < vma.end && self.is_free(vma.range()));
        self.reserve(ONE_CHANGE)?;
        let index = self.index_from(vma.start);
        self.vmas.insert(index, vma);
        self.merge(index + 1);
        self.merge(index);
        Ok(())
    }

    /// Merges the VMA at `index` into the one before it if they fit.
    fn merge(&mut self, index: usize) {
        let Some(before) = index.checked_sub(1) else { return };
        if let (Some(lower), Some(upper)) = (self.vmas.get(before), self.vmas.get(index))
            && lower.can_absorb(upper)
        {
            let end = upper.end;
            self.vmas.remove(index);
            if let Some(lower) = self.vmas.get_mut(before) {
                lower.end = end;
            }
        }
    }

    /// Splits the VMA that has `at` inside, if one has. Room was reserved.
    fn split(&mut self, at: u64) {
        let index = self.index_from(at);
        if let Some(vma) = self.vmas.get_mut(index)
            && vma.start < at
        {
            let upper = vma.split_off(at);
            self.vmas.insert(index + 1, upper);
        }
    }

    /// Splits at both ends of `range`; the VMAs inside it, as indices.
    fn isolate(&mut self, range: &Range<u64>) -> Result<Range<usize>, OutOfMemory> {
        self.reserve(ONE_CHANGE)?;
        self.split(range.start);
        self.split(range.end);
        let from = self.index_from(range.start);
        let to = self.vmas.partition_point(|vma| vma.start < range.end);
        Ok(from..to.max(from))
    }

    /// Takes what lies in `range` out of the map.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing has changed then.
    pub fn remove(&mut self, range: Range<u64>) -> Result<(), OutOfMemory> {
        let inside = self.isolate(&range)?;
        self.vmas.drain(inside);
        Ok(())
    }

    /// Changes each VMA in `range`; those that cross its ends are split first, and what
    /// then fits is merged.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing has changed then.
    pub fn change(
        &mut self,
        range: Range<u64>,
        mut change: impl FnMut(&mut Vma),
    ) -> Result<(), OutOfMemory> {
        let inside = self.isolate(&range)?;
        self.vmas.iter_mut().take(inside.end).skip(inside.start).for_each(&mut change);
        for index in (inside.start..=inside.end).rev() {
            self.merge(index);
        }
        Ok(())
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.vmas = Vec::new();
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;
    use crate::vma::Backing;
    use memory::user::Access;

    const RW: Access = Access { read: true, write: true, execute: false };
    const PAGE: u64 = 4096;

    fn vma(pages: Range<u64>, access: Access) -> Vma {
        Vma {
            start: pages.start * PAGE,
            end: pages.end * PAGE,
            access,
            backing: Backing::Anonymous,
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
