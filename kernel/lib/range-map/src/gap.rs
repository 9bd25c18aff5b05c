//! The search for free addresses.

use core::ops::Range;

use crate::chunk::floor;
use crate::{Area, RangeMap};

/// What is looked for.
struct Wish {
    len: u64,
    align: u64,
    within: Range<u64>,
    top_down: bool,
}

impl Wish {
    /// Where it fits between `start` and `end`, which nothing uses.
    #[inline]
    fn fit(&self, start: u64, end: u64) -> Option<u64> {
        if end < start || end - start < self.len { None } else { self.fit_within(start, end) }
    }

    #[inline(never)]
    fn fit_within(&self, start: u64, end: u64) -> Option<u64> {
        let (start, end) = (start.max(self.within.start), end.min(self.within.end));
        if start > end {
            return None;
        }
        let lowest = start.checked_next_multiple_of(self.align)?;
        let highest = end.checked_sub(self.len)? & !(self.align - 1);
        (lowest <= highest).then_some(if self.top_down { highest } else { lowest })
    }
}

impl<A: Area> RangeMap<A> {
    /// The first address of a free range of `len` bytes in `within` that meets no guard:
    /// the highest with `top_down`, else the lowest. It is a multiple of `align`, a power
    /// of two.
    #[must_use]
    pub fn find_gap(
        &self,
        len: u64,
        align: u64,
        within: Range<u64>,
        top_down: bool,
    ) -> Option<u64> {
        debug_assert!(align.is_power_of_two());
        let wish = Wish { len, align, within, top_down };
        if top_down { self.gap_from_top(&wish) } else { self.gap_from_bottom(&wish) }
    }

    fn gap_from_top(&self, wish: &Wish) -> Option<u64> {
        let mut end = u64::MAX;
        for chunk in self.chunks.iter().rev() {
            if end <= wish.within.start {
                return None;
            }
            if let Some(found) = wish.fit(chunk.end, end) {
                return Some(found);
            }
            if chunk.largest_gap >= wish.len {
                for [lower, upper] in chunk.areas.array_windows().rev() {
                    if let Some(found) = wish.fit(lower.end(), floor(upper)) {
                        return Some(found);
                    }
                }
            }
            end = chunk.areas.first().map_or(end, floor);
        }
        wish.fit(0, end)
    }

    fn gap_from_bottom(&self, wish: &Wish) -> Option<u64> {
        let mut start = 0;
        for chunk in &self.chunks {
            if start >= wish.within.end {
                return None;
            }
            let end = chunk.areas.first().map_or(start, floor);
            if let Some(found) = wish.fit(start, end) {
                return Some(found);
            }
            if chunk.largest_gap >= wish.len {
                for [lower, upper] in chunk.areas.array_windows() {
                    if let Some(found) = wish.fit(lower.end(), floor(upper)) {
                        return Some(found);
                    }
                }
            }
            start = chunk.end;
        }
        wish.fit(start, u64::MAX)
    }
}
