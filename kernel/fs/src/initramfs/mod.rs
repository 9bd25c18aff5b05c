//! The initramfs: the newc cpio archive that the boot loader left in memory, as a file system
//! that is the root of the tree. It is read-only, and nothing of it is copied.
//!
//! `build.rs` makes a tree of the archive, `inode.rs` has the inodes.

mod build;
mod inode;

use alloc::sync::Arc;

use abi::Result;

use crate::vfs::{Caching, Superblock, mount_root};
use build::build;
use inode::TreeInode;

pub use build::Contents;

/// Makes the archives in `bytes` the root of the file tree. Call once, after [`crate::init`].
/// No bytes at all make an empty directory.
///
/// # Errors
/// `ENOMEM`; `EBUSY` if there is a root already.
pub fn mount_initramfs(bytes: &'static [u8]) -> Result<Contents> {
    let (superblock, contents) = superblock(bytes)?;
    mount_root(superblock, b"rootfs")?;
    Ok(contents)
}

/// The file system of the archives in `bytes`.
pub(crate) fn superblock(bytes: &'static [u8]) -> Result<(Arc<Superblock>, Contents)> {
    let (tree, contents) = build(bytes)?;
    let root = Arc::new(TreeInode::root(Arc::new(tree)));
    Ok((Superblock::new("rootfs", root, Caching::Kept, true)?, contents))
}
