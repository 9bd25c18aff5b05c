//! [`take`]: taking a lock, and waiting for it.

use abi::{Errno, Result};
use memory::frames::check_user_may_allocate;
use task::{MutexGuard, WaitOptions};

use super::no_memory;
use super::table::{self, Key, Table, Wish};
use crate::open_file::OpenFile;

/// Locks or unlocks what is wished of a file; if it `waits`, when that can be had.
///
/// # Errors
/// `EAGAIN`, `EDEADLK`, `EINTR`, `ENOLCK`, as [`OpenFile::lock_bytes`] says.
pub(super) fn take(file: &OpenFile, wish: &Wish, waits: bool) -> Result<()> {
    let key = Key::of(file);
    // The inode's own lock comes before the table's.
    let status = file.status();
    let number = ([status.device.major, status.device.minor], status.inode);
    if wish.mode.is_some() {
        check_user_may_allocate().map_err(no_memory)?;
    }
    let mut table = table::lock();
    if wish.mode.is_none() && table.records(key, wish.family).is_none() {
        return Ok(());
    }
    table.enter(key, number)?;
    let ticket = table.ticket();
    let result = wait(&mut table, ticket, key, wish, waits);
    table.forget_waiting(ticket);
    table.leave(key);
    result
}

fn wait(
    table: &mut MutexGuard<'_, Table>,
    ticket: u64,
    key: Key,
    wish: &Wish,
    waits: bool,
) -> Result<()> {
    while let Some(blocker) = table.attempt(key, wish)? {
        if !waits {
            return Err(Errno::EAGAIN);
        }
        let freed = table.note_waiting(ticket, key, wish, blocker.number)?;
        freed.wait_with(table, WaitOptions::INTERRUPTIBLE).map_err(|_| Errno::EINTR)?;
    }
    Ok(())
}
