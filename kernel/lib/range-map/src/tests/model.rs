//! The naive model: what is at each page.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::chunk::floor;
use crate::{Area, RangeMap};

/// An area with few neighbours in a chunk, so that there are many chunks. Its offset is
/// that of its first page, as that in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tagged {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) tag: u8,
    pub(super) offset: u64,
    pub(super) guard: u64,
}

impl Area for Tagged {
    const PER_CHUNK: usize = 5;

    fn start(&self) -> u64 {
        self.start
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn set_start(&mut self, start: u64) {
        self.offset = self.offset.wrapping_add(start.wrapping_sub(self.start));
        self.start = start;
    }

    fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    fn split_off(&mut self, at: u64) -> Self {
        assert!(self.start < at && at < self.end);
        let mut upper = self.clone();
        upper.set_start(at);
        self.end = at;
        upper
    }

    fn can_absorb(&self, next: &Self) -> bool {
        let goes_on = self.offset.wrapping_add(self.end - self.start) == next.offset;
        self.end == next.start && self.tag == next.tag && self.guard == next.guard && goes_on
    }

    fn guard_below(&self) -> u64 {
        self.guard
    }
}

/// The same with chunks of a page.
#[derive(Clone, Debug)]
pub(super) struct Wide(pub(super) Tagged);

impl Area for Wide {
    fn start(&self) -> u64 {
        self.0.start
    }

    fn end(&self) -> u64 {
        self.0.end
    }

    fn set_start(&mut self, start: u64) {
        self.0.set_start(start);
    }

    fn set_end(&mut self, end: u64) {
        self.0.set_end(end);
    }

    fn split_off(&mut self, at: u64) -> Self {
        Self(self.0.split_off(at))
    }

    fn can_absorb(&self, next: &Self) -> bool {
        self.0.can_absorb(&next.0)
    }
}

/// Tag, guard and offset of each page.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Model(BTreeMap<u64, (u8, u64, u64)>);

impl Model {
    pub(super) fn of<'a>(areas: impl IntoIterator<Item = &'a Tagged>) -> Self {
        let mut model = Self::default();
        areas.into_iter().for_each(|area| model.insert(area));
        model
    }

    pub(super) fn page(&self, page: u64) -> Option<(u8, u64)> {
        self.0.get(&page).map(|&(tag, guard, _)| (tag, guard))
    }

    pub(super) fn is_free(&self, range: Range<u64>) -> bool {
        self.0.range(range).next().is_none()
    }

    pub(super) fn insert(&mut self, area: &Tagged) {
        for page in area.start..area.end {
            let offset = area.offset.wrapping_add(page - area.start);
            assert_eq!(self.0.insert(page, (area.tag, area.guard, offset)), None);
        }
    }

    pub(super) fn take(&mut self, range: Range<u64>) -> Self {
        let mut taken = self.0.split_off(&range.start);
        self.0.append(&mut taken.split_off(&range.end));
        Self(taken)
    }

    pub(super) fn change(&mut self, range: Range<u64>, tag: u8) {
        self.0.range_mut(range).for_each(|(_, page)| page.0 = tag);
    }

    pub(super) fn guard(&mut self, range: Range<u64>, guard: u64) {
        self.0.range_mut(range).for_each(|(_, page)| page.1 = guard);
    }

    /// `areas` are those of the map, for the model does not know where they end.
    pub(super) fn resize(&mut self, areas: &[Tagged], at: u64, to: Range<u64>) -> bool {
        let Some(area) = areas.iter().find(|area| area.start <= at && at < area.end) else {
            return false;
        };
        let meets = |other: &&Tagged| other.start < to.end && to.start < other.end;
        if to.is_empty() || areas.iter().any(|other| other != area && meets(&other)) {
            return false;
        }
        // An area does not jump over another one either.
        let below = areas.iter().filter(|other| other.end <= area.start).map(|other| other.end);
        let above = areas.iter().filter(|other| other.start >= area.end).map(|other| other.start);
        if below.max().is_some_and(|end| to.start < end)
            || above.min().is_some_and(|start| start < to.end)
        {
            return false;
        }
        self.take(area.start..area.end);
        let mut area = area.clone();
        area.set_start(to.start);
        area.set_end(to.end);
        self.insert(&area);
        true
    }
}

/// Tries each address.
pub(super) fn find_gap(
    areas: &[Tagged],
    len: u64,
    align: u64,
    within: Range<u64>,
    top_down: bool,
) -> Option<u64> {
    // A guard ends where another area is.
    let below = |area: &Tagged| {
        areas.iter().map(|other| other.end).filter(|&end| end <= area.start).max().unwrap_or(0)
    };
    let fits = |&start: &u64| {
        let free = |area: &Tagged| start + len <= floor(area).max(below(area)) || area.end <= start;
        start % align == 0 && start + len <= within.end && areas.iter().all(free)
    };
    let mut starts = within.clone();
    if top_down { starts.rfind(fits) } else { starts.find(fits) }
}

/// The map must say what the model says, and what it knows about itself must be right.
pub(super) fn compare(map: &RangeMap<Tagged>, model: &Model) {
    let areas: Vec<&Tagged> = map.iter().collect();
    assert_eq!(map.len(), areas.len());
    assert_eq!(Model::of(areas.iter().copied()), *model);
    for [a, b] in areas.array_windows() {
        assert!(a.end <= b.start, "{a:?} {b:?}");
    }
    let sizes: Vec<usize> = map.chunks.iter().map(|chunk| chunk.areas.len()).collect();
    let per_chunk = Tagged::PER_CHUNK;
    assert!(sizes.iter().all(|&size| size <= per_chunk), "{sizes:?}");
    if let [_, _, ..] = sizes[..] {
        assert!(sizes.iter().all(|&size| size > 0), "{sizes:?}");
        assert!(sizes.array_windows().all(|[a, b]| a + b > per_chunk / 2), "{sizes:?}");
        for chunk in &map.chunks {
            assert!(chunk.areas.capacity() >= per_chunk);
            assert_eq!(chunk.largest_gap, chunk.measure_gap());
        }
    }
    for chunk in &map.chunks {
        assert_eq!(chunk.end, chunk.areas.last().map_or(0, |area| area.end));
    }
    for page in (0..super::PAGES + 10).step_by(7) {
        let holds = |area: &&&Tagged| area.start <= page && page < area.end;
        assert_eq!(map.find(page), areas.iter().find(holds).copied());
        assert_eq!(map.find(page), areas.iter().find(holds).copied(), "again");
        assert_eq!(map.next_from(page), areas.iter().find(|area| area.end > page).copied());
        let before = areas.iter().rfind(|area| area.start < page).copied();
        assert_eq!(map.prev_before(page), before);
        if map.find(page).is_none() {
            let below = areas.iter().rfind(|area| area.end <= page).map_or(0, |area| area.end);
            let above = areas.iter().find(|area| area.start > page);
            assert_eq!(map.gap_around(page), below..above.map_or(u64::MAX, |area| area.start));
        }
        let range = page..page + 20;
        assert_eq!(map.is_free(range.clone()), model.is_free(range.clone()));
        let hole = range.clone().find(|&page| model.page(page).is_none());
        assert_eq!(map.is_covered(range.clone()), hole.is_none());
        assert_eq!(map.covered_end(range.clone()).min(range.end), hole.unwrap_or(range.end));
        let inside = areas.iter().filter(|area| area.start < range.end && range.start < area.end);
        assert!(map.overlapping(range.clone()).eq(inside.copied()));
    }
}
