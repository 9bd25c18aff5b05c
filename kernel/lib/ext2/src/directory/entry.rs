//! The entries of a block of a directory: [`Entries`] goes through them and judges each.

use zerocopy::FromBytes;

use crate::geometry::Geometry;
use crate::layout::dirent::{HEADER, RawEntry, SMALLEST, needed};
use crate::layout::features::Incompat;

/// An entry; it makes sense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Bytes from the start of the block.
    pub(crate) offset: usize,
    /// Bytes up to the next entry.
    pub(crate) length: usize,
    /// The inode, 0 if the entry is not in use.
    pub(crate) inode: u32,
    /// The name; of no meaning if the entry is not in use.
    pub(crate) name: &'a [u8],
    /// What it says that the inode is; 0 if it does not say.
    pub(crate) kind: u8,
}

impl Entry<'_> {
    /// Bytes that it needs of those it takes.
    pub(crate) fn needed(&self) -> usize {
        if self.inode == 0 { 0 } else { needed(self.name.len()) }
    }
}

/// An entry that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadEntry {
    /// Bytes from the start of the block.
    pub(crate) offset: usize,
}

/// How entries of this file system are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Entries say what the inode is.
    pub(crate) kinds: bool,
    /// The greatest number of an inode.
    pub(crate) inodes: u32,
}

impl Format {
    pub(crate) fn of(geometry: &Geometry) -> Self {
        Self { kinds: geometry.incompat.contains(Incompat::FILETYPE), inodes: geometry.inodes }
    }

    /// The entries of a block from the one at `offset` on.
    pub(crate) fn entries_from<'a>(&self, bytes: &'a [u8], offset: usize) -> Entries<'a> {
        Entries { bytes, offset, format: *self }
    }

    /// All entries of a block.
    pub(crate) fn entries<'a>(&self, bytes: &'a [u8]) -> Entries<'a> {
        self.entries_from(bytes, 0)
    }
}

/// Goes through the entries of a block; the first that makes no sense ends it.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    offset: usize,
    format: Format,
}

impl<'a> Entries<'a> {
    fn parse(&self) -> Option<Entry<'a>> {
        let rest = self.bytes.get(self.offset..)?;
        let (raw, names) = RawEntry::ref_from_prefix(rest).ok()?;
        let length = usize::from(raw.length.get());
        let inode = raw.inode.get();
        let name = usize::from(raw.name_length);
        let fits = length >= SMALLEST
            && length.is_multiple_of(4)
            && length <= rest.len()
            && inode <= self.format.inodes
            && needed(name) <= length
            && (inode == 0 || name > 0)
            && (self.format.kinds || inode == 0 || raw.kind == 0);
        let kind = if self.format.kinds { raw.kind } else { 0 };
        let name = names.get(..name)?;
        fits.then_some(Entry { offset: self.offset, length, inode, name, kind })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, BadEntry>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.bytes.len() {
            return None;
        }
        let offset = self.offset;
        match self.parse() {
            Some(entry) => {
                self.offset += entry.length;
                Some(Ok(entry))
            }
            None => {
                self.offset = self.bytes.len();
                Some(Err(BadEntry { offset }))
            }
        }
    }
}

/// Writes an entry into a block at `offset`; says whether it fits there.
pub(crate) fn write(
    bytes: &mut [u8],
    offset: usize,
    length: usize,
    inode: u32,
    kind: u8,
    name: &[u8],
) -> bool {
    let Some(place) = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..length)) else {
        return false;
    };
    let Some((head, rest)) = place.split_at_mut_checked(HEADER) else { return false };
    let Ok(raw) = RawEntry::mut_from_bytes(head) else { return false };
    let Some(to) = rest.get_mut(..name.len()) else { return false };
    raw.inode = inode.into();
    raw.length = (length as u16).into();
    raw.name_length = name.len() as u8;
    raw.kind = kind;
    to.copy_from_slice(name);
    true
}

/// The head of the entry at `offset` of a block, to be changed.
pub(crate) fn head(bytes: &mut [u8], offset: usize) -> Option<&mut RawEntry> {
    RawEntry::mut_from_prefix(bytes.get_mut(offset..)?).ok().map(|(raw, _)| raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMAT: Format = Format { kinds: true, inodes: 100 };

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 1024)) {
            prop_assert!(FORMAT.entries(&bytes).count() <= 1024 / SMALLEST);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut block = vec![0; 1024];
        assert!(write(&mut block, 0, 12, 2, 2, b"."));
        assert!(write(&mut block, 12, 1012, 5, 1, b"name"));
        assert!(!write(&mut block, 1020, 12, 5, 1, b"name"));
        assert!(!write(&mut block, 0, 12, 5, 1, b"names"));
        let found: Vec<_> = FORMAT.entries(&block).map(|entry| entry.unwrap().name).collect();
        assert_eq!(found, [&b"."[..], b"name"]);
        let bad = |change: fn(&mut RawEntry)| {
            let mut block = block.clone();
            change(head(&mut block, 12).unwrap());
            FORMAT.entries(&block).nth(1).unwrap().is_err()
        };
        assert!(!bad(|_| ()));
        assert!(bad(|raw| raw.length = 0.into()));
        assert!(bad(|raw| raw.length = 8.into()));
        assert!(bad(|raw| raw.length = 1010.into()));
        assert!(bad(|raw| raw.length = 1016.into()));
        assert!(bad(|raw| raw.inode = 101.into()));
        assert!(bad(|raw| raw.name_length = 0));
        assert!(bad(|raw| {
            raw.length = 12.into();
            raw.name_length = 5;
        }));
        let plain = Format { kinds: false, inodes: 100 };
        assert!(plain.entries(&block).next().unwrap().is_err());
    }
}
