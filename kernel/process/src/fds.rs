//! [`Descriptors`]: the open files of a process, by number.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use fs::{LockOwner, OpenFile};
use task::{Mutex, named_mutex};

/// Most descriptors of a process: `RLIMIT_NOFILE`.
pub const MAX_DESCRIPTORS: usize = 1024;

/// The table. A number is looked up under a mutex that is held for the look-up alone.
#[derive(Debug)]
pub struct Descriptors {
    files: Mutex<Vec<Option<Arc<OpenFile>>>>,
    /// Who locks bytes of files. Not the process: as on Linux, those who share the table share
    /// the locks.
    locks: LockOwner,
}

impl Descriptors {
    /// A table with `file` as 0, 1 and 2.
    pub fn with_standard(file: &Arc<OpenFile>) -> Self {
        let standard = [(); 3].map(|()| Some(file.clone()));
        Self::new(Vec::from(standard))
    }

    fn new(files: Vec<Option<Arc<OpenFile>>>) -> Self {
        Self { files: named_mutex("file descriptors", files), locks: LockOwner::new() }
    }

    /// Another table with the same open files, and none of the locks on their bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn duplicate(&self) -> Result<Self> {
        let files = self.files.lock();
        let mut copy = Vec::new();
        copy.try_reserve_exact(files.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend(files.iter().cloned());
        Ok(Self::new(copy))
    }

    /// The open file with that number, as a system call got it.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, number: u64) -> Result<Arc<OpenFile>> {
        // A descriptor is an int: what stands above is not looked at.
        let index = usize::try_from(number as i32).map_err(|_| Errno::EBADF)?;
        self.files.lock().get(index).cloned().flatten().ok_or(Errno::EBADF)
    }

    /// Gives `file` the lowest free number.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn add(&self, file: Arc<OpenFile>) -> Result<usize> {
        let mut files = self.files.lock();
        if let Some(index) = files.iter().position(Option::is_none) {
            files.iter_mut().skip(index).take(1).for_each(|slot| *slot = Some(file.clone()));
            return Ok(index);
        }
        if files.len() >= MAX_DESCRIPTORS {
            return Err(Errno::EMFILE);
        }
        files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        files.push(Some(file));
        Ok(files.len() - 1)
    }

    /// Frees a number; the file goes with its last reference, and all locks that the process has on
    /// its bytes go now.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, number: u64) -> Result<Arc<OpenFile>> {
        let index = usize::try_from(number as i32).map_err(|_| Errno::EBADF)?;
        let file = self.files.lock().get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.locks.closed(&file);
        Ok(file)
    }

    /// Who locks bytes of these files.
    pub fn lock_owner(&self) -> &LockOwner {
        &self.locks
    }

    /// The first number from `from` on that has an open file.
    pub fn next_from(&self, from: usize) -> Option<usize> {
        let files = self.files.lock();
        let open = |(_, file): &(usize, &Option<_>)| file.is_some();
        files.iter().enumerate().skip(from).find(open).map(|(number, _)| number)
    }

    /// Closes all.
    pub fn clear(&self) {
        let files = core::mem::take(&mut *self.files.lock());
        files.iter().flatten().for_each(|file| self.locks.closed(file));
        drop(files);
    }
}
