//! The size of a file: [`Ext2::extend`], and how large files can be.

use super::tree::{most_blocks, span};
use crate::error::Error;
use crate::fs::Ext2;
use crate::geometry::Geometry;
use crate::layout::inode::{DIRECT, FileKind};
use crate::storage::Storage;

/// From this size on the superblock must have the feature `large_file`.
const LARGE_FILE: u64 = 1 << 31;

/// The most bytes that a file can have: what its pointers reach, and as much as can be counted
/// in 32 bits of sectors with all indirect blocks.
fn max_size(geometry: &Geometry) -> u64 {
    let per_block = geometry.pointers();
    let countable = u64::from(u32::MAX) / u64::from(geometry.sectors());
    let reached = most_blocks(per_block);
    let indirect = |data: u64| -> u64 {
        let mut above = data.saturating_sub(DIRECT as u64);
        let mut blocks = 0;
        for depth in 1..=3 {
            let here = above.min(span(per_block, depth));
            blocks += (1..=depth).map(|level| here.div_ceil(span(per_block, level))).sum::<u64>();
            above -= here;
        }
        blocks
    };
    // The largest number of data blocks that with its indirect blocks can be counted.
    let (mut fits, mut too_many) = (0, reached + 1);
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        if middle + indirect(middle) <= countable { fits = middle } else { too_many = middle }
    }
    fits * geometry.block_size as u64
}

impl<S: Storage> Ext2<S> {
    /// The most bytes that a file can have on this file system.
    pub fn max_file_size(&self) -> u64 {
        max_size(&self.geometry)
    }

    /// The most blocks that a file can have.
    pub(crate) fn max_blocks(&self) -> u64 {
        self.max_file_size() / self.geometry.block_size as u64
    }

    /// Makes a file larger: its size becomes `size` if it is less. What comes in between is a
    /// hole, but where blocks have been allocated. Whatever is in memory of the block with the
    /// old end must be zeros behind that.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`]; [`Error::Invalid`] if the inode is no regular file.
    pub fn extend(&mut self, inode: u32, size: u64) -> Result<(), Error> {
        self.check_writable()?;
        if self.raw_inode(inode)?.kind() != Some(FileKind::Regular) {
            return Err(Error::Invalid);
        }
        if size > self.max_file_size() {
            return Err(Error::FileTooLarge);
        }
        if size >= LARGE_FILE {
            self.require_large_file();
        }
        self.change_inode(inode, |raw, _| {
            if raw.size() < size {
                raw.set_size(size);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::layout::superblock::{MAGIC, RawSuperblock};
    use zerocopy::FromZeros;

    fn max(log: u32) -> u64 {
        let mut raw = RawSuperblock::new_zeroed();
        raw.magic = MAGIC.into();
        raw.log_block_size = log.into();
        raw.log_cluster_size = log.into();
        raw.first_data_block = u32::from(log == 0).into();
        raw.blocks = 8192.into();
        raw.blocks_per_group = 8192.into();
        raw.inodes_per_group = 1024.into();
        raw.inodes = 1024.into();
        super::max_size(&super::Geometry::new(&raw).unwrap())
    }

    #[test]
    fn files_can_be_as_large_as_pointers_and_sectors_allow() {
        // By the pointers: 12 + 256 + 256^2 + 256^3 blocks, and as much with 512.
        assert_eq!(max(0), 16_843_020 * 1024);
        assert_eq!(max(1), (12 + 512 + 512 * 512 + 512 * 512 * 512) * 2048);
        // By the sectors: less than 2 TiB by the indirect blocks.
        let blocks = u64::from(u32::MAX) / 8;
        let largest = max(2) / 4096;
        assert!(largest < blocks && largest > blocks - blocks / 1000);
    }
}
