//! [`OpenFile`]: what a descriptor holds; and [`MappedFile`], what a mapping of one holds.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::fcntl::{
    FALLOC_FL_KEEP_SIZE, O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECT, O_DSYNC, O_EXCL,
    O_NOATIME, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, O_SYNC, O_TRUNC, O_WRONLY,
};
use abi::{Errno, Result};
use memory::frames::Frame;
use spin::Once;
use task::{Mutex, named_mutex};
use vm::cache::MappedCache;
use vm::{MemoryObject, ObjectError};

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::locks::LockOwner;
use crate::status::{AccessTimes, FileFlags, Status};
use crate::vfs::{Path, VisitEntry, WriteAccess, WriteDenied};

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The start.
    Set(i64),
    /// The position.
    Current(i64),
    /// The end.
    End(i64),
    /// The next bytes at or behind this position.
    Data(i64),
    /// The next hole at or behind this position.
    Hole(i64),
}

/// Flags that are over when the file is open.
const ONCE: u32 = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
/// Flags that can be changed while it is.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT;

/// An open file: a [`File`], the path that it was opened by, how it was opened, and where in it
/// one is. As long as it is there its file system cannot be unmounted.
#[derive(Debug)]
pub struct OpenFile {
    file: Arc<dyn File>,
    path: Option<Path>,
    /// Of a file that may be run: it is not, as long as this is open for writing.
    access: Option<WriteAccess>,
    /// How it was opened; those of [`CHANGEABLE`] can be changed.
    flags: AtomicU32,
    position: Mutex<u64>,
    /// The same, for those who look without waiting for a read to end.
    position_seen: AtomicU64,
    /// Made by the first mapping, and the same for all of them: neighbours become one.
    object: Once<Arc<MappedFile>>,
    locks: LockOwner,
}

impl OpenFile {
    /// `file`, which no path leads to, opened with the `O_*` flags of open(2).
    pub fn new(file: Arc<dyn File>, flags: u32) -> Arc<Self> {
        Self::with(file, None, flags, None)
    }

    /// `file`, opened at `path`.
    pub(crate) fn at(
        path: Path,
        file: Arc<dyn File>,
        flags: u32,
        access: Option<WriteAccess>,
    ) -> Arc<Self> {
        Self::with(file, Some(path), flags, access)
    }

    fn with(
        file: Arc<dyn File>,
        path: Option<Path>,
        flags: u32,
        access: Option<WriteAccess>,
    ) -> Arc<Self> {
        let position = named_mutex("file position", 0);
        let flags = AtomicU32::new(flags & !ONCE);
        let position_seen = AtomicU64::new(0);
        let (object, locks) = (Once::new(), LockOwner::new());
        Arc::new(Self { file, path, access, flags, position, position_seen, object, locks })
    }

    /// The `O_*` flags, as fcntl(2) tells them.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Changes those of the `O_*` flags that can be changed (`F_SETFL`).
    ///
    /// # Errors
    /// `EPERM` if the file is only added to, and would not be any more.
    pub fn set_flags(&self, flags: u32) -> Result<()> {
        if (flags ^ self.flags()) & O_APPEND != 0 && self.status().is_append_only() {
            return Err(Errno::EPERM);
        }
        let change = |now| Some(now & !CHANGEABLE | flags & CHANGEABLE);
        // It always says `Some`.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        Ok(())
    }

    /// Sets the length, of what is open for writing.
    ///
    /// # Errors
    /// `EPERM` if the file is only added to; as [`File::set_len`].
    pub fn set_len(&self, len: u64) -> Result<()> {
        if self.status().is_append_only() {
            return Err(Errno::EPERM);
        }
        self.file.set_len(len)
    }

    /// Takes room, or gives it back, of what is open for writing, with the `FALLOC_FL_*` flags of
    /// fallocate(2).
    ///
    /// # Errors
    /// `EPERM` if the file is immutable, or is only added to and more is asked for than that; as
    /// [`File::allocate`].
    pub fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let flags = self.status().flags;
        let only_adds = mode & !FALLOC_FL_KEEP_SIZE == 0;
        if flags.contains(FileFlags::IMMUTABLE) || flags.contains(FileFlags::APPEND) && !only_adds {
            return Err(Errno::EPERM);
        }
        self.file.allocate(mode, offset, len)
    }

    /// The file.
    pub fn file(&self) -> &dyn File {
        self.file.as_ref()
    }

    /// The path that it was opened by, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// Who it is to file locks.
    pub(crate) fn lock_owner(&self) -> &LockOwner {
        &self.locks
    }

    /// The directory that it is, to be where relative paths begin.
    ///
    /// # Errors
    /// `ENOTDIR`.
    pub fn directory(&self) -> Result<&Path> {
        self.path().filter(|path| path.is_directory()).ok_or(Errno::ENOTDIR)
    }

    /// What fstat(2) tells.
    pub fn status(&self) -> Status {
        match &self.path {
            Some(path) => path.status(),
            None => self.file.status(),
        }
    }

    /// Whether it was opened for reading.
    pub fn is_readable(&self) -> bool {
        let flags = self.flags();
        flags & O_PATH == 0 && flags & O_ACCMODE != O_WRONLY
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        let flags = self.flags();
        flags & O_PATH == 0 && flags & O_ACCMODE != O_RDONLY
    }

    /// The position, where the last read or write left it that has ended. Takes no lock.
    pub fn position(&self) -> u64 {
        self.position_seen.load(Ordering::Relaxed)
    }

    /// Calls `transfer` with the position and moves it on by what that transferred. Files
    /// without positions do not keep each other waiting.
    fn at_position(&self, transfer: impl FnOnce(u64) -> Result<usize>) -> Result<usize> {
        if !self.file.has_position() {
            return transfer(0);
        }
        let mut position = self.position.lock();
        let moved = transfer(*position)?;
        *position += moved as u64;
        self.position_seen.store(*position, Ordering::Relaxed);
        Ok(moved)
    }

    /// Reads at the position and moves it on.
    ///
    /// # Errors
    /// `EBADF` if not opened for reading; as [`File::read`].
    pub fn read(&self, to: &mut Destination<'_>) -> Result<usize> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        let read = self.at_position(|position| self.file.read(position, to))?;
        self.note_read();
        Ok(read)
    }

    /// The file was read: its time of that may change.
    fn note_read(&self) {
        if let Some(path) = &self.path
            && self.flags() & O_NOATIME == 0
        {
            match path.mount().access_times() {
                AccessTimes::None => {}
                times => self.file.was_read(times),
            }
        }
    }

    /// Writes at the position and moves it on. If opened with `O_SYNC` or `O_DSYNC`, what was
    /// written is stored then.
    ///
    /// # Errors
    /// `EBADF` if not opened for writing; as [`File::write`] and [`File::sync`].
    pub fn write(&self, from: &mut Source<'_>) -> Result<usize> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        if self.flags() & O_APPEND != 0 && self.file.has_position() {
            let mut position = self.position.lock();
            let (end, written) = self.file.append(from)?;
            self.store_written(written)?;
            *position = end;
            self.position_seen.store(end, Ordering::Relaxed);
            return Ok(written);
        }
        self.at_position(|position| {
            let written = self.file.write(position, from)?;
            self.store_written(written)?;
            Ok(written)
        })
    }

    /// Has bytes stored that were just written, if it was opened for that (`O_SYNC`, `O_DSYNC`).
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`: the write fails, as on Linux, though the bytes are in the file.
    fn store_written(&self, written: usize) -> Result<()> {
        let flags = self.flags();
        if flags & O_DSYNC == 0 || written == 0 {
            return Ok(());
        }
        match self.file.sync(flags & O_SYNC != O_SYNC) {
            // Nothing of it can be stored: it is where it belongs.
            Err(Errno::EINVAL) => Ok(()),
            result => result,
        }
    }

    /// Reads at a position of the caller's.
    ///
    /// # Errors
    /// `EBADF` if not opened for reading, `ESPIPE` for a file without positions; as
    /// [`File::read`].
    pub fn read_at(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        let read = self.file.read(position, to)?;
        self.note_read();
        Ok(read)
    }

    /// Writes at a position of the caller's; or at the end, if opened to append, as on Linux. It
    /// is stored as after [`OpenFile::write`].
    ///
    /// # Errors
    /// `EBADF` if not opened for writing, `ESPIPE` for a file without positions; as
    /// [`File::write`] and [`File::sync`].
    pub fn write_at(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        if self.flags() & O_APPEND != 0 && self.file.has_position() {
            let (_, written) = self.file.append(from)?;
            self.store_written(written)?;
            return Ok(written);
        }
        let written = self.file.write(position, from)?;
        self.store_written(written)?;
        Ok(written)
    }

    /// Calls `visit` with the entries of the directory from the position on, until it breaks
    /// off, and moves the position on.
    ///
    /// # Errors
    /// `EBADF` if not opened for reading; as [`File::entries`].
    pub fn entries(&self, visit: &mut VisitEntry<'_>) -> Result<()> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        let mut position = self.position.lock();
        let result = self.file.entries(&mut position, visit);
        self.position_seen.store(*position, Ordering::Relaxed);
        if let Some(path) = &self.path
            && result.is_ok()
            && self.flags() & O_NOATIME == 0
        {
            path.was_read();
        }
        result
    }

    /// Moves the position; where it then is.
    ///
    /// # Errors
    /// `ESPIPE` for a file without positions, `EINVAL` for one before the start; `ENXIO` if there
    /// are no bytes, or no hole, any more.
    pub fn seek(&self, to: Seek) -> Result<u64> {
        if !self.file.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        if !self.file.has_position() {
            return Ok(0);
        }
        let mut position = self.position.lock();
        let target = match to {
            Seek::Set(offset) => Some(offset),
            Seek::Current(offset) => position.checked_add_signed(offset).and_then(to_signed),
            Seek::End(offset) => {
                self.file.status().size.checked_add_signed(offset).and_then(to_signed)
            }
            Seek::Data(offset) | Seek::Hole(offset) => {
                let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                to_signed(self.file.next_part(offset, matches!(to, Seek::Hole(_)))?)
            }
        };
        let target = target.and_then(|target| u64::try_from(target).ok()).ok_or(Errno::EINVAL)?;
        *position = target;
        self.position_seen.store(target, Ordering::Relaxed);
        Ok(target)
    }

    /// The bytes, to be mapped. The mapping keeps the file's path, and that it is written to.
    ///
    /// # Errors
    /// As [`File::object`].
    pub fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        let Some(path) = &self.path else { return self.file.object() };
        if let Some(object) = self.object.get() {
            return Ok(object.clone());
        }
        let access = self.access.as_ref().map(|_| WriteAccess::take(path)).transpose()?;
        let users = Users { _access: access, _denied: None };
        let mapped = self.mapped(path, users)?;
        Ok(self.object.call_once(|| mapped).clone())
    }

    /// The bytes, to be mapped as a program: nobody writes to the file as long as there is a
    /// mapping.
    ///
    /// # Errors
    /// `ETXTBSY` if the file is open for writing; as [`File::object`].
    pub fn program(&self) -> Result<Arc<dyn MemoryObject>> {
        let Some(path) = &self.path else { return Err(Errno::EACCES) };
        let denied = WriteDenied::take(path.inode())?;
        let users = Users { _access: None, _denied: Some(denied) };
        Ok(self.mapped(path, users)?)
    }

    fn mapped(&self, path: &Path, users: Users) -> Result<Arc<MappedFile>> {
        let status = path.status();
        let number = ([status.device.major, status.device.minor], status.inode);
        let object = self.file.object()?;
        Ok(Arc::new(MappedFile { path: path.clone(), number, object, _users: users }))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.unlock_all();
    }
}

fn to_signed(position: u64) -> Option<i64> {
    i64::try_from(position).ok()
}

/// The bytes of a file together with the path that it was opened by, as a mapping keeps them.
#[derive(Debug)]
pub struct MappedFile {
    path: Path,
    /// Device and inode, which never change: the inode itself may be locked.
    number: ([u32; 2], u64),
    object: Arc<dyn MemoryObject>,
    _users: Users,
}

/// What a mapping makes the file be for others.
#[derive(Debug)]
struct Users {
    _access: Option<WriteAccess>,
    _denied: Option<WriteDenied>,
}

impl MappedFile {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl MemoryObject for MappedFile {
    fn len(&self) -> u64 {
        self.object.len()
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<(), ObjectError> {
        self.object.read_at(offset, to)
    }

    fn page(&self, index: u64) -> Result<Option<Frame>, ObjectError> {
        self.object.page(index)
    }

    fn is_resident(&self, index: u64) -> bool {
        self.object.is_resident(index)
    }

    fn file_number(&self) -> Option<([u32; 2], u64)> {
        Some(self.number)
    }

    fn file(&self) -> Option<&MappedCache> {
        self.object.file()
    }

    fn is_written(&self) {
        self.object.is_written();
    }

    fn sync(&self, range: Range<u64>) -> Result<(), ObjectError> {
        self.object.sync(range)
    }

    /// The path as it is now; empty if there is no memory for it.
    fn name(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.path.text().unwrap_or_default())
    }
}
