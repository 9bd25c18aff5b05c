//! Keys of entries in directories that are computed: what [`Directory::list`] needs so that an
//! entry keeps its place while others come and go.
//!
//! [`Directory::list`]: crate::pseudo::Directory::list

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Result;

use crate::pseudo::{Node, TextFile, Visit};
use crate::status::Kind;

/// Where the keys of an object's own files begin, and where those of its children do.
pub(super) const OWN: u64 = 1 << 60;
pub(super) const CHILDREN: u64 = 1 << 61;

/// A key for what has nothing but a name: always the same for that (FNV-1a), below [`OWN`].
pub(super) fn of_name(name: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, fold) >> 4
}

/// Visits entries from key `from` on, in the order of their keys.
pub(super) fn list<T>(
    mut entries: Vec<(u64, T)>,
    from: u64,
    visit: &mut Visit<'_>,
    entry: impl Fn(&T) -> (&str, Kind),
) -> Result<()> {
    entries.sort_unstable_by_key(|(key, _)| *key);
    for (key, found) in entries.iter().filter(|(key, _)| *key >= from) {
        let (name, kind) = entry(found);
        if visit(*key, name, kind).is_break() {
            break;
        }
    }
    Ok(())
}

/// The texts that all objects of a kind have: a name and a function that writes the text about
/// the object with that number.
pub(super) struct Files<T: 'static>(pub(super) &'static [(&'static str, File<T>)]);

/// How such a text is written and, if it can be, taken.
pub(super) struct File<T> {
    pub(super) show: fn(&T, &mut crate::pseudo::Text) -> Result<()>,
    pub(super) store: Option<fn(&T, &str) -> Result<()>>,
}

impl<T> File<T> {
    pub(super) const fn told(show: fn(&T, &mut crate::pseudo::Text) -> Result<()>) -> Self {
        Self { show, store: None }
    }

    pub(super) const fn set(
        show: fn(&T, &mut crate::pseudo::Text) -> Result<()>,
        store: fn(&T, &str) -> Result<()>,
    ) -> Self {
        Self { show, store: Some(store) }
    }
}

impl<T: Send + Sync + 'static> Files<T> {
    /// The file of a name, about `object`.
    pub(super) fn find(&self, name: &str, object: impl FnOnce() -> T) -> Option<Node> {
        let (_, file) = self.0.iter().find(|(file, _)| *file == name)?;
        let text = Text { object: object(), show: file.show, store: file.store };
        Some(Node::Text(Arc::new(text)))
    }

    /// Visits them all.
    pub(super) fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        for (key, (name, _)) in (0..).zip(self.0).filter(|(key, _)| *key >= from) {
            if visit(key, name, Kind::Regular).is_break() {
                break;
            }
        }
        Ok(())
    }
}

struct Text<T> {
    object: T,
    show: fn(&T, &mut crate::pseudo::Text) -> Result<()>,
    store: Option<fn(&T, &str) -> Result<()>>,
}

impl<T: Send + Sync> TextFile for Text<T> {
    fn show(&self, to: &mut crate::pseudo::Text) -> Result<()> {
        (self.show)(&self.object, to)
    }

    fn store(&self, text: &str) -> Result<()> {
        let store = self.store.ok_or(abi::Errno::EIO)?;
        store(&self.object, text.strip_suffix('\n').unwrap_or(text))
    }

    fn mode(&self) -> u32 {
        if self.store.is_some() { 0o644 } else { 0o444 }
    }
}
