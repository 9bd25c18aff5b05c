//! [`Chunk`]: some neighbouring areas, with what lets a search pass over them.

use alloc::vec::Vec;

use crate::Area;

/// Neighbouring areas, at least one unless it is the map's only chunk, or
/// a spare.
pub(crate) struct Chunk<A> {
    /// By rising address.
    pub(crate) areas: Vec<A>,
    /// The end of the last area.
    pub(crate) end: u64,
    /// The largest gap between two of the areas, without guards. At least that, in a map
    /// of one chunk: there nobody asks.
    pub(crate) largest_gap: u64,
}

/// Where the guard of an area begins.
pub(crate) fn floor<A: Area>(area: &A) -> u64 {
    area.start().saturating_sub(area.guard_below())
}

impl<A: Area> Chunk<A> {
    /// A chunk for these areas; its data are not right yet.
    pub(crate) fn new(areas: Vec<A>) -> Self {
        Self { areas, end: 0, largest_gap: u64::MAX }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.areas.len() >= A::PER_CHUNK
    }

    /// The largest gap between two areas.
    pub(crate) fn measure_gap(&self) -> u64 {
        let gaps = self.areas.array_windows().map(|[a, b]| floor(b).saturating_sub(a.end()));
        gaps.max().unwrap_or(0)
    }

    /// The gap below the area `index`; 0 at the ends of the chunk.
    pub(crate) fn gap_below(&self, index: usize) -> u64 {
        match (index.checked_sub(1).and_then(|below| self.areas.get(below)), self.areas.get(index))
        {
            (Some(lower), Some(upper)) => floor(upper).saturating_sub(lower.end()),
            _ => 0,
        }
    }

    /// Puts the end right.
    pub(crate) fn renew_end(&mut self) {
        self.end = self.areas.last().map_or(0, Area::end);
    }

    /// Puts right what is known after the gap below the area `index` became wider.
    pub(crate) fn widened(&mut self, index: usize) {
        self.renew_end();
        self.largest_gap = self.largest_gap.max(self.gap_below(index));
    }

    /// Puts right what is known after a gap that was `old` became smaller, or was filled.
    pub(crate) fn narrowed(&mut self, old: u64) {
        self.renew_end();
        if old > 0 && old == self.largest_gap {
            self.largest_gap = self.measure_gap();
        }
    }
}
