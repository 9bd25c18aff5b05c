//! [`Inode`]: what a file system has to offer of one of its files.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt::Debug;
use core::ops::ControlFlow;

use abi::{Errno, Result};

use crate::file::File;
use crate::status::{Kind, Status};
use crate::vfs::path::Path;

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

/// A file of a file system, apart from its names. The VFS keeps one, in the
/// [`Dentry`](crate::Dentry) of its name, as long as somebody uses it or may again.
///
/// Calls come from tasks that hold no spin lock: all but [`Inode::kind`] may sleep, and
/// several come at once. Names are not empty, not `.` or `..`, have no slash and no NUL, and are
/// at most `NAME_MAX` bytes; nothing else is known of them.
pub trait Inode: Debug + Send + Sync {
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

    /// Makes a regular file `name` in a directory, where there is none yet.
    ///
    /// # Errors
    /// `EACCES` where the file system makes its files itself, as on Linux.
    fn create(&self, name: &[u8], mode: u32) -> Result<Arc<dyn Inode>> {
        let _ = (name, mode);
        Err(Errno::EACCES)
    }

    /// Sets the length of a regular file, as `O_TRUNC` does.
    ///
    /// # Errors
    /// `EINVAL` if the file is not one that has a length to be set.
    fn set_len(&self, len: u64) -> Result<()> {
        let _ = len;
        Err(Errno::EINVAL)
    }

    /// Whether the name by which it was found still leads to it. Asked when the name is found
    /// once more, in file systems whose files come and go by themselves
    /// ([`Caching::WhileUsed`](crate::Caching)).
    fn is_current(&self) -> bool {
        true
    }
}
