//! [`Inode`]: what a file system has to offer of one of its files, and what it is asked for:
//! [`NewFile`], [`Changes`], [`Renaming`].

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt::Debug;
use core::ops::ControlFlow;

use abi::{Errno, Result};

use crate::file::File;
use crate::status::{AccessTimes, DeviceNumber, Kind, Status, Time};
use crate::vfs::path::Path;
use crate::vfs::writers::Writers;

/// An entry of a directory, as [`Inode::entries`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Its name, without a slash.
    pub name: &'a [u8],
    /// The inode number of what it leads to.
    pub inode: u64,
    /// What that is.
    pub kind: Kind,
    /// The position behind it.
    pub next: u64,
}

/// Called with an entry of a directory. One for which it breaks off counts as not seen.
pub type VisitEntry<'a> = dyn FnMut(DirEntry<'_>) -> ControlFlow<()> + 'a;

/// Where a symbolic link leads.
#[derive(Debug)]
pub enum LinkTarget<'a> {
    /// To what a path says, from the link's directory on.
    Text(Cow<'a, [u8]>),
    /// To a file itself, whatever its path is by now: `/proc/PID/cwd` and its kin.
    File(Path),
}

/// What a new file is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a node stands for.
    pub device: DeviceNumber,
    /// Where a symbolic link leads; empty for others.
    pub target: &'a [u8],
}

/// What is to be changed of a file's status.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    /// Permissions: the lower 12 bits of the mode.
    pub permissions: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last read.
    pub atime: Option<Time>,
    /// Last change of the contents.
    pub mtime: Option<Time>,
}

/// What rename(2) wants of a file system: `from_name` of the directory that is asked, which leads
/// to `file`, goes to `to_name` of the directory `to`. Both directories are of the same file
/// system, and neither is `file` or in it.
#[derive(Debug)]
pub struct Renaming<'a> {
    /// The name that goes away.
    pub from_name: &'a [u8],
    /// What it leads to.
    pub file: &'a dyn Inode,
    /// The directory of the new name.
    pub to: &'a dyn Inode,
    /// The new name.
    pub to_name: &'a [u8],
    /// What it leads to so far: another file than `file`, a directory if and only if that is one
    /// unless they are exchanged.
    pub other: Option<&'a dyn Inode>,
    /// `other`, which is there, goes to the old name.
    pub exchange: bool,
}

/// A file of a file system, apart from its names. The VFS keeps one, in the
/// [`Dentry`](crate::Dentry) of its name, as long as somebody uses it or may again.
///
/// Calls come from tasks that hold no spin lock: all but [`Inode::kind`] may sleep, and
/// several come at once. But for what changes names: in one directory the VFS lets one of
/// [`make`](Inode::make), [`link`](Inode::link), [`unlink`](Inode::unlink) and
/// [`rename`](Inode::rename) go on at a time, and no [`lookup`](Inode::lookup) meanwhile; and one
/// rename from a directory to another in the file system. It has looked at permissions.
/// Names are not empty, not `.` or `..`, have no slash and no NUL, and are
/// at most `NAME_MAX` bytes; nothing else is known of them.
pub trait Inode: Any + Debug + Send + Sync {
    /// What it is; that never changes.
    fn kind(&self) -> Kind;

    /// What stat(2) tells, but for the device.
    fn status(&self) -> Status;

    /// Opens the file for what the `O_*` flags say. Not called for directories, symbolic links,
    /// and with `O_PATH`, with which nothing of the file is needed but that it is there.
    ///
    /// # Errors
    /// As open(2).
    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn File>>;

    /// The entry `name` of a directory; `None` if there is none.
    ///
    /// # Errors
    /// `ENOTDIR`; what reading the directory gives.
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }

    /// Calls `visit` with the entries of a directory from `position` on, but for `.` and `..`.
    /// The first is at 0; other positions are those that entries said. An entry that is there
    /// all the time while somebody goes through them is seen once, whatever comes and goes
    /// beside it. `visit` may sleep.
    ///
    /// # Errors
    /// `ENOTDIR`; what reading the directory gives.
    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        let _ = (position, visit);
        Err(Errno::ENOTDIR)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// `EINVAL` if it is none; what reading it gives.
    fn link_target(&self) -> Result<LinkTarget<'_>> {
        Err(Errno::EINVAL)
    }

    /// The file was read: a directory's entries, where a symbolic link leads, the bytes of a file.
    /// Its time of that changes as `times` says, if it has one.
    fn was_read(&self, times: AccessTimes) {
        let _ = times;
    }

    /// Makes a file `name` in a directory that has none of that name.
    ///
    /// # Errors
    /// `EACCES` for a regular file, `EPERM` for others where files come and go by themselves; as
    /// open(2), mkdir(2), mknod(2), symlink(2).
    fn make(&self, name: &[u8], new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        let _ = name;
        let is_regular = Kind::of_mode(new.mode) == Kind::Regular;
        Err(if is_regular { Errno::EACCES } else { Errno::EPERM })
    }

    /// Makes a file without a name, for `O_TMPFILE`. It is gone with its last user, unless it
    /// gets a name before.
    ///
    /// # Errors
    /// `EOPNOTSUPP` if the file system has no such files.
    fn make_nameless(&self, new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        let _ = new;
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `file`, which is no directory and of the same file system, one more name, which the
    /// directory does not have.
    ///
    /// # Errors
    /// `EMLINK`, `EPERM` where there are no such links; as link(2).
    fn link(&self, name: &[u8], file: &Arc<dyn Inode>) -> Result<()> {
        let _ = (name, file);
        Err(Errno::EPERM)
    }

    /// Takes away a name of the directory, which leads to `file`. A file without names is gone
    /// with its last user.
    ///
    /// # Errors
    /// `ENOTEMPTY` for a directory with entries; as unlink(2) and rmdir(2).
    fn unlink(&self, name: &[u8], file: &dyn Inode) -> Result<()> {
        let _ = (name, file);
        Err(Errno::EPERM)
    }

    /// Moves names, all at once.
    ///
    /// # Errors
    /// `ENOTEMPTY` if a directory with entries would be replaced; as rename(2).
    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        let _ = renaming;
        Err(Errno::EPERM)
    }

    /// Changes what is asked for, and the time of the last change.
    ///
    /// # Errors
    /// `EPERM` where nothing can be changed; as chmod(2), chown(2), utimensat(2).
    fn change(&self, changes: &Changes) -> Result<()> {
        let _ = changes;
        Err(Errno::EPERM)
    }

    /// Sets the length of a regular file.
    ///
    /// # Errors
    /// `EINVAL` if the file is not one that has a length to be set; as truncate(2).
    fn set_len(&self, len: u64) -> Result<()> {
        let _ = len;
        Err(Errno::EINVAL)
    }

    /// Who writes to it and who runs it; `None` of what cannot be run.
    fn writers(&self) -> Option<&Writers> {
        None
    }

    /// Returns when all that was written to the file, and what is needed to find it again, is
    /// where a power cut cannot reach it; with `only_data`, times need not be.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`.
    fn sync(&self, only_data: bool) -> Result<()> {
        let _ = only_data;
        Ok(())
    }

    /// Whether the name by which it was found still leads to it. Asked when the name is found
    /// once more, in file systems whose files come and go by themselves
    /// ([`Caching::WhileUsed`](crate::Caching)).
    fn is_current(&self) -> bool {
        true
    }
}
