//! [`Dentry`]: a name in a directory, with the inode that it leads to.
//!
//! There is at most one dentry of a name in a directory at a time ([`super::dcache`] sees to
//! that), so two paths lead to the same place if their dentries are the same. A dentry keeps its
//! parent, up to the root of the file system; what it is called and `..` come from there.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::vfs::dcache;
use crate::vfs::inode::Inode;

/// A name in a directory, or the root of a file system.
pub struct Dentry {
    /// The directory, and what the dentry is called there; the root has neither.
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
    /// What the cache finds it by.
    hash: u64,
    /// `None`: there is no file of that name. Only the cache sees such dentries.
    inode: Option<Arc<dyn Inode>>,
    /// The superblock's number.
    superblock: u32,
    /// How many mounts stand on it, in whatever mount that is.
    mounts: AtomicU32,
    /// Found again since the cache looked last.
    used: AtomicBool,
}

impl Dentry {
    /// The root of a file system.
    pub(super) fn root(superblock: u32, inode: Arc<dyn Inode>) -> Self {
        Self {
            parent: None,
            name: Arc::from(&[][..]),
            hash: 0,
            inode: Some(inode),
            superblock,
            mounts: AtomicU32::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// What `name` leads to in the directory `parent`.
    pub(super) fn child(
        parent: &Arc<Self>,
        name: &[u8],
        hash: u64,
        inode: Option<Arc<dyn Inode>>,
    ) -> Self {
        Self {
            parent: Some(parent.clone()),
            name: Arc::from(name),
            hash,
            inode,
            superblock: parent.superblock,
            mounts: AtomicU32::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// The directory that it is in; `None` for the root of a file system.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// What it is called; empty for the root of a file system.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<[u8]> {
        self.name.clone()
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of the superblock that it belongs to.
    pub(super) fn superblock(&self) -> u32 {
        self.superblock
    }

    /// The inode; `None` if the dentry says that there is no file of that name.
    pub fn inode(&self) -> Option<&Arc<dyn Inode>> {
        self.inode.as_ref()
    }

    /// Whether something is mounted on it, in one mount or another.
    pub(super) fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// Says that one more mount stands on it. Under the lock of the mount table.
    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::Release);
    }

    /// Says that a mount on it has gone. Under the lock of the mount table.
    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::Release);
    }

    /// Says that it was found again.
    pub(super) fn set_used(&self) {
        // Most of the time it is set, and the line need not become this CPU's own.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was found again since the last call.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        let Some(mut parent) = self.parent.take() else { return };
        dcache::remove_dead(self.hash);
        // The way up may be long, and the stack is short: each is taken apart here rather than
        // in the drop of the one below.
        while let Some(mut above) = Arc::into_inner(parent) {
            let Some(next) = above.parent.take() else { break };
            dcache::remove_dead(above.hash);
            parent = next;
        }
    }
}

impl fmt::Debug for Dentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dentry({}, {:?})", self.name.escape_ascii(), self.inode)
    }
}
