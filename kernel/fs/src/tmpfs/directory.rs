//! The names in a directory of a tmpfs: [`Names`].

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::status::Kind;

use super::inode::TmpInode;

/// A name and what it leads to.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: Arc<[u8]>,
    pub(super) inode: Arc<TmpInode>,
}

/// The names, found by their text, and gone through in the order in which they were made: a name
/// has the same place as long as it is there.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_place: BTreeMap<u64, Name>,
    by_text: BTreeMap<Arc<[u8]>, u64>,
}

impl Names {
    /// What the name leads to.
    pub(super) fn find(&self, text: &[u8]) -> Option<&Arc<TmpInode>> {
        let place = self.by_text.get(text)?;
        self.by_place.get(place).map(|name| &name.inode)
    }

    /// The first name at or behind `place`, and its place.
    pub(super) fn next(&self, place: u64) -> Option<(u64, Name)> {
        self.by_place.range(place..).next().map(|(place, name)| (*place, name.clone()))
    }

    /// Puts a name in at a place that none had before; what it has led to, if it was there.
    pub(super) fn insert(
        &mut self,
        place: u64,
        text: &[u8],
        inode: Arc<TmpInode>,
    ) -> Option<Arc<TmpInode>> {
        let old = self.remove(text);
        let text: Arc<[u8]> = Arc::from(text);
        self.by_text.insert(text.clone(), place);
        self.by_place.insert(place, Name { text, inode });
        old
    }

    /// Takes a name out.
    pub(super) fn remove(&mut self, text: &[u8]) -> Option<Arc<TmpInode>> {
        let place = self.by_text.remove(text)?;
        self.by_place.remove(&place).map(|name| name.inode)
    }

    /// Takes any name out.
    pub(super) fn pop(&mut self) -> Option<Arc<TmpInode>> {
        let (_, name) = self.by_place.pop_first()?;
        self.by_text.remove(&name.text);
        Some(name.inode)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }
}

impl Name {
    pub(super) fn kind(&self) -> Kind {
        self.inode.kind_of()
    }
}
