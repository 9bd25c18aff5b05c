//! ext2: the engine of floor 0 ([`ext2`]) with a disk under it and the VFS over it.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | mounting |
//! | `store.rs` | [`Store`](store::Store): the blocks of metadata that are in memory |
//! | `table.rs` | [`Table`](table::Table): the inodes that are in memory |
//! | `volume.rs` | [`Ext2Volume`](volume::Ext2Volume): a mounted file system, its inodes and locks |
//! | `write_back.rs` | storing what was changed: batches, fsync, sync, the flusher |
//! | `inode.rs` | [`Ext2Inode`](inode::Ext2Inode), as the VFS sees it |
//! | `names.rs` | what changes names |
//! | `pages.rs` | from the page cache to the disk and back |
//! | `in_flight.rs` | [`InFlight`](in_flight::InFlight): pages on their way, which a batch waits for |
//!
//! **Locks**, the first before the second: the VFS's of names; an inode's of its writes; those of
//! reading inodes; the one of storing (`flight`); the barrier, which writers hold for reading from taking room on the
//! disk until the page is dirty, and a batch for writing as it begins; the engine's; spin locks: the one
//! of an inode being listed as to be stored, then those of the table and of what is told of an inode.
//! Pages are read and stored under none but the engine's for reading, and that only to learn where they
//! are.

mod in_flight;
mod inode;
mod names;
mod pages;
mod store;
mod table;
mod volume;
mod write_back;

use alloc::sync::Arc;

use abi::{Errno, Result};
use device::block;

use crate::vfs::{self, Caching, FileSystem, MountFlags, MountRequest, Superblock};
use volume::Ext2Volume;

struct Ext2Kind;

/// The volume that a source names: `/dev/vda1`, or the name alone.
fn find_volume(source: &[u8]) -> Result<Arc<block::Volume>> {
    let name = core::str::from_utf8(source).map_err(|_| Errno::ENOENT)?;
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    block::find(name).ok_or(Errno::ENOENT)
}

impl FileSystem for Ext2Kind {
    fn name(&self) -> &'static str {
        "ext2"
    }

    fn needs_device(&self) -> bool {
        true
    }

    fn superblock(&self, request: &MountRequest<'_>) -> Result<Arc<Superblock>> {
        if !request.options.is_empty() {
            return Err(Errno::EINVAL);
        }
        let read_only = request.flags.contains(MountFlags::READ_ONLY);
        let volume = Ext2Volume::mount(&find_volume(request.source)?, read_only)?;
        let root = volume.inode(ext2::ROOT_INODE)?;
        let is_read_only = volume.is_read_only();
        Superblock::new("ext2", root, volume, Caching::Kept, is_read_only)
    }
}

/// Makes the kind of file system known.
pub(crate) fn init() {
    vfs::register(&Ext2Kind);
}
