//! A group descriptor, 32 bytes: [`RawGroup`]. They stand one behind the other in the blocks
//! behind the superblock.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a group descriptor.
pub(crate) const GROUP_SIZE: usize = 32;

/// A group descriptor as it is on the disk.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawGroup {
    /// The block with a bit for each block of the group, set if it is in use.
    pub(crate) block_bitmap: U32,
    /// The block with a bit for each inode of the group.
    pub(crate) inode_bitmap: U32,
    /// The first block of the table of inodes.
    pub(crate) inode_table: U32,
    /// How many blocks are free.
    pub(crate) free_blocks: U16,
    /// How many inodes are free.
    pub(crate) free_inodes: U16,
    /// How many inodes are directories.
    pub(crate) directories: U16,
    /// Flags and checksums of ext4.
    pub(crate) rest: [u8; 14],
}

const _: () = assert!(size_of::<RawGroup>() == GROUP_SIZE);
