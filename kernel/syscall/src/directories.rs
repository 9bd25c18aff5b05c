//! Calls that read directories: getdents64.

use core::mem::offset_of;
use core::ops::ControlFlow;

use abi::stat::linux_dirent64;
use abi::{Errno, Result};
use arrayvec::ArrayVec;
use fs::DirEntry;
use memory::user::UserSlice;

use crate::call::{Call, buffer};

/// Where the name stands in an entry.
const NAME_AT: usize = offset_of!(linux_dirent64, d_name);
/// Longest entry: a name of `NAME_MAX` bytes with its zero byte, in whole words.
const LONGEST: usize = (NAME_AT + 256).next_multiple_of(8);

/// An entry as getdents64(2) writes it: inode, position behind it, length, type, and the name
/// up to a zero byte; filled up to a whole number of words.
fn record(entry: &DirEntry<'_>) -> Option<ArrayVec<u8, LONGEST>> {
    let len = (NAME_AT + entry.name.len() + 1).next_multiple_of(8);
    let mut record = ArrayVec::new();
    record.try_extend_from_slice(&entry.inode.to_ne_bytes()).ok()?;
    record.try_extend_from_slice(&entry.next.to_ne_bytes()).ok()?;
    record.try_extend_from_slice(&u16::try_from(len).ok()?.to_ne_bytes()).ok()?;
    record.try_push(entry.kind.entry_type()).ok()?;
    debug_assert_eq!(record.len(), NAME_AT);
    record.try_extend_from_slice(entry.name).ok()?;
    while record.len() < len {
        record.try_push(0).ok()?;
    }
    Some(record)
}

/// getdents64(2).
pub(crate) fn getdents64(call: &Call<'_>) -> Result<usize> {
    let [fd, address, len, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    // The count is an unsigned int.
    let room = buffer(address, u64::from(len as u32))?;
    let mut written = 0;
    let mut failed = None;
    file.entries(&mut |entry| {
        // No file system has a longer name, and no user's directory is to stop at one.
        let Some(record) = record(&entry) else { return ControlFlow::Continue(()) };
        let to = room.skip(written);
        if to.len() < record.len() {
            failed = Some(Errno::EINVAL);
            return ControlFlow::Break(());
        }
        if let Err(error) = UserSlice::new(to.address(), record.len()).write(&record) {
            failed = Some(error.into());
            return ControlFlow::Break(());
        }
        written += record.len();
        ControlFlow::Continue(())
    })?;
    // What stopped it is told if nothing came before.
    match failed {
        Some(error) if written == 0 => Err(error),
        _ => Ok(written),
    }
}
