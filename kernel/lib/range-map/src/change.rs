//! What changes areas.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use crate::chunk::Chunk;
use crate::map::Place;
use crate::{Area, NoMemory, RangeMap};

impl<A: Area> RangeMap<A> {
    /// Adds an area where nothing is, and merges it with its neighbours where they fit.
    ///
    /// # Errors
    /// [`NoMemory`]; nothing has changed then.
    pub fn insert(&mut self, mut area: A) -> Result<(), NoMemory> {
        debug_assert!(area.start() < area.end() && self.is_free(area.start()..area.end()));
        let place = self.place(area.start());
        let before = self.before(place);
        if let Some(before) = before
            && self.get(before).is_some_and(|lower| lower.can_absorb(&area))
        {
            let chunk = &mut self.chunks[before.chunk];
            let gap = chunk.gap_below(before.index + 1);
            chunk.areas[before.index].set_end(area.end());
            chunk.narrowed(gap);
            self.merge(place);
        } else if let Some(upper) = self.get(place)
            && area.can_absorb(upper)
        {
            area.set_end(upper.end());
            let chunk = &mut self.chunks[place.chunk];
            let gap = chunk.gap_below(place.index);
            chunk.areas[place.index] = area;
            chunk.narrowed(gap);
            chunk.widened(place.index);
        } else {
            self.reserve_at(place.chunk, 1)?;
            self.put(place, area);
        }
        Ok(())
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut A> {
        self.chunks.get_mut(place.chunk)?.areas.get_mut(place.index)
    }

    /// Merges the area at a place into the one before it if they fit.
    fn merge(&mut self, place: Place) {
        let Some(before) = self.before(place) else { return };
        if let (Some(lower), Some(upper)) = (self.get(before), self.get(place))
            && lower.can_absorb(upper)
        {
            let end = upper.end();
            self.len -= 1;
            let chunk = &mut self.chunks[before.chunk];
            chunk.areas[before.index].set_end(end);
            chunk.renew_end();
            let chunk = &mut self.chunks[place.chunk];
            // There is no gap below it, and the one above it is lost if it is the first.
            let gap = if place.index == 0 { chunk.gap_below(1) } else { 0 };
            chunk.areas.remove(place.index);
            chunk.narrowed(gap);
            self.shrunk(place.chunk);
        }
    }

    /// Merges what fits at each border in `range`, its ends included.
    fn merge_at(&mut self, range: Range<u64>) {
        let mut at = range.start;
        loop {
            let place = self.place(at);
            let Some(area) = self.get(place).filter(|area| area.start() <= range.end) else {
                return;
            };
            at = area.end();
            self.merge(place);
        }
    }

    /// Splits the area that has `at` inside, if one has. Room was made.
    fn split(&mut self, at: u64) {
        let place = self.place(at);
        if let Some(area) = self.get_mut(place)
            && area.start() < at
        {
            let upper = area.split_off(at);
            self.chunks[place.chunk].renew_end();
            self.put(Place { index: place.index + 1, ..place }, upper);
        }
    }

    /// Takes what lies in `range` out of the map.
    ///
    /// # Errors
    /// [`NoMemory`], only if `range` is inside an area; nothing has changed then.
    pub fn remove(&mut self, range: Range<u64>) -> Result<(), NoMemory> {
        self.take(range, drop)
    }

    /// Takes out the area whose addresses are just those of `range`, if there is one. It is
    /// quicker than [`RangeMap::take`].
    pub fn take_exact(&mut self, range: &Range<u64>) -> Option<A> {
        let place = self.place(range.start);
        let area = self.get(place)?;
        if area.start() != range.start || area.end() != range.end {
            return None;
        }
        let area = self.chunks[place.chunk].areas.remove(place.index);
        self.len -= 1;
        self.closed_up(place);
        if self.chunks.len() > 1 {
            self.shrunk(place.chunk);
        }
        Some(area)
    }

    /// Takes what lies in `range` out of the map and hands it to `taken`, by rising
    /// address. Areas that cross the ends of `range` are split.
    ///
    /// # Errors
    /// [`NoMemory`], only if `range` is inside an area; nothing has changed then.
    pub fn take(&mut self, range: Range<u64>, mut taken: impl FnMut(A)) -> Result<(), NoMemory> {
        if range.is_empty() {
            return Ok(());
        }
        let mut place = self.place(range.start);
        let Some(area) = self.get(place).filter(|area| area.start() < range.end) else {
            return Ok(());
        };
        if area.start() < range.start {
            if range.end < area.end() {
                self.reserve_at(place.chunk, 1)?;
                self.split(range.end);
                // The split may have moved it into another chunk.
                place = self.place(range.start);
            }
            if let Some(area) = self.get_mut(place) {
                taken(area.split_off(range.start));
            }
            self.chunks[place.chunk].widened(place.index + 1);
            place = self.place(range.start);
        }
        self.take_from(place, &range, &mut taken);
        Ok(())
    }

    /// Takes what begins in `range`, from the area at `from` on.
    fn take_from(&mut self, from: Place, range: &Range<u64>, taken: &mut impl FnMut(A)) {
        let Place { chunk: first, mut index } = from;
        let mut last = first;
        while let Some(chunk) = self.chunks.get_mut(last) {
            let rest = &chunk.areas[index..];
            let count = rest.iter().take_while(|area| area.end() <= range.end).count();
            if count > 0 {
                self.len -= count;
                chunk.areas.drain(index..index + count).for_each(&mut *taken);
                self.closed_up(Place { chunk: last, index });
            }
            let chunk = &mut self.chunks[last];
            if let Some(area) = chunk.areas.get_mut(index) {
                if area.start() < range.end {
                    let upper = area.split_off(range.end);
                    taken(mem::replace(area, upper));
                    chunk.widened(index);
                }
                break;
            }
            last += 1;
            index = 0;
        }
        if self.chunks.len() == 1 {
            return;
        }
        // Chunks between the first and the last are empty now; those two may be.
        let last = last.min(self.chunks.len() - 1);
        let between = (first + 1).min(last)..last;
        if !between.is_empty() {
            self.chunks.drain(between);
        }
        self.shrunk(first + 1);
        self.shrunk(first);
    }

    /// Puts right what a chunk knows about its areas after some were taken out at a place.
    fn closed_up(&mut self, place: Place) {
        let Place { chunk: number, index } = place;
        let chunk = &mut self.chunks[number];
        // Inside, gaps became one, which is wider but for a guard. At an end of the chunk
        // they are no more its own.
        if index > 0 && chunk.areas.get(index).is_some_and(|next| next.guard_below() == 0) {
            chunk.widened(index);
        } else {
            self.refresh(number);
        }
    }

    /// Changes each area in `range`; those that cross its ends are split first, and what
    /// then fits is merged. `change` leaves the addresses as they are.
    ///
    /// # Errors
    /// [`NoMemory`]; nothing has changed then.
    pub fn change(
        &mut self,
        range: Range<u64>,
        mut change: impl FnMut(&mut A),
    ) -> Result<(), NoMemory> {
        if range.is_empty() {
            return Ok(());
        }
        let (low, high) = (self.place(range.start), self.place(range.end));
        let cuts = |place, at| self.get(place).is_some_and(|area| area.start() < at);
        match (cuts(low, range.start), cuts(high, range.end)) {
            (true, true) => {
                self.reserve_at(low.chunk, 2)?;
                self.reserve_at(high.chunk, 2)?;
            }
            (true, false) => self.reserve_at(low.chunk, 1)?,
            (false, true) => self.reserve_at(high.chunk, 1)?,
            (false, false) => {}
        }
        self.split(range.start);
        self.split(range.end);
        let Place { mut chunk, mut index } = self.place(range.start);
        while let Some(Chunk { areas, .. }) = self.chunks.get_mut(chunk) {
            let inside = areas[index..].iter_mut().take_while(|area| area.start() < range.end);
            let count = inside.map(|area| change_one(area, &mut change)).count();
            let is_end = index + count < areas.len();
            self.refresh(chunk);
            if is_end {
                break;
            }
            chunk += 1;
            index = 0;
        }
        self.merge_at(range);
        Ok(())
    }

    /// Changes the whole area that holds `address`, without splitting or merging; what
    /// `change` returns. `change` leaves the addresses as they are.
    pub fn update<R>(&mut self, address: u64, change: impl FnOnce(&mut A) -> R) -> Option<R> {
        let place = self.place(address);
        let area = self.get_mut(place).filter(|area| area.start() <= address)?;
        let result = change_one(area, change);
        self.refresh(place.chunk);
        Some(result)
    }

    /// Gives the area that holds `address` other ends, and merges it with neighbours that
    /// it then meets and fits. Returns whether it was done: not if it would be empty or
    /// meet addresses of others.
    #[must_use]
    pub fn resize(&mut self, address: u64, to: Range<u64>) -> bool {
        let place = self.place(address);
        let above = self.next_place(place);
        let floor = self.before(place).and_then(|place| self.get(place)).map_or(0, Area::end);
        let ceiling = self.get(above).map_or(u64::MAX, Area::start);
        let Some(area) = self.get_mut(place).filter(|area| area.start() <= address) else {
            return false;
        };
        if to.is_empty() || to.start < floor || to.end > ceiling {
            return false;
        }
        area.set_start(to.start);
        area.set_end(to.end);
        self.refresh(place.chunk);
        self.merge(above);
        self.merge(self.place(to.start));
        true
    }

    /// The place behind one that is there.
    fn next_place(&self, place: Place) -> Place {
        let next = Place { index: place.index + 1, ..place };
        let is_last = self.get(next).is_none();
        if is_last { Place { chunk: place.chunk + 1, index: 0 } } else { next }
    }

    /// Forgets all, and gives the memory back.
    pub fn clear(&mut self) {
        self.chunks = Vec::new();
        self.spare = Vec::new();
        self.len = 0;
    }
}

/// Changes an area, whose addresses must stay.
fn change_one<A: Area, R>(area: &mut A, change: impl FnOnce(&mut A) -> R) -> R {
    let range = area.start()..area.end();
    let result = change(area);
    debug_assert!(range == (area.start()..area.end()));
    result
}
