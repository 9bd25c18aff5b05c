//! [`PageTree`].

use crate::node::{BITS, Node};
use crate::{NoMemory, Tag};

/// Pages by number.
#[derive(Debug)]
pub struct PageTree<V> {
    root: Node<V>,
    /// Levels above the leaves.
    height: u32,
    len: usize,
}

impl<V> Default for PageTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> PageTree<V> {
    /// A tree without pages, which takes no memory.
    pub fn new() -> Self {
        Self { root: Node::new(0), height: 0, len: 0 }
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether numbers as large as `index` have a place.
    fn reaches(&self, index: u64) -> bool {
        index.checked_shr(BITS * (self.height + 1)).unwrap_or(0) == 0
    }

    /// The page with that number.
    #[inline]
    pub fn get(&self, index: u64) -> Option<&V> {
        if self.reaches(index) { self.root.get(index, self.height) } else { None }
    }

    /// The page with that number, to be changed.
    #[inline]
    pub fn get_mut(&mut self, index: u64) -> Option<&mut V> {
        if self.reaches(index) { self.root.get_mut(index, self.height) } else { None }
    }

    /// Puts a page in; the one that had the number, whose tags the new one has then.
    ///
    /// # Errors
    /// [`NoMemory`]; nothing has changed, but `value` is gone.
    pub fn insert(&mut self, index: u64, value: V) -> Result<Option<V>, NoMemory> {
        if self.is_empty() {
            // As high as this one needs.
            let bits = u64::BITS - index.leading_zeros();
            self.height = bits.saturating_sub(1) / BITS;
            self.root = Node::new(self.height);
        }
        while !self.reaches(index) {
            self.root.raise(self.height)?;
            self.height += 1;
        }
        let old = self.root.insert(index, self.height, value)?;
        self.len += usize::from(old.is_none());
        Ok(old)
    }

    /// Takes a page out, with its tags.
    pub fn remove(&mut self, index: u64) -> Option<V> {
        if !self.reaches(index) {
            return None;
        }
        let removed = self.root.remove(index, self.height)?;
        self.len -= 1;
        Some(removed)
    }

    /// Gives a page a tag, or takes it away. What is not there has none.
    pub fn set_tag(&mut self, index: u64, tag: Tag, on: bool) {
        if self.reaches(index) {
            self.root.set_tag(index, self.height, tag, on);
        }
    }

    /// Whether a page has a tag.
    pub fn has_tag(&self, index: u64, tag: Tag) -> bool {
        self.reaches(index) && self.root.has_tag(index, self.height, tag)
    }

    /// Whether any page has a tag.
    pub fn has_tagged(&self, tag: Tag) -> bool {
        self.root.tags_of(tag) != 0
    }

    /// The first page from number `index` on.
    pub fn next(&self, index: u64) -> Option<(u64, &V)> {
        if self.reaches(index) { self.root.next(index, self.height, None) } else { None }
    }

    /// The first page with a tag from number `index` on.
    pub fn next_tagged(&self, index: u64, tag: Tag) -> Option<(u64, &V)> {
        if self.reaches(index) { self.root.next(index, self.height, Some(tag)) } else { None }
    }

    /// All pages, by rising number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        let mut next = Some(0);
        core::iter::from_fn(move || {
            let (index, page) = self.next(next?)?;
            next = index.checked_add(1);
            Some((index, page))
        })
    }
}
