//! The head of a block of extended attributes: [`RawXattr`]. Inodes with the same attributes
//! may share a block, so it counts them.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What `magic` holds.
pub(crate) const XATTR_MAGIC: u32 = 0xea02_0000;

/// The head as it is on the disk.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawXattr {
    /// [`XATTR_MAGIC`].
    pub(crate) magic: U32,
    /// How many inodes have this block.
    pub(crate) references: U32,
    /// Blocks of attributes: 1.
    pub(crate) blocks: U32,
    /// Hash of all attributes.
    pub(crate) hash: U32,
    pub(crate) rest: [U32; 4],
}

const _: () = assert!(size_of::<RawXattr>() == 32);
