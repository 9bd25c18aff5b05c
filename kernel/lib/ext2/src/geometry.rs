//! Where things are: [`Geometry`], the numbers of the superblock that never change, checked.

use crate::error::{Damage, Error, Place};
use crate::layout::features::{Compat, Incompat, RoCompat};
use crate::layout::group::GROUP_SIZE;
use crate::layout::inode::INODE_SIZE;
use crate::layout::superblock::{
    MAGIC, OLD_FIRST_INODE, REVISION_DYNAMIC, REVISION_OLD, RawSuperblock,
};

/// The root directory.
pub const ROOT_INODE: u32 = 2;
/// Bytes that `st_blocks` and `sectors` count in.
pub(crate) const SECTOR: u32 = 512;

/// The layout of a file system.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Bytes of a block.
    pub(crate) block_size: usize,
    pub(crate) blocks: u32,
    /// Where group 0 begins.
    pub(crate) first_block: u32,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes_per_group: u32,
    pub(crate) inodes: u32,
    /// The first inode that is not reserved.
    pub(crate) first_inode: u32,
    pub(crate) inode_size: usize,
    pub(crate) groups: u32,
    /// Blocks of group descriptors.
    pub(crate) descriptor_blocks: u32,
    /// Blocks reserved behind them.
    pub(crate) reserved_descriptor_blocks: u32,
    /// Blocks of the table of inodes of each group.
    pub(crate) table_blocks: u32,
    /// The revision as it was at mount.
    pub(crate) compat: Compat,
    pub(crate) incompat: Incompat,
    pub(crate) ro_compat: RoCompat,
    /// The groups with copies of the superblock with `sparse_super2`.
    backup_groups: [u32; 2],
}

/// The error for a number of the superblock that cannot be.
fn bad(field: &'static str) -> Error {
    Place::Superblock.is(Damage::BadGeometry(field))
}

/// `Err` with the name of a field unless it holds.
fn check(holds: bool, field: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(bad(field)) }
}

/// Bytes of a block as a superblock says.
///
/// # Errors
/// If it is no superblock, or one of a revision or with blocks that are not understood.
pub(crate) fn block_size(raw: &RawSuperblock) -> Result<usize, Error> {
    if raw.magic.get() != MAGIC {
        return Err(Place::Superblock.is(Damage::BadMagic));
    }
    if raw.revision.get() > REVISION_DYNAMIC {
        return Err(Error::UnsupportedRevision(raw.revision.get()));
    }
    match raw.log_block_size.get() {
        log @ 0..=2 if raw.log_cluster_size.get() == log => Ok(1024 << log),
        log => {
            let log = if log <= 2 { raw.log_cluster_size.get() } else { log };
            Err(Error::UnsupportedBlockSize { bytes: 1024u64.checked_shl(log).unwrap_or(0) })
        }
    }
}

impl Geometry {
    /// Takes the numbers from a superblock.
    ///
    /// # Errors
    /// If one of them cannot be right. Features are not judged.
    pub(crate) fn new(raw: &RawSuperblock) -> Result<Self, Error> {
        let block_size = block_size(raw)?;
        let old = raw.revision.get() == REVISION_OLD;
        let mut geometry = Self {
            block_size,
            blocks: raw.blocks.get(),
            first_block: raw.first_data_block.get(),
            blocks_per_group: raw.blocks_per_group.get(),
            inodes_per_group: raw.inodes_per_group.get(),
            inodes: raw.inodes.get(),
            first_inode: if old { OLD_FIRST_INODE } else { raw.first_inode.get() },
            inode_size: if old { INODE_SIZE } else { raw.inode_size.get().into() },
            groups: 0,
            descriptor_blocks: 0,
            reserved_descriptor_blocks: raw.reserved_gdt_blocks.get().into(),
            table_blocks: 0,
            compat: Compat::from_bits_retain(if old { 0 } else { raw.compat.get() }),
            incompat: Incompat::from_bits_retain(if old { 0 } else { raw.incompat.get() }),
            ro_compat: RoCompat::from_bits_retain(if old { 0 } else { raw.ro_compat.get() }),
            backup_groups: raw.backup_groups.map(|group| group.get()),
        };
        geometry.check_numbers(raw)?;
        if !geometry.compat.contains(Compat::RESIZE_INODE) {
            geometry.reserved_descriptor_blocks = 0;
        }
        let in_groups = geometry.blocks - geometry.first_block;
        geometry.groups = in_groups.div_ceil(geometry.blocks_per_group);
        geometry.descriptor_blocks = geometry.groups.div_ceil((block_size / GROUP_SIZE) as u32);
        geometry.table_blocks = geometry.inodes_per_group.div_ceil(geometry.inodes_per_block());
        let inodes = u64::from(geometry.groups) * u64::from(geometry.inodes_per_group);
        check(u64::from(geometry.inodes) == inodes, "inodes count")?;
        // All that is fixed in a group must fit into one; so there are no more descriptors
        // than a group has room for.
        let fixed = 1u64
            + u64::from(geometry.descriptor_blocks)
            + u64::from(geometry.reserved_descriptor_blocks)
            + 2
            + u64::from(geometry.table_blocks);
        check(fixed <= u64::from(geometry.blocks_per_group), "blocks per group")?;
        Ok(geometry)
    }

    fn check_numbers(&self, raw: &RawSuperblock) -> Result<(), Error> {
        let bits = self.block_size as u32 * 8;
        let first = u32::from(self.block_size == 1024);
        check(self.first_block == first, "first data block")?;
        check(self.blocks > self.first_block, "blocks count")?;
        check((8..=bits).contains(&self.blocks_per_group), "blocks per group")?;
        check(self.blocks_per_group.is_multiple_of(8), "blocks per group")?;
        let size = self.inode_size;
        check(size.is_power_of_two(), "inode size")?;
        check((INODE_SIZE..=self.block_size).contains(&size), "inode size")?;
        check((1..=bits).contains(&self.inodes_per_group), "inodes per group")?;
        // Table blocks are filled, but in revision 0 of old mke2fs.
        check(self.first_inode >= OLD_FIRST_INODE, "first inode")?;
        check(self.first_inode <= self.inodes, "first inode")?;
        check(raw.reserved_blocks.get() <= self.blocks, "reserved blocks")?;
        check(raw.free_blocks.get() <= self.blocks, "free blocks")?;
        check(raw.free_inodes.get() <= self.inodes, "free inodes")
    }

    /// Inodes of a block of the table.
    pub(crate) fn inodes_per_block(&self) -> u32 {
        (self.block_size / self.inode_size) as u32
    }

    /// Block numbers in an indirect block.
    pub(crate) fn pointers(&self) -> u32 {
        (self.block_size / size_of::<u32>()) as u32
    }

    /// What a block counts in `sectors`.
    pub(crate) fn sectors(&self) -> u32 {
        self.block_size as u32 / SECTOR
    }

    /// The group of a block that is there and not before group 0.
    pub(crate) fn group_of_block(&self, block: u32) -> u32 {
        block.saturating_sub(self.first_block) / self.blocks_per_group
    }

    /// The group of an inode, whose number is not 0.
    pub(crate) fn group_of_inode(&self, inode: u32) -> u32 {
        inode.saturating_sub(1) / self.inodes_per_group
    }

    /// The first block of a group.
    pub(crate) fn group_start(&self, group: u32) -> u32 {
        self.first_block + group * self.blocks_per_group
    }

    /// How many blocks a group has: the last may have less.
    pub(crate) fn group_blocks(&self, group: u32) -> u32 {
        (self.blocks - self.group_start(group)).min(self.blocks_per_group)
    }

    /// Whether the group begins with a copy of the superblock and the descriptors.
    pub(crate) fn has_superblock(&self, group: u32) -> bool {
        if group == 0 {
            true
        } else if self.compat.contains(Compat::SPARSE_SUPER2) {
            self.backup_groups.contains(&group)
        } else if self.ro_compat.contains(RoCompat::SPARSE_SUPER) {
            group == 1 || [3, 5, 7].into_iter().any(|base| is_power(group, base))
        } else {
            true
        }
    }

    /// Blocks at the start of a group for the superblock and descriptors.
    pub(crate) fn head_blocks(&self, group: u32) -> u32 {
        if self.has_superblock(group) {
            1 + self.descriptor_blocks + self.reserved_descriptor_blocks
        } else {
            0
        }
    }

    /// Whether files can have this inode: one that is there and not reserved, or the root.
    pub(crate) fn is_file_inode(&self, inode: u32) -> bool {
        inode == ROOT_INODE || (self.first_inode..=self.inodes).contains(&inode)
    }
}

/// Whether `number` is `base` to some power, 1 or more.
fn is_power(number: u32, base: u32) -> bool {
    let (number, base) = (u64::from(number), u64::from(base));
    let mut power = base;
    while power < number {
        power *= base;
    }
    power == number
}

#[cfg(test)]
mod tests {
    use super::is_power;

    #[test]
    fn powers() {
        let found = |base| (2..1000).filter(move |n| is_power(*n, base)).collect::<Vec<_>>();
        assert_eq!(found(3), [3, 9, 27, 81, 243, 729]);
        assert_eq!(found(7), [7, 49, 343]);
        assert!(!is_power(u32::MAX, 3));
    }
}
