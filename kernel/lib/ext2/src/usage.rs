//! How full the file system is: [`Ext2::usage`], and who may take what is reserved.

use crate::fs::Ext2;
use crate::storage::Storage;

/// The figures of statfs(2), in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of a block.
    pub block_size: usize,
    /// Blocks that files can have, without those of metadata that are always there.
    pub blocks: u64,
    /// Blocks that are free, those too that become so when everything is written back, and
    /// those that files have in advance.
    pub free_blocks: u64,
    /// Of these those that everybody may take.
    pub available_blocks: u64,
    /// Inodes.
    pub inodes: u64,
    /// Inodes that are free.
    pub free_inodes: u64,
    /// The UUID.
    pub uuid: [u8; 16],
    /// The label, padded with zeros.
    pub label: [u8; 16],
}

impl<S: Storage> Ext2<S> {
    /// How full it is.
    pub fn usage(&self) -> Usage {
        let geometry = &self.geometry;
        let fixed: u64 = (0..geometry.groups)
            .map(|group| u64::from(geometry.head_blocks(group) + 2 + geometry.table_blocks))
            .sum();
        let totals = self.groups.totals();
        let free = u64::from(totals.free_blocks + self.windows.blocks());
        let reserved = u64::from(self.superblock.reserved_blocks.get());
        Usage {
            block_size: geometry.block_size,
            blocks: u64::from(geometry.blocks - geometry.first_block).saturating_sub(fixed),
            free_blocks: free,
            available_blocks: free.saturating_sub(reserved),
            inodes: geometry.inodes.into(),
            free_inodes: totals.free_inodes.into(),
            uuid: self.superblock.uuid,
            label: self.superblock.label,
        }
    }

    /// Whether a user may take blocks that are reserved, as root may in any case.
    pub fn may_use_reserved(&self, uid: u32, gid: u32) -> bool {
        let group = u32::from(self.superblock.reserved_gid.get());
        uid == u32::from(self.superblock.reserved_uid.get()) || group != 0 && gid == group
    }
}
