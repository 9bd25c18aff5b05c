//! [`Places`]: where a process is in the file tree.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use base::sync::SpinLock;
use fs::Path;

#[derive(Clone)]
struct Held {
    directory: Path,
    program: Path,
}

/// The working directory of a process, the file of its program, and its umask. Their file systems cannot be
/// unmounted before the process ends.
#[derive(Debug)]
pub struct Places {
    held: SpinLock<Option<Held>>,
    /// Permissions that new files do not get.
    umask: AtomicU32,
}

/// What a process has that nobody has told.
const USUAL_UMASK: u32 = 0o022;

impl Places {
    pub(crate) fn new(directory: Path, program: Path) -> Self {
        Self::with(Some(Held { directory, program }), USUAL_UMASK)
    }

    fn with(held: Option<Held>, umask: u32) -> Self {
        let held = SpinLock::new("places of a process", held);
        Self { held, umask: AtomicU32::new(umask) }
    }

    /// The same places, for a child.
    pub(crate) fn duplicate(&self) -> Self {
        Self::with(self.held.lock().clone(), self.umask())
    }

    /// Permissions that new files do not get (umask(2)).
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Sets them; what they were.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask, Ordering::Relaxed)
    }

    /// The working directory: where relative paths begin.
    ///
    /// # Errors
    /// `ENOENT` when the process has ended.
    pub fn directory(&self) -> Result<Path> {
        self.held.lock().as_ref().map(|held| held.directory.clone()).ok_or(Errno::ENOENT)
    }

    /// The file that the program was started from; `None` when the process has ended.
    pub fn program(&self) -> Option<Path> {
        self.held.lock().as_ref().map(|held| held.program.clone())
    }

    /// Makes `directory`, which is one, the working directory.
    pub fn set_directory(&self, directory: Path) {
        let mut new = directory;
        // What it was is dropped behind the lock.
        if let Some(held) = self.held.lock().as_mut() {
            core::mem::swap(&mut held.directory, &mut new);
        }
    }

    /// Lets both go, at the end of the process.
    pub(crate) fn clear(&self) {
        let held = self.held.lock().take();
        drop(held);
    }
}
