//! The superblock: 1024 bytes, 1024 bytes behind the start of the disk. [`RawSuperblock`].
//!
//! The fields that ext2 does not use are kept as they are when it is written.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Where the superblock begins, in bytes from the start of the disk.
pub const SUPERBLOCK_OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub const SUPERBLOCK_SIZE: usize = 1024;

/// What `magic` holds.
pub(crate) const MAGIC: u16 = 0xef53;
/// `state`: unmounted, and all that was written is on the disk.
pub(crate) const STATE_VALID: u16 = 1;
/// `state`: damage was found.
pub(crate) const STATE_ERROR: u16 = 2;
/// `errors`: go on read-only; 1 is to go on.
pub(crate) const ERRORS_READ_ONLY: u16 = 2;
/// `errors`: stop the kernel.
pub(crate) const ERRORS_PANIC: u16 = 3;
/// `revision`: inodes of 128 bytes, 11 the first free one, no features.
pub(crate) const REVISION_OLD: u32 = 0;
/// `revision`: what is new in it, the superblock says.
pub(crate) const REVISION_DYNAMIC: u32 = 1;
/// The first inode for files in revision 0.
pub(crate) const OLD_FIRST_INODE: u32 = 11;

/// The superblock as it is on the disk.
#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawSuperblock {
    /// Inodes of all groups.
    pub(crate) inodes: U32,
    /// Blocks, those before `first_data_block` counted.
    pub(crate) blocks: U32,
    /// Blocks that only `reserved_uid` and `reserved_gid` may take.
    pub(crate) reserved_blocks: U32,
    /// Free blocks of all groups.
    pub(crate) free_blocks: U32,
    /// Free inodes of all groups.
    pub(crate) free_inodes: U32,
    /// The block with the superblock, where group 0 begins: 1 with blocks of 1 KiB, else 0.
    pub(crate) first_data_block: U32,
    /// A block has 1024 << this many bytes.
    pub(crate) log_block_size: U32,
    /// The same for fragments, later clusters; equal to `log_block_size` in ext2.
    pub(crate) log_cluster_size: U32,
    /// Blocks of each group but the last.
    pub(crate) blocks_per_group: U32,
    pub(crate) clusters_per_group: U32,
    /// Inodes of each group.
    pub(crate) inodes_per_group: U32,
    /// When it was last mounted, in seconds since 1970.
    pub(crate) mount_time: U32,
    /// When the superblock was last written.
    pub(crate) write_time: U32,
    /// Mounts since the last check.
    pub(crate) mount_count: U16,
    /// After how many mounts a check is due; 0xffff: never.
    pub(crate) max_mount_count: U16,
    /// [`MAGIC`].
    pub(crate) magic: U16,
    /// [`STATE_VALID`] and [`STATE_ERROR`].
    pub(crate) state: U16,
    /// What to do when damage is found: `ERRORS_*`.
    pub(crate) errors: U16,
    pub(crate) minor_revision: U16,
    /// When it was last checked.
    pub(crate) check_time: U32,
    /// Seconds after which a check is due; 0: never.
    pub(crate) check_interval: U32,
    pub(crate) creator_os: U32,
    /// `REVISION_*`.
    pub(crate) revision: U32,
    /// Who may take reserved blocks.
    pub(crate) reserved_uid: U16,
    /// Whose group may.
    pub(crate) reserved_gid: U16,
    // From here on in revision 1 only.
    /// The first inode that is not reserved.
    pub(crate) first_inode: U32,
    /// Bytes of an inode.
    pub(crate) inode_size: U16,
    /// The group that this copy is in.
    pub(crate) this_group: U16,
    /// See [`Compat`](super::features::Compat).
    pub(crate) compat: U32,
    /// See [`Incompat`](super::features::Incompat).
    pub(crate) incompat: U32,
    /// See [`RoCompat`](super::features::RoCompat).
    pub(crate) ro_compat: U32,
    pub(crate) uuid: [u8; 16],
    /// The label, padded with zeros.
    pub(crate) label: [u8; 16],
    /// The path where it was last mounted.
    pub(crate) last_mounted: [u8; 64],
    pub(crate) compression: U32,
    pub(crate) preallocate_blocks: u8,
    pub(crate) preallocate_dir_blocks: u8,
    /// Blocks behind the group descriptors for more of them (`resize_inode`).
    pub(crate) reserved_gdt_blocks: U16,
    pub(crate) journal_uuid: [u8; 16],
    pub(crate) journal_inode: U32,
    pub(crate) journal_device: U32,
    /// The first of the inodes that were open when they lost their last name.
    pub(crate) last_orphan: U32,
    pub(crate) hash_seed: [U32; 4],
    pub(crate) hash_version: u8,
    pub(crate) journal_backup_type: u8,
    pub(crate) descriptor_size: U16,
    pub(crate) default_mount_options: U32,
    pub(crate) first_meta_group: U32,
    pub(crate) mkfs_time: U32,
    pub(crate) journal_blocks: [U32; 17],
    pub(crate) blocks_high: U32,
    pub(crate) reserved_blocks_high: U32,
    pub(crate) free_blocks_high: U32,
    /// Bytes behind the first 128 that each inode has in use (`extra_isize`).
    pub(crate) min_extra_size: U16,
    /// Bytes behind the first 128 that new inodes should use.
    pub(crate) want_extra_size: U16,
    pub(crate) flags: U32,
    pub(crate) raid_stride: U16,
    pub(crate) mmp_interval: U16,
    pub(crate) mmp_block: U64,
    pub(crate) raid_stripe_width: U32,
    pub(crate) log_groups_per_flex: u8,
    pub(crate) checksum_type: u8,
    pub(crate) reserved: U16,
    pub(crate) kibibytes_written: U64,
    pub(crate) snapshots_and_errors: [u8; 204],
    /// The two groups with a copy of the superblock (`sparse_super2`); 0: none.
    pub(crate) backup_groups: [U32; 2],
    pub(crate) rest: [u8; 428],
}

const _: () = assert!(size_of::<RawSuperblock>() == SUPERBLOCK_SIZE);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, magic) == 0x38);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, first_inode) == 0x54);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, reserved_gdt_blocks) == 0xce);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, last_orphan) == 0xe8);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, min_extra_size) == 0x15c);
const _: () = assert!(core::mem::offset_of!(RawSuperblock, backup_groups) == 0x24c);
