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

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use base::sync::SpinLock;
use device::block;
use memory::{heap, reclaim};

use crate::vfs::{self, Caching, FileSystem, MountFlags, MountRequest, Superblock};
use volume::Ext2Volume;

struct Ext2Kind;

/// The file systems that are mounted, and some that were.
static MOUNTED: SpinLock<Vec<Weak<Ext2Volume>>> = SpinLock::new("ext2 mounted", Vec::new());

fn note_mounted(volume: &Arc<Ext2Volume>) -> Result<()> {
    let mut mounted = MOUNTED.lock();
    mounted.retain(|volume| volume.strong_count() > 0);
    mounted.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    mounted.push(Arc::downgrade(volume));
    Ok(())
}

/// Lets metadata go that are as they are on the disk, of each file system up to `bytes`; how many
/// bytes those were. May sleep.
pub(crate) fn drop_metadata(bytes: usize) -> usize {
    let mut dropped = 0;
    for index in 0.. {
        let next = MOUNTED.lock().get(index).cloned();
        let Some(next) = next else { break };
        if let Some(volume) = next.upgrade() {
            let blocks = bytes.div_ceil(volume.block_size as usize);
            dropped += volume.engine.read().storage().drop_some(blocks);
        }
    }
    dropped
}

fn shrink(frames: usize) -> usize {
    drop_metadata(frames.saturating_mul(4096));
    heap::shrink(frames)
}

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
        note_mounted(&volume)?;
        let root = volume.inode(ext2::ROOT_INODE)?;
        let is_read_only = volume.is_read_only();
        Superblock::new("ext2", root, volume, Caching::Kept, is_read_only)
    }
}

/// Makes the kind of file system known.
pub(crate) fn init() {
    vfs::register(&Ext2Kind);
    reclaim::register("ext2 metadata", reclaim::Kind::MaySleep, shrink);
}
