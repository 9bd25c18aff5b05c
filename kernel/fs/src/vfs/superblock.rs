//! [`Superblock`]: a file system that is there to be mounted, over its [`Backing`];
//! [`FileSystem`]: a kind of them; and the kinds that there are.

use alloc::sync::Arc;
use core::fmt::{self, Debug};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use bitflags::bitflags;
use memory::frames::check_user_may_allocate;
use task::{Mutex, MutexGuard, named_mutex};

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

bitflags! {
    /// What may be done through a mount, and what is noted of it (mount(8)).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Nothing may be changed (`ro`).
        const READ_ONLY = 1 << 0;
        /// No program gets other rights by its file (`nosuid`).
        const NO_SUID = 1 << 1;
        /// No device is reached through a file (`nodev`).
        const NO_DEV = 1 << 2;
        /// No file may be executed (`noexec`).
        const NO_EXEC = 1 << 3;
        /// That a file is read is not noted (`noatime`).
        const NO_ATIME = 1 << 4;
        /// That a directory is read is not noted (`nodiratime`).
        const NO_DIRATIME = 1 << 5;
        /// It is noted each time (`strictatime`), and not just if the file was changed since, or a
        /// day has gone by (`relatime`).
        const STRICT_ATIME = 1 << 6;
    }
}

impl MountFlags {
    /// Those that say what is noted of reads.
    pub const TIMES: Self = Self::NO_ATIME.union(Self::NO_DIRATIME).union(Self::STRICT_ATIME);

    /// Does what a word says that mount(8) knows; false if it says nothing of this.
    #[must_use]
    pub fn apply(&mut self, word: &str) -> bool {
        let (flag, on) = match word {
            "ro" => (Self::READ_ONLY, true),
            "rw" => (Self::READ_ONLY, false),
            "nosuid" => (Self::NO_SUID, true),
            "suid" => (Self::NO_SUID, false),
            "nodev" => (Self::NO_DEV, true),
            "dev" => (Self::NO_DEV, false),
            "noexec" => (Self::NO_EXEC, true),
            "exec" => (Self::NO_EXEC, false),
            "noatime" => (Self::NO_ATIME, true),
            "atime" => (Self::NO_ATIME, false),
            "nodiratime" => (Self::NO_DIRATIME, true),
            "diratime" => (Self::NO_DIRATIME, false),
            "strictatime" => (Self::STRICT_ATIME, true),
            "relatime" | "nostrictatime" => (Self::STRICT_ATIME, false),
            "defaults" => (Self::empty(), true),
            _ => return false,
        };
        if flag == Self::STRICT_ATIME {
            self.remove(Self::NO_ATIME);
        }
        self.set(flag, on);
        true
    }
}

/// In the words of mount(8), as `/proc/mounts` has them.
impl fmt::Display for MountFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.contains(Self::READ_ONLY) { "ro" } else { "rw" })?;
        for (flag, word) in [
            (Self::NO_SUID, ",nosuid"),
            (Self::NO_DEV, ",nodev"),
            (Self::NO_EXEC, ",noexec"),
            (Self::NO_ATIME, ",noatime"),
            (Self::NO_DIRATIME, ",nodiratime"),
        ] {
            if self.contains(flag) {
                f.write_str(word)?;
            }
        }
        if self.intersects(Self::NO_ATIME | Self::STRICT_ATIME) {
            return Ok(());
        }
        f.write_str(",relatime")
    }
}

/// What a mount is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountRequest<'a> {
    /// The device, or whatever the kind of file system makes of the word.
    pub source: &'a [u8],
    /// What may be done through it.
    pub flags: MountFlags,
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

/// What statfs(2) tells of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The number that says what kind it is.
    pub magic: u32,
    /// Bytes of a block.
    pub block: u32,
    /// Blocks there are; 0 where that has no meaning.
    pub blocks: u64,
    /// Blocks that are free.
    pub free: u64,
    /// Of those, blocks that anybody may take.
    pub available: u64,
    /// Inodes there are.
    pub inodes: u64,
    /// Inodes that are free.
    pub free_inodes: u64,
    /// A number of its own.
    pub id: u64,
}

/// What a file system does as a whole.
pub trait Backing: Debug + Send + Sync {
    /// The block device that it is on, if it is on one.
    fn device(&self) -> Option<DeviceNumber> {
        None
    }

    /// What statfs(2) tells.
    fn statistics(&self) -> Statistics;

    /// Whether nothing can be changed any more, for it is damaged.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Returns when all that was changed before is where a power cut cannot reach it.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// It becomes read-only, or can be written to from now on, with the options of the kind of file
    /// system that were given. Before it becomes read-only all is stored; nobody has a file open
    /// for writing then.
    ///
    /// # Errors
    /// `EINVAL` for options that it does not know; `EROFS` if it cannot be written to; `EIO`,
    /// `ENOSPC`: it stays as it is.
    fn remount(&self, read_only: bool, options: &[u8]) -> Result<()> {
        let _ = read_only;
        if options.is_empty() { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// It is not mounted any more, and nobody uses any of its files, or the machine stops: what is
    /// left to be stored is stored, and nothing is changed any more.
    ///
    /// # Errors
    /// `EIO`: something is lost.
    fn unmounted(&self) -> Result<()> {
        Ok(())
    }
}

/// A file system of which nothing is stored: it has a number for statfs(2), and no more.
#[derive(Debug)]
pub struct Unbacked {
    /// [`Statistics::magic`].
    pub magic: u32,
}

impl Backing for Unbacked {
    fn statistics(&self) -> Statistics {
        Statistics {
            magic: self.magic,
            block: 4096,
            blocks: 0,
            free: 0,
            available: 0,
            inodes: 0,
            free_inodes: 0,
            id: 0,
        }
    }
}

/// A file system that can be mounted, in one place or several: its root, and what is true of
/// all its files. It is there as long as something of it is mounted, or its kind keeps it.
#[derive(Debug)]
pub struct Superblock {
    number: u32,
    kind: &'static str,
    caching: Caching,
    read_only: AtomicBool,
    /// Files that are open for writing, and mappings of them.
    writers: AtomicUsize,
    /// Held while it becomes read-only or writable.
    remounts: Mutex<()>,
    root: Arc<Dentry>,
    backing: Arc<dyn Backing>,
    /// Held while a name goes from one directory to another.
    renames: Mutex<()>,
    /// How many mounts there are of it. Changed under the lock of the mount table.
    pub(super) mounts: AtomicUsize,
}

impl Superblock {
    /// A file system of the kind `kind` with the root directory `root`. `read_only` if it cannot
    /// be written to.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(
        kind: &'static str,
        root: Arc<dyn Inode>,
        backing: Arc<dyn Backing>,
        caching: Caching,
        read_only: bool,
    ) -> Result<Arc<Self>> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        check_user_may_allocate()?;
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let root = Arc::new(Dentry::root(number, root));
        let mounts = AtomicUsize::new(0);
        let renames = named_mutex("renames", ());
        let read_only = AtomicBool::new(read_only);
        let writers = AtomicUsize::new(0);
        let remounts = named_mutex("remounts", ());
        Ok(Arc::new(Self {
            number,
            kind,
            caching,
            read_only,
            writers,
            remounts,
            root,
            backing,
            renames,
            mounts,
        }))
    }

    /// Somebody is going to write to a file; [`Superblock::writer_goes`] when that is over.
    ///
    /// # Errors
    /// `EROFS`.
    pub(super) fn add_writer(&self) -> Result<()> {
        // This, then that; and who makes it read-only the other way round: one of the two sees what
        // the other has done.
        self.writers.fetch_add(1, Ordering::SeqCst);
        if self.read_only.load(Ordering::SeqCst) || self.backing.is_read_only() {
            self.writer_goes();
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    pub(super) fn writer_goes(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Makes it read-only, or writable.
    ///
    /// # Errors
    /// `EBUSY` if files are open for writing; as [`Backing::remount`].
    pub(super) fn remount(&self, read_only: bool, options: &[u8]) -> Result<()> {
        let _one = self.remounts.lock();
        let before = self.is_read_only();
        if read_only && !before {
            self.read_only.store(true, Ordering::SeqCst);
            if self.writers.load(Ordering::SeqCst) > 0 {
                self.read_only.store(false, Ordering::SeqCst);
                return Err(Errno::EBUSY);
            }
        }
        let result = self.backing.remount(read_only, options);
        let after = if result.is_ok() { read_only } else { before };
        self.read_only.store(after, Ordering::SeqCst);
        result
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The device that stat(2) names: for file systems without one a number of their own with
    /// major number 0, as on Linux.
    pub fn device(&self) -> DeviceNumber {
        self.backing.device().unwrap_or(DeviceNumber { major: 0, minor: self.number })
    }

    /// What statfs(2) tells.
    pub fn statistics(&self) -> Statistics {
        self.backing.statistics()
    }

    /// Returns when all that was changed before is where a power cut cannot reach it.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`.
    pub fn sync(&self) -> Result<()> {
        if self.is_read_only() { Ok(()) } else { self.backing.sync() }
    }

    /// Keeps others from moving names from one directory to another.
    pub(super) fn lock_renames(&self) -> MutexGuard<'_, ()> {
        self.renames.lock()
    }

    /// Whether it cannot be written to.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed) || self.backing.is_read_only()
    }

    /// What may be done with its names.
    pub(super) fn caching(&self) -> Caching {
        self.caching
    }

    /// The root directory's dentry.
    pub(super) fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The machine stops.
    ///
    /// # Errors
    /// As [`Backing::unmounted`].
    pub(super) fn shut_down(&self) -> Result<()> {
        self.backing.unmounted()
    }

    /// Called when the last mount of it has gone.
    ///
    /// # Errors
    /// As [`Backing::unmounted`].
    pub(super) fn unmounted(&self) -> Result<()> {
        dcache::forget(self.number);
        self.backing.unmounted()
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
