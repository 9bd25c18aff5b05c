//! File locks: whole files (flock(2)) and ranges of their bytes (fcntl(2)).
//!
//! All are advisory: they keep nobody from reading and writing. There are two families, which
//! know nothing of each other, as on Linux:
//! - flock(2)'s lock of a whole file belongs to the [`OpenFile`], and is gone with it.
//! - Record locks belong to a process, or to an [`OpenFile`]. Those of a process on a file are
//!   all gone when it closes any descriptor of that file; the table of descriptors says so
//!   ([`LockOwner::closed`]).
//!
//! | file | what |
//! |---|---|
//! | `owner.rs` | [`LockOwner`]: a number that is known only by those who ever had a lock |
//! | `table.rs` | what is locked, by file, and who waits; the search for deadlocks |
//! | `wait.rs` | taking a lock, and waiting for it |
//! | `show.rs` | `/proc/locks` |
//!
//! What one owner's records are, and what a change makes of them, is `kernel/lib/record-locks`.
//!
//! One mutex is over all of it: the search for deadlocks goes from file to file, and who has no
//! locks never takes it, not even to close a file. It is held over allocations: reclaim
//! needs it not, for it closes no files.

mod owner;
mod show;
mod table;
#[cfg(not(test))]
mod tests;
mod wait;

use abi::{Errno, Result};
use record_locks::{Bytes, Mode, Owner, Record};

use crate::open_file::OpenFile;
use table::{Family, Key, Wish};

pub use owner::LockOwner;
pub use record_locks::{
    Bytes as LockedBytes, BytesError as LockedBytesError, Mode as LockMode, Record as LockRecord,
};
pub(crate) use show::show;

/// Who locks bytes.
#[derive(Clone, Copy, Debug)]
pub enum RecordOwner<'a> {
    /// A process, with its number.
    Process(&'a LockOwner, u32),
    /// The open file by which it is done.
    OpenFile,
}

impl RecordOwner<'_> {
    fn owner(self, file: &OpenFile) -> Owner {
        match self {
            Self::Process(owner, pid) => Owner { number: owner.number(), pid: Some(pid) },
            Self::OpenFile => Owner { number: file.lock_owner().number(), pid: None },
        }
    }
}

impl OpenFile {
    /// flock(2): locks the file for all who have it open by this [`OpenFile`], or unlocks it, if
    /// `mode` is `None`. A lock that is there and of another mode is given up first, also if the
    /// new one cannot be had. `pid` is for `/proc/locks` alone. May sleep; if it `waits`, until
    /// others free the file.
    ///
    /// # Errors
    /// `EWOULDBLOCK` if it does not wait and others have the file; `EINTR` if a signal ended the
    /// wait; `ENOLCK`: too many locks, or no memory.
    pub fn lock(&self, mode: Option<Mode>, pid: u32, waits: bool) -> Result<()> {
        let owner = Owner { number: self.lock_owner().number(), pid: Some(pid) };
        let wish = Wish { family: Family::Files, owner, bytes: Bytes::ALL, mode };
        wait::take(self, &wish, waits)
    }

    /// Locks bytes of the file, or unlocks them, if `mode` is `None`. May sleep; if it `waits`,
    /// until others free the bytes.
    ///
    /// # Errors
    /// `EAGAIN` if it does not wait and others have some of the bytes; `EDEADLK` if they in turn
    /// wait for the owner; `EINTR` if a signal ended the wait; `ENOLCK`: too many locks, or no
    /// memory.
    pub fn lock_bytes(
        &self,
        owner: RecordOwner<'_>,
        bytes: Bytes,
        mode: Option<Mode>,
        waits: bool,
    ) -> Result<()> {
        let wish = Wish { family: Family::Records, owner: owner.owner(self), bytes, mode };
        wait::take(self, &wish, waits)
    }

    /// A lock for which the owner cannot have the bytes in that mode; or, if `mode` is `None`, one
    /// that it has itself. May sleep.
    pub fn lock_in_the_way(
        &self,
        owner: RecordOwner<'_>,
        bytes: Bytes,
        mode: Option<Mode>,
    ) -> Option<Record> {
        let owner = owner.owner(self).number;
        let table = table::lock();
        let records = table.records(Key::of(self), Family::Records)?;
        match mode {
            Some(mode) => records.conflict(owner, bytes, mode),
            None => records.own(owner, bytes),
        }
        .copied()
    }

    /// Frees what is locked by this [`OpenFile`], which goes.
    pub(crate) fn unlock_all(&self) {
        if let Some(owner) = self.lock_owner().known() {
            table::lock().release(Key::of(self), &[Family::Files, Family::Records], owner);
        }
    }
}

impl LockOwner {
    /// Frees the bytes of `file` that are locked by this owner, a process: it has closed a
    /// descriptor of that file. Takes no lock for an owner that never locked anything. May sleep.
    pub fn closed(&self, file: &OpenFile) {
        if let Some(owner) = self.known() {
            table::lock().release(Key::of(file), &[Family::Records], owner);
        }
    }
}

/// What all errors of memory are here.
fn no_memory<E>(_: E) -> Errno {
    Errno::ENOLCK
}
