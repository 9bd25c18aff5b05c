//! [`RangeMap`], and looking things up in it.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::Area;
use crate::chunk::{Chunk, floor};

/// Areas by rising address; see the crate.
pub struct RangeMap<A> {
    /// Of several, none is empty.
    pub(crate) chunks: Vec<Chunk<A>>,
    /// Empty chunks with all their memory, for changes that must not fail.
    pub(crate) spare: Vec<Chunk<A>>,
    pub(crate) len: usize,
    pub(crate) max: usize,
    pub(crate) may_allocate: fn() -> bool,
    /// The [`Place`] that `find` found last, perhaps outdated.
    hint: AtomicUsize,
}

/// Where an area is: a chunk and an index in it. The one behind the last area is the
/// first of a chunk that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chunk: usize,
    pub(crate) index: usize,
}

const HINT_SHIFT: u32 = usize::BITS / 2;
const HINT_MASK: usize = (1 << HINT_SHIFT) - 1;

impl Place {
    fn pack(self) -> usize {
        self.chunk << HINT_SHIFT | self.index
    }

    fn unpack(hint: usize) -> Self {
        Self { chunk: hint >> HINT_SHIFT, index: hint & HINT_MASK }
    }
}

impl<A: Area> RangeMap<A> {
    /// A map without areas, for at most `max`. Before it takes memory it asks
    /// `may_allocate`; a no is [`crate::NoMemory`].
    pub const fn new(max: usize, may_allocate: fn() -> bool) -> Self {
        let hint = AtomicUsize::new(0);
        Self { chunks: Vec::new(), spare: Vec::new(), len: 0, max, may_allocate, hint }
    }

    /// How many areas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All areas, by rising address.
    pub fn iter(&self) -> impl Iterator<Item = &A> {
        self.chunks.iter().flat_map(|chunk| &chunk.areas)
    }

    /// The areas from a place on.
    fn iter_from(&self, place: Place) -> impl Iterator<Item = &A> {
        let (first, rest) = match self.chunks.get(place.chunk..) {
            Some([chunk, rest @ ..]) => (&chunk.areas[place.index..], rest),
            _ => (&[][..], &[][..]),
        };
        first.iter().chain(rest.iter().flat_map(|chunk| &chunk.areas))
    }

    pub(crate) fn get(&self, place: Place) -> Option<&A> {
        self.chunks.get(place.chunk)?.areas.get(place.index)
    }

    /// The place before one.
    pub(crate) fn before(&self, place: Place) -> Option<Place> {
        if let Some(index) = place.index.checked_sub(1) {
            return Some(Place { index, ..place });
        }
        let chunk = place.chunk.checked_sub(1)?;
        let index = self.chunks[chunk].areas.len().checked_sub(1)?;
        Some(Place { chunk, index })
    }

    /// The first area that ends behind `address`.
    pub(crate) fn place(&self, address: u64) -> Place {
        let index = self.chunks.partition_point(|chunk| chunk.end <= address);
        let areas = self.chunks.get(index).map_or(&[][..], |chunk| &chunk.areas);
        Place { chunk: index, index: areas.partition_point(|area| area.end() <= address) }
    }

    /// The area that holds `address`, if it is the one that was found last.
    #[inline(always)]
    pub fn find_again(&self, address: u64) -> Option<&A> {
        let last = self.get(Place::unpack(self.hint.load(Ordering::Relaxed)));
        last.filter(|area| area.start() <= address && address < area.end())
    }

    /// The area that holds `address`. It is quick where the last one was found.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&A> {
        self.find_again(address).or_else(|| self.search(address))
    }

    #[inline(never)]
    fn search(&self, address: u64) -> Option<&A> {
        let place = self.place(address);
        let area = self.get(place).filter(|area| area.start() <= address)?;
        self.hint.store(place.pack(), Ordering::Relaxed);
        Some(area)
    }

    /// The first area that holds `address` or lies above it.
    #[must_use]
    pub fn next_from(&self, address: u64) -> Option<&A> {
        self.get(self.place(address))
    }

    /// The last area that begins below `address`.
    #[must_use]
    pub fn prev_before(&self, address: u64) -> Option<&A> {
        let place = self.place(address);
        match self.get(place) {
            Some(area) if area.start() < address => Some(area),
            _ => self.before(place).and_then(|place| self.get(place)),
        }
    }

    /// The free addresses around `address`, which is in no area: from the end of the area
    /// below, or 0, to the start of the one above, or `u64::MAX`.
    #[must_use]
    pub fn gap_around(&self, address: u64) -> Range<u64> {
        let place = self.place(address);
        let below = self.before(place).and_then(|place| self.get(place)).map_or(0, Area::end);
        below..self.get(place).map_or(u64::MAX, Area::start)
    }

    /// The areas that have addresses in `range`, by rising address.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &A> {
        self.iter_from(self.place(range.start)).take_while(move |area| area.start() < range.end)
    }

    /// Whether no area has an address in `range`.
    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.next_from(range.start).is_none_or(|area| area.start() >= range.end)
    }

    /// Whether `range` is free, and not in the guard of the area above it either.
    #[must_use]
    pub fn is_free_of_guards(&self, range: Range<u64>) -> bool {
        self.next_from(range.start).is_none_or(|area| floor(area) >= range.end)
    }

    /// Whether every address in `range` is in some area.
    #[must_use]
    pub fn is_covered(&self, range: Range<u64>) -> bool {
        self.covered_end(range.clone()) >= range.end
    }

    /// Where the first hole in `range` begins; `range.end` or more without one.
    #[must_use]
    pub fn covered_end(&self, range: Range<u64>) -> u64 {
        let mut at = range.start;
        for area in self.overlapping(range) {
            if area.start() > at {
                break;
            }
            at = area.end();
        }
        at
    }
}

impl<A: fmt::Debug> fmt::Debug for RangeMap<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.chunks.iter().flat_map(|chunk| &chunk.areas)).finish()
    }
}
