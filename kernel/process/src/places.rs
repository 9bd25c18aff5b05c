//! [`Places`]: where a process is in the file tree.

use abi::{Errno, Result};
use base::sync::SpinLock;
use fs::Path;

#[derive(Clone)]
struct Held {
    directory: Path,
    program: Path,
}

/// The working directory of a process, and the file of its program. Their file systems cannot be
/// unmounted before the process ends.
#[derive(Debug)]
pub struct Places(SpinLock<Option<Held>>);

impl Places {
    pub(crate) fn new(directory: Path, program: Path) -> Self {
        Self(SpinLock::new("places of a process", Some(Held { directory, program })))
    }

    /// The same places, for a child.
    pub(crate) fn duplicate(&self) -> Self {
        Self(SpinLock::new("places of a process", self.0.lock().clone()))
    }

    /// The working directory: where relative paths begin.
    ///
    /// # Errors
    /// `ENOENT` when the process has ended.
    pub fn directory(&self) -> Result<Path> {
        self.0.lock().as_ref().map(|held| held.directory.clone()).ok_or(Errno::ENOENT)
    }

    /// The file that the program was started from; `None` when the process has ended.
    pub fn program(&self) -> Option<Path> {
        self.0.lock().as_ref().map(|held| held.program.clone())
    }

    /// Makes `directory`, which is one, the working directory.
    pub fn set_directory(&self, directory: Path) {
        let mut new = directory;
        // What it was is dropped behind the lock.
        if let Some(held) = self.0.lock().as_mut() {
            core::mem::swap(&mut held.directory, &mut new);
        }
    }

    /// Lets both go, at the end of the process.
    pub(crate) fn clear(&self) {
        let held = self.0.lock().take();
        drop(held);
    }
}
