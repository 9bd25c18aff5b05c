//! A directory entry: [`RawEntry`], the eight bytes before a name.
//!
//! A block of a directory is filled by entries without a gap. An entry takes `length` bytes,
//! a multiple of four, at least as many as its name needs; what it takes more is room for
//! another. Inode 0 is an entry that is not in use.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes before the name.
pub(crate) const HEADER: usize = 8;
/// The smallest entry: a name of one byte.
pub(crate) const SMALLEST: usize = needed(1);
/// Bytes of the longest name.
pub const NAME_MAX: usize = 255;

/// The head of a directory entry as it is on the disk.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawEntry {
    /// The inode, 0 if the entry is not in use.
    pub(crate) inode: U32,
    /// Bytes up to the next entry.
    pub(crate) length: U16,
    /// Bytes of the name.
    pub(crate) name_length: u8,
    /// With the feature `filetype` what the inode is (`FileKind::directory_code`), else the
    /// high byte of the name's length, which is 0.
    pub(crate) kind: u8,
}

const _: () = assert!(size_of::<RawEntry>() == HEADER);

/// Bytes that an entry with a name of `name` bytes takes at least.
pub(crate) const fn needed(name: usize) -> usize {
    (HEADER + name).next_multiple_of(4)
}
