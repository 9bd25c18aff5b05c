//! Open files: [`File`], what one can do. What a descriptor holds is an
//! [`OpenFile`](crate::OpenFile) around it.

use alloc::sync::Arc;
use core::fmt::Debug;

use abi::{Errno, Result};
use task::{MutexGuard, WaitQueue};
use vm::MemoryObject;

use crate::buffer::{Destination, Source};
use crate::status::Status;
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

    /// Writes at `position`; the number of bytes.
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize>;

    /// Held by a call that writes in several parts, so that no other writer's come in
    /// between. [`File::write`] itself does not take it.
    fn whole_write(&self) -> Option<MutexGuard<'static, ()>> {
        None
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
