//! Open files: [`File`], what one can do. What a descriptor holds is an
//! [`OpenFile`](crate::OpenFile) around it.

use alloc::sync::Arc;
use core::fmt::Debug;

use abi::{Errno, Result};
use task::WaitQueue;
use vm::MemoryObject;

use crate::buffer::{Destination, Source};
use crate::status::{AccessTimes, Status};
use crate::vfs::VisitEntry;

/// What can be done without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read would return at once.
    pub read: bool,
    /// A write would.
    pub write: bool,
}

/// Something that a descriptor can stand for. Calls come from tasks that may sleep, and several
/// at once.
pub trait File: Debug + Send + Sync {
    /// Reads at `position`, which files without positions ignore; the number of bytes, 0
    /// at the end.
    ///
    /// # Errors
    /// As read(2).
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize>;

    /// It was read through a path: its time of that changes as `times` says, if it has one.
    fn was_read(&self, times: AccessTimes) {
        let _ = times;
    }

    /// Writes at `position`; the number of bytes. No other call's bytes come in between, where the
    /// file keeps what is written, whatever parts they are in.
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize>;

    /// Writes behind the end of the file, wherever that is by then; the position behind what was
    /// written, and the number of bytes.
    ///
    /// # Errors
    /// As write(2).
    fn append(&self, from: &mut Source<'_>) -> Result<(u64, usize)> {
        let end = self.status().size;
        let len = self.write(end, from)?;
        Ok((end + len as u64, len))
    }

    /// fsync(2), or fdatasync(2) if `only_data`.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`; `EINVAL` for what cannot be stored.
    fn sync(&self, only_data: bool) -> Result<()> {
        let _ = only_data;
        Err(Errno::EINVAL)
    }

    /// Sets the length.
    ///
    /// # Errors
    /// As ftruncate(2): `EINVAL` for what has none that can be set.
    fn set_len(&self, len: u64) -> Result<()> {
        let _ = len;
        Err(Errno::EINVAL)
    }

    /// Makes room for the bytes from `offset` on, `len` of them, or takes it away, as the
    /// `FALLOC_FL_*` bits of `mode` say.
    ///
    /// # Errors
    /// As fallocate(2): `ENODEV` for what is no regular file.
    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let _ = (mode, offset, len);
        Err(Errno::ENODEV)
    }

    /// Where the next bytes are, or the next hole, from `offset` on (lseek(2)).
    ///
    /// # Errors
    /// `ENXIO` if that is behind the end.
    fn next_part(&self, offset: u64, is_hole: bool) -> Result<u64> {
        let size = self.status().size;
        match offset < size {
            true if is_hole => Ok(size),
            true => Ok(offset),
            false => Err(Errno::ENXIO),
        }
    }

    /// What stat(2) tells.
    fn status(&self) -> Status;

    /// What `/proc/PID/fd` says of a file that no path leads to.
    fn label(&self) -> &'static str {
        "anonymous"
    }

    /// Whether the file has positions.
    fn is_seekable(&self) -> bool {
        false
    }

    /// Whether an open file moves its position on as it is read and written. A file that is
    /// seekable and does not always is at position 0, wherever one seeks to.
    fn has_position(&self) -> bool {
        self.is_seekable()
    }

    /// Whether a mapping is anonymous memory, private or shared (`/dev/zero`).
    fn is_anonymous_memory(&self) -> bool {
        false
    }

    /// Calls `visit` with the entries of a directory from `position` on, `.` and `..` among
    /// them, and moves the position behind each that it took.
    ///
    /// # Errors
    /// `ENOTDIR`; what the file system says.
    fn entries(&self, position: &mut u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        let _ = (position, visit);
        Err(Errno::ENOTDIR)
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
}
