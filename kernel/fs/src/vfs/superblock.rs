//! [`Superblock`]: a file system that is there to be mounted; [`FileSystem`]: a kind of them; and
//! the kinds that there are.

use alloc::sync::Arc;
use core::fmt::{self, Debug};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use memory::frames::check_user_may_allocate;

use crate::status::DeviceNumber;
use crate::vfs::dcache;
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::Inode;

/// Most kinds of file system.
const MOST_KINDS: usize = 16;

/// What the dentry cache may do with the names of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Keep them, those included that do not exist: they change only through the VFS.
    Kept,
    /// Know them while somebody uses them, and ask [`Inode::is_current`] each time: files come
    /// and go by themselves.
    WhileUsed,
}

/// What a mount is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountRequest<'a> {
    /// The device, or whatever the kind of file system makes of the word.
    pub source: &'a [u8],
    /// Nothing may be changed.
    pub read_only: bool,
    /// No file of it may be executed.
    pub no_exec: bool,
    /// Options of the kind of file system, with commas between them.
    pub options: &'a [u8],
}

/// A kind of file system. Registered once with [`register`].
pub trait FileSystem: Sync {
    /// Its name, as mount(2) and `/proc/filesystems` have it.
    fn name(&self) -> &'static str;

    /// Where it is mounted if nobody says where; `None` if that has to be said.
    fn usual_place(&self) -> Option<&'static str> {
        None
    }

    /// Whether it needs a block device as its source.
    fn needs_device(&self) -> bool {
        false
    }

    /// The superblock for a mount: another one for each, or always the same.
    ///
    /// # Errors
    /// As mount(2); `EINVAL` for options that it does not know.
    fn superblock(&self, request: &MountRequest<'_>) -> Result<Arc<Superblock>>;
}

impl Debug for dyn FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSystem({})", self.name())
    }
}

/// A file system that can be mounted, in one place or several: its root, and what is true of
/// all its files. It is there as long as something of it is mounted, or its kind keeps it.
#[derive(Debug)]
pub struct Superblock {
    number: u32,
    kind: &'static str,
    caching: Caching,
    read_only: bool,
    root: Arc<Dentry>,
    /// How many mounts there are of it. Changed under the lock of the mount table.
    pub(super) mounts: AtomicUsize,
}

impl Superblock {
    /// A file system of the kind `kind` with the root directory `root`. `read_only` if it can
    /// never be written to.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(
        kind: &'static str,
        root: Arc<dyn Inode>,
        caching: Caching,
        read_only: bool,
    ) -> Result<Arc<Self>> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        check_user_may_allocate()?;
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let root = Arc::new(Dentry::root(number, root));
        let mounts = AtomicUsize::new(0);
        Ok(Arc::new(Self { number, kind, caching, read_only, root, mounts }))
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The device that stat(2) names: a number of its own with major number 0, as Linux gives to
    /// file systems without a device.
    pub fn device(&self) -> DeviceNumber {
        DeviceNumber { major: 0, minor: self.number }
    }

    /// Whether it can never be written to.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What may be done with its names.
    pub(super) fn caching(&self) -> Caching {
        self.caching
    }

    /// The root directory's dentry.
    pub(super) fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// Called when the last mount of it has gone.
    pub(super) fn forget_dentries(&self) {
        dcache::forget(self.number);
    }
}

static KINDS: SpinLock<ArrayVec<&'static dyn FileSystem, MOST_KINDS>> =
    SpinLock::new("kinds of file system", ArrayVec::new_const());

/// Registers a kind of file system, to be mounted by its name.
///
/// # Panics
/// If there are too many.
pub fn register(kind: &'static dyn FileSystem) {
    KINDS.lock().push(kind);
}

/// The kinds of file system that there are, in the order in which they were registered.
pub fn file_systems() -> ArrayVec<&'static dyn FileSystem, MOST_KINDS> {
    KINDS.lock().clone()
}

/// The kind of file system of a name.
///
/// # Errors
/// `ENODEV`.
pub fn find_file_system(name: &[u8]) -> Result<&'static dyn FileSystem> {
    let mut all = file_systems().into_iter();
    all.find(|kind| kind.name().as_bytes() == name).ok_or(Errno::ENODEV)
}
