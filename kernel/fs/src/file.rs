//! Open files: [`File`], what one can do, and [`OpenFile`], what a descriptor holds.

use alloc::sync::Arc;
use core::fmt::Debug;

use abi::fcntl::{O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY};
use abi::{Errno, Result};
use memory::user::UserSlice;
use task::{Mutex, MutexGuard, WaitQueue, named_mutex};
use vm::MemoryObject;

/// What stat(2) tells of a file, before it has the layout of user space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Inode number, not 0.
    pub inode: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Major and minor number of the device that a node stands for.
    pub rdev: (u32, u32),
    /// Bytes.
    pub size: u64,
    /// Last change, in seconds since 1970.
    pub mtime: u64,
}

/// What can be done without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read would return at once.
    pub read: bool,
    /// A write would.
    pub write: bool,
}

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The start.
    Set(i64),
    /// The position.
    Current(i64),
    /// The end.
    End(i64),
}

/// Something that a descriptor can stand for. Calls come from user threads and may sleep.
pub trait File: Debug + Send + Sync {
    /// Reads at `position`, which files without positions ignore; the number of bytes, 0
    /// at the end.
    ///
    /// # Errors
    /// As read(2).
    fn read(&self, position: u64, to: UserSlice) -> Result<usize>;

    /// Writes at `position`; the number of bytes.
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, position: u64, from: UserSlice) -> Result<usize>;

    /// Held by a call that writes in several parts, so that no other writer's come in
    /// between. [`File::write`] itself does not take it.
    fn whole_write(&self) -> Option<MutexGuard<'static, ()>> {
        None
    }

    /// What stat(2) tells.
    fn status(&self) -> Status;

    /// Whether the file has positions.
    fn is_seekable(&self) -> bool {
        false
    }

    /// What can be done now.
    fn readiness(&self) -> Readiness {
        Readiness { read: true, write: true }
    }

    /// Where to wait until [`File::readiness`] may say more; `None` if it never changes.
    fn wait_queue(&self) -> Option<&'static WaitQueue> {
        None
    }

    /// ioctl(2).
    ///
    /// # Errors
    /// `ENOTTY` for a request that the file does not know.
    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        let _ = (request, argument);
        Err(Errno::ENOTTY)
    }

    /// The bytes, to be mapped.
    ///
    /// # Errors
    /// `ENODEV` if the file cannot be mapped.
    fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        Err(Errno::ENODEV)
    }

    /// The directory that this is, as the start of relative paths.
    fn directory(&self) -> Option<crate::Inode> {
        None
    }
}

/// An open file: a [`File`], how it was opened, and where in it one is.
#[derive(Debug)]
pub struct OpenFile {
    file: Arc<dyn File>,
    flags: u32,
    position: Mutex<u64>,
}

impl OpenFile {
    /// Opens `file` with the `O_*` flags of open(2).
    pub fn new(file: Arc<dyn File>, flags: u32) -> Arc<Self> {
        Arc::new(Self { file, flags, position: named_mutex("file position", 0) })
    }

    /// The file.
    pub fn file(&self) -> &dyn File {
        self.file.as_ref()
    }

    /// Whether it was opened for reading.
    pub fn is_readable(&self) -> bool {
        self.flags & O_PATH == 0 && self.flags & O_ACCMODE != O_WRONLY
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.flags & O_PATH == 0 && self.flags & O_ACCMODE != O_RDONLY
    }

    /// Calls `transfer` with the position and moves it on by what that transferred. Files
    /// without positions do not keep each other waiting.
    fn at_position(&self, transfer: impl FnOnce(u64) -> Result<usize>) -> Result<usize> {
        if !self.file.is_seekable() {
            return transfer(0);
        }
        let mut position = self.position.lock();
        let moved = transfer(*position)?;
        *position += moved as u64;
        Ok(moved)
    }

    /// Reads at the position and moves it on.
    ///
    /// # Errors
    /// `EBADF` if not opened for reading; as [`File::read`].
    pub fn read(&self, to: UserSlice) -> Result<usize> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        self.at_position(|position| self.file.read(position, to))
    }

    /// Writes at the position and moves it on.
    ///
    /// # Errors
    /// `EBADF` if not opened for writing; as [`File::write`].
    pub fn write(&self, from: UserSlice) -> Result<usize> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        self.at_position(|position| self.file.write(position, from))
    }

    /// Moves the position; where it then is.
    ///
    /// # Errors
    /// `ESPIPE` for a file without positions, `EINVAL` for one before the start.
    pub fn seek(&self, to: Seek) -> Result<u64> {
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        let mut position = self.position.lock();
        let target = match to {
            Seek::Set(offset) => Some(offset),
            Seek::Current(offset) => position.checked_add_signed(offset).and_then(to_signed),
            Seek::End(offset) => {
                self.file.status().size.checked_add_signed(offset).and_then(to_signed)
            }
        };
        let target = target.and_then(|target| u64::try_from(target).ok()).ok_or(Errno::EINVAL)?;
        *position = target;
        Ok(target)
    }
}

fn to_signed(position: u64) -> Option<i64> {
    i64::try_from(position).ok()
}
