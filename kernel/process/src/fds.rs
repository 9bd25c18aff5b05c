//! [`Descriptors`]: the open files of a process, by number; and [`Reservation`], a number that a
//! file is to have.
//!
//! Each number says whether it is closed by execve(2) (`FD_CLOEXEC`). That call does not exist yet,
//! so nothing closes them so far.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use fs::{LockOwner, OpenFile};
use task::{Mutex, named_mutex};

/// Most descriptors of a process: `RLIMIT_NOFILE`.
pub const MAX_DESCRIPTORS: usize = 1024;

/// What a number stands for.
#[derive(Clone, Debug)]
enum Slot {
    Free,
    /// For a file that is being opened. To all others there is none.
    Reserved,
    Open {
        file: Arc<OpenFile>,
        closes_on_exec: bool,
    },
}

impl Slot {
    fn file(&self) -> Option<&Arc<OpenFile>> {
        match self {
            Self::Open { file, .. } => Some(file),
            Self::Free | Self::Reserved => None,
        }
    }

    /// The file, whose slot is free then.
    fn take(&mut self) -> Option<Arc<OpenFile>> {
        match core::mem::replace(self, Self::Free) {
            Self::Open { file, .. } => Some(file),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// The table. A number is looked up under a mutex that is held for the look-up alone.
#[derive(Debug)]
pub struct Descriptors {
    slots: Mutex<Vec<Slot>>,
    /// Who locks bytes of files. Not the process: as on Linux, those who share the table share
    /// the locks.
    locks: LockOwner,
}

/// A number that is taken, and free again when this goes without a file.
#[derive(Debug)]
pub struct Reservation<'a> {
    descriptors: &'a Descriptors,
    index: usize,
}

impl Reservation<'_> {
    /// Has the number stand for `file`, up to the next execve(2) if `closes_on_exec`. Which it is.
    pub fn fill(self, file: Arc<OpenFile>, closes_on_exec: bool) -> usize {
        let Self { descriptors, index } = self;
        descriptors.replace(index, Slot::Open { file, closes_on_exec });
        // By now the number may be somebody else's.
        core::mem::forget(self);
        index
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.descriptors.replace(self.index, Slot::Free);
    }
}

impl Descriptors {
    /// A table with `file` as 0, 1 and 2.
    pub fn with_standard(file: &Arc<OpenFile>) -> Self {
        let standard = [(); 3].map(|()| Slot::Open { file: file.clone(), closes_on_exec: false });
        Self::new(Vec::from(standard))
    }

    fn new(slots: Vec<Slot>) -> Self {
        Self { slots: named_mutex("file descriptors", slots), locks: LockOwner::new() }
    }

    /// Puts `new` into a slot if that is reserved.
    fn replace(&self, index: usize, new: Slot) {
        let mut slots = self.slots.lock();
        if let Some(slot @ Slot::Reserved) = slots.get_mut(index) {
            *slot = new;
        }
    }

    /// Another table with the same open files, and none of the locks on their bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn duplicate(&self) -> Result<Self> {
        let slots = self.slots.lock();
        let mut copy = Vec::new();
        copy.try_reserve_exact(slots.len()).map_err(|_| Errno::ENOMEM)?;
        // What is being opened is not opened for the other one.
        copy.extend(slots.iter().map(|slot| match slot {
            Slot::Reserved => Slot::Free,
            slot => slot.clone(),
        }));
        Ok(Self::new(copy))
    }

    /// The open file with that number, as a system call got it.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, number: u64) -> Result<Arc<OpenFile>> {
        self.slots.lock().get(index(number)?).and_then(Slot::file).cloned().ok_or(Errno::EBADF)
    }

    /// Whether the number is closed by execve(2).
    ///
    /// # Errors
    /// `EBADF`.
    pub fn closes_on_exec(&self, number: u64) -> Result<bool> {
        match self.slots.lock().get(index(number)?) {
            Some(Slot::Open { closes_on_exec, .. }) => Ok(*closes_on_exec),
            _ => Err(Errno::EBADF),
        }
    }

    /// Says whether the number is closed by execve(2).
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_closes_on_exec(&self, number: u64, closes: bool) -> Result<()> {
        match self.slots.lock().get_mut(index(number)?) {
            Some(Slot::Open { closes_on_exec, .. }) => *closes_on_exec = closes,
            _ => return Err(Errno::EBADF),
        }
        Ok(())
    }

    /// Takes the lowest free number for a file that is still to be opened: if there is none, the
    /// file is not touched.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn reserve(&self) -> Result<Reservation<'_>> {
        let mut slots = self.slots.lock();
        let is_free = |slot: &Slot| matches!(slot, Slot::Free);
        let index = slots.iter().position(is_free).unwrap_or(slots.len());
        if index >= MAX_DESCRIPTORS {
            return Err(Errno::EMFILE);
        }
        match slots.get_mut(index) {
            Some(slot) => *slot = Slot::Reserved,
            None => {
                slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                slots.push(Slot::Reserved);
            }
        }
        Ok(Reservation { descriptors: self, index })
    }

    /// Frees a number; the file goes with its last reference, and all locks that the process has on
    /// its bytes go now.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, number: u64) -> Result<Arc<OpenFile>> {
        let index = index(number)?;
        let mut slots = self.slots.lock();
        let slot = slots.get_mut(index).ok_or(Errno::EBADF)?;
        let file = slot.take().ok_or(Errno::EBADF)?;
        drop(slots);
        self.locks.closed(&file);
        Ok(file)
    }

    /// Who locks bytes of these files.
    pub fn lock_owner(&self) -> &LockOwner {
        &self.locks
    }

    /// The first number from `from` on that has an open file.
    pub fn next_from(&self, from: usize) -> Option<usize> {
        let slots = self.slots.lock();
        let mut numbered = slots.iter().enumerate().skip(from);
        numbered.find(|(_, slot)| slot.file().is_some()).map(|(number, _)| number)
    }

    /// Closes all.
    pub fn clear(&self) {
        let slots = core::mem::take(&mut *self.slots.lock());
        slots.iter().filter_map(Slot::file).for_each(|file| self.locks.closed(file));
        drop(slots);
    }
}

/// A number as a system call got it: a descriptor is an int, and what stands above is not looked
/// at.
fn index(number: u64) -> Result<usize> {
    usize::try_from(number as i32).map_err(|_| Errno::EBADF)
}
