//! [`Mount`]: a file system in its place; and the table of them.
//!
//! A mount stands on a directory of another one, the root mount on none. What is mounted on the
//! same directory once more stands on the root of the mount that is there, so at one place in
//! one mount there is one mount at most.
//!
//! A [`Path`] keeps its mount, and so does whatever has one: an open file, a working directory,
//! a mapping, a walk, a mount inside. The table's is the only other reference, so a mount is
//! busy if there are more. That is looked at under the table's lock, where the first reference
//! of everybody who has none yet comes from.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::{Errno, Result};
use base::sync::SpinLock;
use memory::frames::check_user_may_allocate;
use spin::Once;

use crate::block;
use crate::status::AccessTimes;
use crate::vfs::dentry::Dentry;
use crate::vfs::path::Path;
use crate::vfs::superblock::{FileSystem, MountFlags, MountRequest, Superblock};

/// Most mounts, as Linux has it (`fs.mount-max`), scaled to a table that is searched as a whole
/// when it is listed.
const MOST: usize = 10_000;

/// A file system in its place.
#[derive(Debug)]
pub struct Mount {
    number: u64,
    superblock: Arc<Superblock>,
    /// The directory that it is mounted on; `None` for the root.
    place: Option<Path>,
    source: Vec<u8>,
    /// [`MountFlags`], which a remount changes.
    flags: AtomicU32,
}

impl Mount {
    /// Its number; a later mount has a higher one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file system.
    pub fn superblock(&self) -> &Arc<Superblock> {
        &self.superblock
    }

    /// The directory that it is mounted on; `None` for the root.
    pub fn place(&self) -> Option<&Path> {
        self.place.as_ref()
    }

    /// What was mounted: the device, or a word that whoever mounted it chose.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether nothing can be changed through it.
    pub fn is_read_only(&self) -> bool {
        self.own_flags().contains(MountFlags::READ_ONLY) || self.superblock.is_read_only()
    }

    /// Whether nothing can be executed from it.
    pub fn is_no_exec(&self) -> bool {
        self.own_flags().contains(MountFlags::NO_EXEC)
    }

    /// Whether no device is reached through it.
    pub fn is_no_dev(&self) -> bool {
        self.own_flags().contains(MountFlags::NO_DEV)
    }

    /// How it is mounted, apart from what its file system is like.
    pub fn own_flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// How it is mounted. Of the file system's own properties it has that it is read-only.
    pub fn flags(&self) -> MountFlags {
        let mut flags = self.own_flags();
        flags.set(MountFlags::READ_ONLY, self.is_read_only());
        flags
    }

    /// How it is noted that a file is read through it.
    pub fn access_times(&self) -> AccessTimes {
        let flags = self.own_flags();
        if flags.contains(MountFlags::NO_ATIME) {
            AccessTimes::None
        } else if flags.contains(MountFlags::STRICT_ATIME) {
            AccessTimes::Always
        } else {
            AccessTimes::Relative
        }
    }

    /// The path to where it begins.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn text(&self) -> Result<Vec<u8>> {
        match &self.place {
            Some(place) => place.text(),
            None => Ok(b"/".to_vec()),
        }
    }

    /// Where it begins.
    pub(super) fn root(&self) -> &Arc<Dentry> {
        self.superblock.root()
    }
}

/// What a mount is found by: the number of the mount that it stands in, and the address of the
/// dentry there, which it keeps.
type Key = (u64, usize);

fn key(place: &Path) -> Key {
    (place.mount().number(), Arc::as_ptr(place.dentry()).addr())
}

static MOUNTS: SpinLock<BTreeMap<Key, Arc<Mount>>> = SpinLock::new("mounts", BTreeMap::new());
static ROOT: Once<Arc<Mount>> = Once::new();
static LAST: AtomicU64 = AtomicU64::new(0);

/// Makes `superblock` the root of all. Call once; a second root is not taken.
///
/// # Errors
/// `ENOMEM`; `EBUSY` if there is a root.
pub(crate) fn mount_root(superblock: Arc<Superblock>, source: &[u8]) -> Result<()> {
    let mount = new_mount(superblock, None, &MountRequest { source, ..MountRequest::default() })?;
    let mut is_new = false;
    ROOT.call_once(|| {
        is_new = true;
        mount.superblock.mounts.fetch_add(1, Ordering::Relaxed);
        mount
    });
    if is_new { Ok(()) } else { Err(Errno::EBUSY) }
}

/// The root directory: where absolute paths begin.
///
/// # Errors
/// `ENOENT` before there is one.
pub fn root() -> Result<Path> {
    let mount = ROOT.get().ok_or(Errno::ENOENT)?;
    Ok(Path::new(mount.clone(), mount.root().clone()).entered())
}

fn new_mount(
    superblock: Arc<Superblock>,
    place: Option<Path>,
    request: &MountRequest<'_>,
) -> Result<Arc<Mount>> {
    check_user_may_allocate()?;
    let mut source = Vec::new();
    source.try_reserve_exact(request.source.len()).map_err(|_| Errno::ENOMEM)?;
    source.extend_from_slice(request.source);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let flags = AtomicU32::new(request.flags.bits());
    Ok(Arc::new(Mount { number, superblock, place, source, flags }))
}

/// A mount that stands nowhere: its root is where `..` ends.
pub(crate) fn detached(superblock: Arc<Superblock>) -> Result<Path> {
    let mount = new_mount(superblock, None, &MountRequest::default())?;
    let root = mount.root().clone();
    Ok(Path::new(mount, root))
}

/// Mounts a file system of the kind `kind` on the directory at `place`, over what is there.
///
/// # Errors
/// `ENOTDIR` if that is none, `ENOENT` if it is gone, `ENOSPC` if there are too many mounts, `ENOMEM`; what the kind of
/// file system says.
pub fn mount(kind: &dyn FileSystem, place: Path, request: &MountRequest<'_>) -> Result<()> {
    mount_superblock(kind.superblock(request)?, place, request)
}

/// Mounts a superblock, which may be mounted elsewhere, too.
///
/// # Errors
/// As [`mount`].
pub(crate) fn mount_superblock(
    superblock: Arc<Superblock>,
    place: Path,
    request: &MountRequest<'_>,
) -> Result<()> {
    if !place.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let mut place = place;
    loop {
        // Somebody may mount there, too: then this one comes on top.
        place = place.entered();
        let mount = new_mount(superblock.clone(), Some(place.clone()), request)?;
        // It does not go meanwhile: whoever takes a directory away looks for mounts under this lock.
        let _names = place.dentry().lock_names_to_change(0)?;
        let mut mounts = MOUNTS.lock();
        if mounts.len() >= MOST {
            drop(mounts);
            return Err(Errno::ENOSPC);
        }
        if mounts.contains_key(&key(&place)) {
            drop(mounts);
            continue;
        }
        place.dentry().add_mount();
        mount.superblock.mounts.fetch_add(1, Ordering::Relaxed);
        mounts.insert(key(&place), mount);
        return Ok(());
    }
}

/// Takes away the mount that begins at `at`, which is the only reference that the caller has to
/// anything in it.
///
/// # Errors
/// `EINVAL` if no mount begins there; `EBUSY` for the root, and if somebody uses something in the
/// mount, or something is mounted in it; `EIO` if it is gone, but not all could be stored.
pub fn unmount(at: Path) -> Result<()> {
    if !at.is_root_of_mount() {
        return Err(Errno::EINVAL);
    }
    let mount = at.into_mount();
    let Some(place) = mount.place() else { return Err(Errno::EBUSY) };
    let is_last = {
        let mut mounts = MOUNTS.lock();
        let found = mounts.get(&key(place)).is_some_and(|found| Arc::ptr_eq(found, &mount));
        if !found {
            return Err(Errno::EINVAL); // another umount was faster
        }
        // The caller's, and the table's. Who has another one may make more of it; who has none
        // gets none as long as the lock is held.
        if Arc::strong_count(&mount) > 2 {
            return Err(Errno::EBUSY);
        }
        place.dentry().remove_mount();
        // Not the last reference: that one is `mount`.
        mounts.remove(&key(place));
        mount.superblock.mounts.fetch_sub(1, Ordering::Relaxed) == 1
    };
    if is_last { mount.superblock.unmounted() } else { Ok(()) }
}

/// Changes how the mount that begins at `at` is mounted, and with it whether the file system can be
/// written to: in all places where it is mounted. With `only_mount` just this one is changed.
///
/// # Errors
/// `EINVAL` if no mount begins there, or the file system does not know the options; `EBUSY` if it
/// is to be read-only and files are open for writing; as [`Backing::remount`](super::Backing).
pub fn remount(at: &Path, flags: MountFlags, options: &[u8], only_mount: bool) -> Result<()> {
    if !at.is_root_of_mount() {
        return Err(Errno::EINVAL);
    }
    let mount = at.mount();
    if !only_mount {
        mount.superblock.remount(flags.contains(MountFlags::READ_ONLY), options)?;
    }
    mount.flags.store(flags.bits(), Ordering::Relaxed);
    Ok(())
}

/// What is mounted on `place` itself.
pub(super) fn mounted_on(place: &Path) -> Option<Arc<Mount>> {
    MOUNTS.lock().get(&key(place)).cloned()
}

/// All mounts, the root first and then by their numbers. Holding one makes it busy.
///
/// # Errors
/// `ENOMEM`.
pub fn mounts() -> Result<Vec<Arc<Mount>>> {
    let mut all = Vec::new();
    loop {
        let count = MOUNTS.lock().len() + 1;
        all.try_reserve(count).map_err(|_| Errno::ENOMEM)?;
        let mounts = MOUNTS.lock();
        if mounts.len() < all.capacity() {
            all.extend(ROOT.get().cloned());
            all.extend(mounts.values().cloned());
            break;
        }
    }
    all.sort_unstable_by_key(|mount: &Arc<Mount>| mount.number());
    Ok(all)
}

/// Has all that was changed in any file system stored, one after the other, and what was written to
/// disks through their nodes.
///
/// # Errors
/// `ENOMEM`; the first that a file system has. The others are stored all the same.
pub fn sync_all() -> Result<()> {
    let mut result = Ok(());
    for mount in mounts()? {
        // Those mounted twice come twice, which does no harm.
        let done = mount.superblock().sync();
        if result.is_ok() {
            result = done;
        }
    }
    let disks = block::store_all();
    result.and(disks)
}

/// The machine stops: has all that was changed stored, and nothing more is changed from then on.
/// Whatever cannot be stored is told in the log.
pub fn shutdown() {
    let all = match mounts() {
        Ok(all) => all,
        Err(error) => return log::error!("files are not stored: {}", error.description()),
    };
    for mount in all.iter().rev() {
        if let Err(error) = mount.superblock().shut_down() {
            let source = mount.source().escape_ascii();
            log::error!("{source}: not all is stored: {}", error.description());
        }
    }
    if let Err(error) = block::store_all() {
        log::error!("what was written to disks is not stored: {}", error.description());
    }
}
