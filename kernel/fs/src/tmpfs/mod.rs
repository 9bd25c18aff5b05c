//! tmpfs: files that are in memory and nowhere else (tmpfs(5)).
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | [`TmpFs`], its limits, and mounting one |
//! | `inode.rs` | [`TmpInode`](inode::TmpInode) |
//! | `directory.rs` | the names in a directory |
//! | `options.rs` | `size=`, `nr_inodes=`, `mode=`, `uid=`, `gid=` |
//!
//! A file's bytes are the pages of its page cache, which stay, since there is nowhere to store
//! them; a page that was never written is not there.

mod directory;
mod inode;
mod options;
#[cfg(not(test))]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use base::sync::SpinLock;
use memory::frames;
use vm::cache::Budget;

use crate::status::Kind;
use crate::vfs::{
    self, Backing, Caching, FileSystem, MountFlags, MountRequest, NewFile, Statistics, Superblock,
};
use inode::TmpInode;
use options::Options;

/// As statfs(2) has it.
const MAGIC: u32 = 0x0102_1994;
const PAGE: u64 = 4096;

/// A tmpfs.
#[derive(Debug)]
pub(crate) struct TmpFs {
    /// Pages.
    budget: Arc<Budget>,
    /// Inodes there may be, and are.
    max_inodes: u64,
    inodes: AtomicU64,
    /// Numbers of inodes and of names.
    last: AtomicU64,
    /// Directories whose names are still to be let go, and whether somebody does.
    dying: SpinLock<inode::Dying>,
}

impl TmpFs {
    /// A number that none had before.
    fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Leave to make one more inode.
    ///
    /// # Errors
    /// `ENOSPC`.
    fn take_inode(&self) -> Result<()> {
        let more = |inodes| (inodes < self.max_inodes).then_some(inodes + 1);
        let taken = self.inodes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(|_| ()).map_err(|_| Errno::ENOSPC)
    }

    fn give_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backing for TmpFs {
    fn statistics(&self) -> Statistics {
        let (limit, used) = (self.budget.limit(), self.budget.used());
        let free = limit.saturating_sub(used);
        let free_inodes = self.max_inodes.saturating_sub(self.inodes.load(Ordering::Relaxed));
        Statistics {
            magic: MAGIC,
            block: PAGE as u32,
            blocks: limit,
            free,
            available: free,
            inodes: self.max_inodes,
            free_inodes,
            id: 0,
        }
    }
}

/// A new tmpfs with these options, as kind `kind`.
///
/// # Errors
/// `EINVAL` for options that are none; `ENOMEM`.
pub(crate) fn superblock(
    kind: &'static str,
    request: &MountRequest<'_>,
) -> Result<Arc<Superblock>> {
    let options = Options::parse(request.options, frames::total() as u64)?;
    let fs = Arc::new(TmpFs {
        budget: Budget::new(options.pages),
        max_inodes: options.inodes,
        inodes: AtomicU64::new(0),
        last: AtomicU64::new(0),
        dying: SpinLock::new("tmpfs directories", inode::Dying::default()),
    });
    let new = NewFile {
        mode: Kind::Directory.mode() | options.mode,
        uid: options.uid,
        gid: options.gid,
        device: Default::default(),
        target: b"",
    };
    let root = TmpInode::new(&fs, &new)?;
    let read_only = request.flags.contains(MountFlags::READ_ONLY);
    Superblock::new(kind, root, fs, Caching::Kept, read_only)
}

struct Kinds;

impl FileSystem for Kinds {
    fn name(&self) -> &'static str {
        "tmpfs"
    }

    fn superblock(&self, request: &MountRequest<'_>) -> Result<Arc<Superblock>> {
        superblock("tmpfs", request)
    }
}

/// Makes the kind of file system known.
pub(crate) fn init() {
    vfs::register(&Kinds);
}
