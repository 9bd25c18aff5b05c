//! [`Call`]: what a handler gets.

use alloc::sync::Arc;

use abi::{Errno, Result};
use arch::trap::SyscallFrame;
use memory::user::{UserSlice, UserValue};
use process::{Process, Thread};
use vm::layout::USER_END;

/// Most bytes that one read or write moves (Linux's `MAX_RW_COUNT`).
pub(crate) const MAX_TRANSFER: usize = 0x7fff_f000;

/// One system call: who calls, and with which arguments.
pub(crate) struct Call<'a> {
    /// The calling thread.
    pub(crate) thread: &'a Thread,
    /// The six argument registers.
    pub(crate) args: [u64; 6],
    /// The caller's stack pointer.
    pub(crate) sp: u64,
}

impl<'a> Call<'a> {
    pub(crate) fn new(thread: &'a Thread, frame: &SyscallFrame) -> Self {
        let args = [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9];
        Self { thread, args, sp: frame.rsp }
    }
}

/// `len` bytes of user memory at `address`, at most [`MAX_TRANSFER`].
///
/// # Errors
/// `EFAULT` if the whole range cannot be the user's.
pub(crate) fn buffer(address: u64, len: u64) -> Result<UserSlice> {
    let end = address.checked_add(len).ok_or(Errno::EFAULT)?;
    if end > USER_END {
        return Err(Errno::EFAULT);
    }
    let len = usize::try_from(len).unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER);
    Ok(UserSlice::new(address, len))
}

/// Writes `value` at `address` unless that is null.
pub(crate) fn write_optional<T: UserValue>(address: u64, value: &T) -> Result<()> {
    if address != 0 {
        UserSlice::write_value(address, value)?;
    }
    Ok(())
}

/// Reads a value at `address` unless that is null.
pub(crate) fn read_optional<T: UserValue>(address: u64) -> Result<Option<T>> {
    if address == 0 {
        return Ok(None);
    }
    Ok(Some(UserSlice::read_value(address)?))
}

/// The process with number `pid`, which is also its only thread's. It may have ended, and
/// wait for its parent to ask how.
///
/// # Errors
/// `ESRCH`.
pub(crate) fn find_process(pid: u32) -> Result<Arc<Process>> {
    process::find(pid).ok_or(Errno::ESRCH)
}
