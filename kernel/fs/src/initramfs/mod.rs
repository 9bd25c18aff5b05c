//! The initramfs: the newc cpio archives that the boot loader left in memory, unpacked into a
//! tmpfs that is the root of the tree, as Linux's `init/initramfs.c` does it. `unpack.rs` does
//! the work.

#[cfg(not(test))]
mod tests;
mod unpack;

use alloc::sync::Arc;

use abi::Result;

use crate::tmpfs;
use crate::vfs::{self, MountRequest, Superblock, mount_root};

pub use unpack::Contents;

/// Makes a tmpfs with what is in the archives in `bytes` the root of the file tree. Call once,
/// after [`crate::init`]. No bytes at all make an empty directory.
///
/// # Errors
/// `ENOMEM`; `EBUSY` if there is a root already.
pub fn mount_initramfs(bytes: &[u8]) -> Result<Contents> {
    mount_root(superblock()?, b"rootfs")?;
    unpack::unpack(&vfs::root()?, bytes)
}

/// An empty one.
fn superblock() -> Result<Arc<Superblock>> {
    let request = MountRequest { options: b"mode=755", ..MountRequest::default() };
    tmpfs::superblock("rootfs", &request)
}
