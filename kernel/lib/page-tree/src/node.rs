//! [`Node`]: 64 places, each with a node below it or, in a leaf, a page.

use alloc::vec::Vec;

use crate::{NoMemory, Tag};

/// Bits of a page's number that choose a place in a node.
pub(crate) const BITS: u32 = 6;
/// Places of a node.
const PLACES: usize = 1 << BITS;

/// Its places are as many as were needed so far.
#[derive(Debug)]
pub(crate) enum Places<V> {
    Leaf(Vec<Option<V>>),
    Inner(Vec<Node<V>>),
}

/// A node, with a bit for each of its places.
#[derive(Debug)]
pub(crate) struct Node<V> {
    places: Places<V>,
    /// The places that hold something.
    pub(crate) present: u64,
    /// Those that have a tag, or something below that has.
    tags: [u64; Tag::ALL.len()],
}

fn place(index: u64, height: u32) -> usize {
    (index >> (BITS * height)) as usize % PLACES
}

/// The bits of the places from `place` on.
fn from(place: usize) -> u64 {
    !0 << place
}

/// Makes `places` longer than `place`. They grow in a few steps: most files are small.
fn grow<T>(places: &mut Vec<T>, place: usize, fresh: impl FnMut() -> T) -> Result<(), NoMemory> {
    let wanted = place + 1;
    if let Some(more) = wanted.checked_sub(places.len()).filter(|&more| more > 0) {
        if places.capacity() < wanted {
            let capacity = wanted.next_power_of_two().max(4);
            places.try_reserve_exact(capacity - places.len()).map_err(|_| NoMemory)?;
        }
        places.resize_with(places.len() + more, fresh);
    }
    Ok(())
}

impl<V> Node<V> {
    /// A node without pages, `height` levels above the leaves.
    pub(crate) fn new(height: u32) -> Self {
        let places = match height {
            0 => Places::Leaf(Vec::new()),
            _ => Places::Inner(Vec::new()),
        };
        Self { places, present: 0, tags: [0; Tag::ALL.len()] }
    }

    /// The node above `self`, which becomes its first place.
    pub(crate) fn raise(&mut self, height: u32) -> Result<(), NoMemory> {
        let mut above = Self::new(height + 1);
        let Places::Inner(places) = &mut above.places else { return Err(NoMemory) };
        grow(places, 0, || Self::new(height))?;
        let (present, tags) = (self.present, self.tags);
        if let Some(first) = places.first_mut() {
            core::mem::swap(first, self);
        }
        above.present = u64::from(present != 0);
        above.tags = tags.map(|tags| u64::from(tags != 0));
        *self = above;
        Ok(())
    }

    pub(crate) fn get(&self, index: u64, height: u32) -> Option<&V> {
        let place = place(index, height);
        match &self.places {
            Places::Leaf(pages) => pages.get(place)?.as_ref(),
            Places::Inner(nodes) => nodes.get(place)?.get(index, height - 1),
        }
    }

    pub(crate) fn get_mut(&mut self, index: u64, height: u32) -> Option<&mut V> {
        let place = place(index, height);
        match &mut self.places {
            Places::Leaf(pages) => pages.get_mut(place)?.as_mut(),
            Places::Inner(nodes) => nodes.get_mut(place)?.get_mut(index, height - 1),
        }
    }

    /// Puts a page into its place; what was there.
    pub(crate) fn insert(
        &mut self,
        index: u64,
        height: u32,
        value: V,
    ) -> Result<Option<V>, NoMemory> {
        let place = place(index, height);
        let old = match &mut self.places {
            Places::Leaf(pages) => {
                grow(pages, place, || None)?;
                pages.get_mut(place).ok_or(NoMemory)?.replace(value)
            }
            Places::Inner(nodes) => {
                grow(nodes, place, || Self::new(height - 1))?;
                nodes.get_mut(place).ok_or(NoMemory)?.insert(index, height - 1, value)?
            }
        };
        self.present |= 1 << place;
        Ok(old)
    }

    /// Takes a page out of its place, with its tags.
    pub(crate) fn remove(&mut self, index: u64, height: u32) -> Option<V> {
        let place = place(index, height);
        let (removed, present, tags) = match &mut self.places {
            Places::Leaf(pages) => (pages.get_mut(place)?.take()?, false, [false; 2]),
            Places::Inner(nodes) => {
                let node = nodes.get_mut(place)?;
                let removed = node.remove(index, height - 1)?;
                (removed, node.present != 0, node.tags.map(|tags| tags != 0))
            }
        };
        if !present {
            self.present &= !(1 << place);
        }
        for (bits, has) in self.tags.iter_mut().zip(tags) {
            if !has {
                *bits &= !(1 << place);
            }
        }
        if self.present == 0 {
            *self = Self::new(height);
        }
        Some(removed)
    }

    /// Gives a page that is there a tag, or takes it away.
    pub(crate) fn set_tag(&mut self, index: u64, height: u32, tag: Tag, on: bool) {
        let place = place(index, height);
        let has = match &mut self.places {
            Places::Leaf(pages) => on && pages.get(place).is_some_and(Option::is_some),
            Places::Inner(nodes) => match nodes.get_mut(place) {
                Some(node) => {
                    node.set_tag(index, height - 1, tag, on);
                    node.tags_of(tag) != 0
                }
                None => false,
            },
        };
        if let Some(bits) = self.tags.get_mut(tag as usize) {
            *bits = *bits & !(1 << place) | u64::from(has) << place;
        }
    }

    pub(crate) fn tags_of(&self, tag: Tag) -> u64 {
        self.tags.get(tag as usize).copied().unwrap_or(0)
    }

    pub(crate) fn has_tag(&self, index: u64, height: u32, tag: Tag) -> bool {
        let place = place(index, height);
        let here = self.tags_of(tag) >> place & 1 != 0;
        here && match &self.places {
            Places::Leaf(_) => true,
            Places::Inner(nodes) => {
                nodes.get(place).is_some_and(|node| node.has_tag(index, height - 1, tag))
            }
        }
    }

    /// The first page from `index` on, of those with the tag if one is asked for, with the low
    /// bits of its number.
    pub(crate) fn next(&self, index: u64, height: u32, tag: Option<Tag>) -> Option<(u64, &V)> {
        let wanted = tag.map_or(self.present, |tag| self.tags_of(tag));
        let first = place(index, height);
        let mut left = wanted & from(first);
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            left &= left - 1;
            let start = (place as u64) << (BITS * height);
            match &self.places {
                Places::Leaf(pages) => {
                    if let Some(page) = pages.get(place)?.as_ref() {
                        return Some((start, page));
                    }
                }
                Places::Inner(nodes) => {
                    let within = if place == first { index } else { 0 };
                    if let Some((low, page)) = nodes.get(place)?.next(within, height - 1, tag) {
                        return Some((start | low, page));
                    }
                }
            }
        }
        None
    }
}
