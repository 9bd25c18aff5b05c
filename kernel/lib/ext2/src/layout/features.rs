//! The three sets of features in the superblock: [`Compat`], [`Incompat`], [`RoCompat`].
//!
//! A system that does not know a bit of the first mounts as if it were not there, of the
//! second not at all, of the third read-only. Names are those of `tune2fs`, in capitals.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Features that may be ignored.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Compat: u32 {
        /// Directories get blocks in advance.
        const DIR_PREALLOC = 0x1;
        /// Inodes of AFS.
        const IMAGIC_INODES = 0x2;
        /// A journal, ignored as long as it has nothing to be replayed.
        const HAS_JOURNAL = 0x4;
        /// Inodes may have a block of extended attributes.
        const EXT_ATTR = 0x8;
        /// Space for more group descriptors, kept by inode 7.
        const RESIZE_INODE = 0x10;
        /// Directories may have an index of hashes, hidden from who does not know it.
        const DIR_INDEX = 0x20;
        /// Two copies of the superblock, in groups that it names.
        const SPARSE_SUPER2 = 0x200;
        /// Further bits are kept.
        const _ = !0;
    }

    /// Features that one must know to mount at all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Incompat: u32 {
        /// Compressed files.
        const COMPRESSION = 0x1;
        /// Directory entries say the type of the file.
        const FILETYPE = 0x2;
        /// The journal has something to be replayed.
        const NEEDS_RECOVERY = 0x4;
        /// This is a journal for another file system.
        const JOURNAL_DEV = 0x8;
        /// Group descriptors are spread over the disk.
        const META_BG = 0x10;
        /// Files are mapped by extents (ext4).
        const EXTENT = 0x40;
        /// More than 2^32 blocks.
        const _64BIT = 0x80;
        /// Protected against being mounted twice.
        const MMP = 0x100;
        /// Bitmaps and inode tables lie outside their groups.
        const FLEX_BG = 0x200;
        /// Extended attributes in inodes.
        const EA_INODE = 0x400;
        /// Data in directory entries.
        const DIRDATA = 0x1000;
        /// The seed of checksums is in the superblock.
        const METADATA_CSUM_SEED = 0x2000;
        /// Directories beyond 2 GiB.
        const LARGE_DIR = 0x4000;
        /// Data in inodes.
        const INLINE_DATA = 0x8000;
        /// Encrypted files.
        const ENCRYPT = 0x1_0000;
        /// Names without regard to case.
        const CASEFOLD = 0x2_0000;
        /// Further bits are refused.
        const _ = !0;
    }

    /// Features that one must know to write.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RoCompat: u32 {
        /// Copies of the superblock in some groups only.
        const SPARSE_SUPER = 0x1;
        /// There may be files of 2 GiB and more.
        const LARGE_FILE = 0x2;
        /// Never used by anyone.
        const BTREE_DIR = 0x4;
        /// Files beyond 2 TiB.
        const HUGE_FILE = 0x8;
        /// Checksums of group descriptors.
        const UNINIT_BG = 0x10;
        /// Directories with more than 65,000 subdirectories.
        const DIR_NLINK = 0x20;
        /// All inodes have a number of fields behind the first 128 bytes.
        const EXTRA_ISIZE = 0x40;
        /// Quota in hidden files.
        const QUOTA = 0x100;
        /// Blocks are allocated in clusters.
        const BIGALLOC = 0x200;
        /// Checksums of all metadata.
        const METADATA_CSUM = 0x400;
        /// Never to be written.
        const READ_ONLY = 0x1000;
        /// Quota by project.
        const PROJECT = 0x2000;
        /// Files share blocks.
        const SHARED_BLOCKS = 0x4000;
        /// Files with checksums.
        const VERITY = 0x8000;
        /// The file of orphans is in use.
        const ORPHAN_PRESENT = 0x1_0000;
        /// Further bits make it read-only.
        const _ = !0;
    }
}

/// What can be mounted.
pub(crate) const INCOMPAT_KNOWN: Incompat = Incompat::FILETYPE;
/// What can be written.
pub(crate) const RO_COMPAT_KNOWN: RoCompat = RoCompat::SPARSE_SUPER
    .union(RoCompat::LARGE_FILE)
    .union(RoCompat::BTREE_DIR)
    .union(RoCompat::EXTRA_ISIZE);

/// Writes the names of the bits, in small letters with commas.
fn list<F: bitflags::Flags<Bits = u32>>(flags: &F, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = flags.bits();
    let mut comma = "";
    for (name, flag) in flags.iter_names() {
        f.write_str(comma)?;
        for letter in name.trim_start_matches('_').chars() {
            write!(f, "{}", letter.to_ascii_lowercase())?;
        }
        rest &= !flag.bits();
        comma = ", ";
    }
    if rest != 0 {
        write!(f, "{comma}{rest:#x}")?;
    }
    Ok(())
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(self, f)
    }
}

impl fmt::Display for Incompat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(self, f)
    }
}

impl fmt::Display for RoCompat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_called_what_tune2fs_calls_them() {
        let known = Incompat::EXTENT | Incompat::_64BIT | Incompat::FLEX_BG;
        assert_eq!(known.to_string(), "extent, 64bit, flex_bg");
        assert_eq!(Incompat::from_bits_retain(0x4000_0040).to_string(), "extent, 0x40000000");
        assert_eq!(RoCompat::from_bits_retain(0x80).to_string(), "0x80");
    }
}
