//! Memory and places for further areas. What can fail is here, before anything changes.

use alloc::vec::Vec;

use crate::chunk::Chunk;
use crate::map::Place;
use crate::{Area, NoMemory, RangeMap};

/// Places of a chunk that is the only one, at first.
const FIRST_PLACES: usize = 4;

impl<A: Area> RangeMap<A> {
    /// Makes sure that changes which add `more` areas in all cannot fail, wherever they
    /// are: [`RangeMap::insert`] adds at most 1, [`RangeMap::remove`] and
    /// [`RangeMap::take`] 1, [`RangeMap::change`] 2. At most half of [`Area::PER_CHUNK`].
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn reserve(&mut self, more: usize) -> Result<(), NoMemory> {
        debug_assert!(more <= A::PER_CHUNK / 2);
        self.check_max(more)?;
        if self.chunks.iter().any(|chunk| chunk.areas.len() + more > A::PER_CHUNK) {
            self.reserve_chunks(more)?;
        }
        if self.chunks.len() <= 1 { self.reserve_at(0, more) } else { Ok(()) }
    }

    pub(crate) fn check_max(&self, more: usize) -> Result<(), NoMemory> {
        if self.len.saturating_add(more) > self.max { Err(NoMemory) } else { Ok(()) }
    }

    /// Makes sure that `more` areas can be added where the chunk `index` is. Behind the
    /// last one is where the last one is.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(crate) fn reserve_at(&mut self, index: usize, more: usize) -> Result<(), NoMemory> {
        self.check_max(more)?;
        if self.chunks.is_empty() {
            self.ask()?;
            self.chunks.try_reserve(1).map_err(|_| NoMemory)?;
            self.chunks.push(Chunk::new(Vec::new()));
        }
        let index = index.min(self.chunks.len() - 1);
        let areas = &self.chunks[index].areas;
        let (len, capacity) = (areas.len(), areas.capacity());
        // Of several chunks each has all its memory.
        if capacity < (len + more).min(A::PER_CHUNK) {
            self.ask()?;
            let wanted = (capacity * 2).max(FIRST_PLACES).max(len + more).min(A::PER_CHUNK);
            let areas = &mut self.chunks[index].areas;
            areas.try_reserve_exact(wanted - len).map_err(|_| NoMemory)?;
        }
        if len + more > A::PER_CHUNK { self.reserve_chunks(more) } else { Ok(()) }
    }

    fn ask(&self) -> Result<(), NoMemory> {
        if (self.may_allocate)() { Ok(()) } else { Err(NoMemory) }
    }

    /// Memory for `more` chunks.
    fn reserve_chunks(&mut self, more: usize) -> Result<(), NoMemory> {
        if self.chunks.capacity() - self.chunks.len() < more {
            self.ask()?;
            self.chunks.try_reserve(more).map_err(|_| NoMemory)?;
        }
        while self.spare.len() < more {
            self.ask()?;
            let mut areas = Vec::new();
            areas.try_reserve_exact(A::PER_CHUNK).map_err(|_| NoMemory)?;
            self.spare.try_reserve(1).map_err(|_| NoMemory)?;
            self.spare.push(Chunk::new(areas));
        }
        Ok(())
    }

    /// Puts an area into a place, for which room was made.
    pub(crate) fn put(&mut self, place: Place, area: A) {
        let Place { mut chunk, mut index } = place;
        let is_full = |chunk: usize| self.chunks.get(chunk).is_none_or(Chunk::is_full);
        if index == 0 && chunk > 0 && is_full(chunk) {
            // Rather at the end of the one before: areas that come by rising address fill
            // their chunks.
            chunk -= 1;
            index = self.chunks[chunk].areas.len();
        }
        if is_full(chunk) && index == self.chunks[chunk].areas.len() && !is_full(chunk + 1) {
            (chunk, index) = (chunk + 1, 0);
        } else if is_full(chunk) {
            (chunk, index) = self.make_place(chunk, index);
            self.refresh(chunk);
        }
        self.len += 1;
        let chunk = &mut self.chunks[chunk];
        let gap = chunk.gap_below(index);
        chunk.areas.insert(index, area);
        chunk.narrowed(gap);
        chunk.widened(index);
        chunk.widened(index + 1);
    }

    /// Takes a spare chunk, since the chunk of a new area is full; where the area goes.
    fn make_place(&mut self, chunk: usize, index: usize) -> (usize, usize) {
        let mut fresh = self.spare.pop().expect("a change reserves its chunks");
        let full = &mut self.chunks[chunk].areas;
        // At an end, where further ones will follow, nothing is moved.
        let (cut, at, place) = match index {
            0 => (full.len(), chunk, (chunk, 0)),
            _ if index == full.len() => (full.len(), chunk + 1, (chunk + 1, 0)),
            _ => {
                let half = full.len() / 2;
                let behind = index > half;
                (half, chunk + 1, if behind { (chunk + 1, index - half) } else { (chunk, index) })
            }
        };
        fresh.areas.extend(full.drain(cut..));
        self.chunks.insert(at, fresh);
        // The one that does not get the area; it may have been the only one so far.
        self.refresh(if place.0 == chunk { chunk + 1 } else { chunk });
        place
    }

    /// Puts right what a chunk knows about its areas.
    pub(crate) fn refresh(&mut self, index: usize) {
        let is_only = self.chunks.len() == 1;
        if let Some(chunk) = self.chunks.get_mut(index) {
            chunk.renew_end();
            chunk.largest_gap = if is_only { u64::MAX } else { chunk.measure_gap() };
        }
    }

    /// Joins the chunk `index` and the one behind it if one is empty, or both have few.
    fn join(&mut self, index: usize) {
        let Some([lower, upper]) = self.chunks.get_mut(index..index + 2) else { return };
        let (a, b) = (lower.areas.len(), upper.areas.len());
        if a == 0 || b == 0 || a + b <= A::PER_CHUNK / 2 {
            lower.areas.append(&mut upper.areas);
            self.chunks.remove(index + 1);
            self.refresh(index);
        }
    }

    /// Joins the chunk `index`, which has lost areas, perhaps all, with its neighbours if
    /// they can be joined. What it knows is right, unless it is empty.
    pub(crate) fn shrunk(&mut self, index: usize) {
        self.join(index);
        if let Some(before) = index.checked_sub(1) {
            self.join(before);
        }
    }
}
