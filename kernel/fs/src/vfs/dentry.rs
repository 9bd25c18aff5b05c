//! [`Dentry`]: a name in a directory, with the inode that it leads to.
//!
//! There is at most one dentry of a name in a directory at a time ([`super::dcache`] sees to
//! that), so two paths lead to the same place if their dentries are the same. A dentry keeps its
//! parent, up to the root of the file system; what it is called and `..` come from there. Both
//! change when it is renamed.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{Errno, Result};
use base::sync::SpinLock;
use task::{Mutex, MutexGuard, lock_nested, named_mutex};

use crate::vfs::dcache;
use crate::vfs::inode::Inode;

/// A name in a directory, or the root of a file system.
pub struct Dentry {
    place: SpinLock<Place>,
    /// `None`: there is no file of that name. Only the cache sees such dentries.
    inode: Option<Arc<dyn Inode>>,
    /// The superblock's number.
    superblock: u32,
    /// How many mounts stand on it, in whatever mount that is.
    mounts: AtomicU32,
    /// Found again since the cache looked last.
    used: AtomicBool,
    /// The name is gone, and with a directory all that it could hold.
    gone: AtomicBool,
    /// Of a file that was made without a name, and had none since: it may get one.
    linkable: AtomicBool,
    /// Where the cache keeps it; [`NOT_KEPT`] if it does not. Changed under the lock of that.
    slot: AtomicU32,
    /// Of a directory: held while one of its names is looked up in the file system, or changes.
    names: Mutex<()>,
}

/// What stands for no slot.
const NOT_KEPT: u32 = u32::MAX;

/// Where a dentry is.
#[derive(Clone)]
pub(super) struct Place {
    /// The directory, and what the dentry is called there; the root has neither.
    pub(super) parent: Option<Arc<Dentry>>,
    pub(super) name: Arc<[u8]>,
    /// What the cache finds it by.
    pub(super) hash: u64,
}

impl Dentry {
    fn new(place: Place, superblock: u32, inode: Option<Arc<dyn Inode>>) -> Self {
        Self {
            place: SpinLock::new("place of a dentry", place),
            inode,
            superblock,
            mounts: AtomicU32::new(0),
            used: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            linkable: AtomicBool::new(false),
            slot: AtomicU32::new(NOT_KEPT),
            names: named_mutex("names of a directory", ()),
        }
    }

    /// The root of a file system.
    pub(super) fn root(superblock: u32, inode: Arc<dyn Inode>) -> Self {
        let place = Place { parent: None, name: Arc::from(&[][..]), hash: 0 };
        Self::new(place, superblock, Some(inode))
    }

    /// What `name` leads to in the directory `parent`.
    pub(super) fn child(
        parent: &Arc<Self>,
        name: &[u8],
        hash: u64,
        inode: Option<Arc<dyn Inode>>,
    ) -> Self {
        let place = Place { parent: Some(parent.clone()), name: Arc::from(name), hash };
        Self::new(place, parent.superblock, inode)
    }

    /// The directory that it is in; `None` for the root of a file system.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.place.lock().parent.clone()
    }

    /// What it is called; empty for the root of a file system.
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    /// Where it is.
    pub(super) fn place(&self) -> Place {
        self.place.lock().clone()
    }

    /// Says where it is from now on, and where it was.
    pub(super) fn set_place(&self, place: Place) -> Place {
        core::mem::replace(&mut *self.place.lock(), place)
    }

    pub(super) fn hash(&self) -> u64 {
        self.place.lock().hash
    }

    /// Whether it is `above`, or in it, at whatever depth.
    pub(super) fn is_within(self: &Arc<Self>, above: &Arc<Self>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, above) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// The number of the superblock that it belongs to.
    pub(super) fn superblock(&self) -> u32 {
        self.superblock
    }

    /// The inode; `None` if the dentry says that there is no file of that name.
    pub fn inode(&self) -> Option<&Arc<dyn Inode>> {
        self.inode.as_ref()
    }

    /// Keeps the directory's names as they are, but for those of file systems where they come and
    /// go by themselves. May sleep.
    pub(super) fn lock_names(&self) -> MutexGuard<'_, ()> {
        self.names.lock()
    }

    /// As [`Dentry::lock_names`], to change them. Of several directories those above first, each
    /// with a higher `level`.
    ///
    /// # Errors
    /// `ENOENT` if the directory itself is gone.
    pub(super) fn lock_names_to_change(&self, level: u16) -> Result<MutexGuard<'_, ()>> {
        let guard = lock_nested(&self.names, level);
        if self.is_gone() { Err(Errno::ENOENT) } else { Ok(guard) }
    }

    /// Whether the name is gone.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Says that the name is gone. Under the lock of the directory's names, and, if it is a
    /// directory, of its own.
    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether the file, which has no name, may get one.
    pub(super) fn is_linkable(&self) -> bool {
        self.linkable.load(Ordering::Acquire)
    }

    /// Says whether the file may get a name that has none.
    pub(super) fn set_linkable(&self, linkable: bool) {
        self.linkable.store(linkable, Ordering::Release);
    }

    /// The slot that the cache keeps it in.
    pub(super) fn slot(&self) -> Option<usize> {
        let slot = self.slot.load(Ordering::Relaxed);
        (slot != NOT_KEPT).then_some(slot as usize)
    }

    /// Says which slot that is. Under the lock of the slots.
    pub(super) fn set_slot(&self, slot: Option<u32>) {
        self.slot.store(slot.unwrap_or(NOT_KEPT), Ordering::Relaxed);
    }

    /// Whether something is mounted on it, in one mount or another. Under the lock of its names
    /// nothing more is mounted.
    pub(super) fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// Says that one more mount stands on it. Under the lock of its names, and that of the mount
    /// table.
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
        let place = self.place.get_mut();
        let Some(mut parent) = place.parent.take() else { return };
        dcache::remove_dead(place.hash);
        // The way up may be long, and the stack is short: each is taken apart here rather than
        // in the drop of the one below.
        while let Some(mut above) = Arc::into_inner(parent) {
            let place = above.place.get_mut();
            let Some(next) = place.parent.take() else { break };
            dcache::remove_dead(place.hash);
            parent = next;
        }
    }
}

impl fmt::Debug for Dentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dentry({}, {:?})", self.name().escape_ascii(), self.inode)
    }
}
