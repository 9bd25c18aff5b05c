//! Calls on the process and thread themselves. Every process is root's and has one thread.

use abi::prctl::{ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS};
use abi::{Errno, Result};
use arch::cpu::user_base;
use memory::user::UserSlice;
use process::Outcome;

use crate::call::Call;

/// Bytes of `struct robust_list_head`.
const ROBUST_LIST_BYTES: u64 = 24;

/// exit(2) and exit_group(2): the same, with one thread.
pub(crate) fn exit(call: &Call<'_>) -> Result<usize> {
    let [status, ..] = call.args;
    process::exit(Outcome::Exited(status as u8))
}

/// getpid(2).
pub(crate) fn getpid(call: &Call<'_>) -> Result<usize> {
    Ok(call.thread.process.pid() as usize)
}

/// gettid(2).
pub(crate) fn gettid(call: &Call<'_>) -> Result<usize> {
    Ok(call.thread.tid() as usize)
}

/// getppid(2): 0 is the kernel, which started the process or took it over.
pub(crate) fn getppid(call: &Call<'_>) -> Result<usize> {
    Ok(call.thread.process.parent() as usize)
}

/// getuid(2) and its kin: root.
pub(crate) fn zero(_call: &Call<'_>) -> Result<usize> {
    Ok(0)
}

/// arch_prctl(2).
pub(crate) fn arch_prctl(call: &Call<'_>) -> Result<usize> {
    let [code, argument, ..] = call.args;
    let set = match code as u32 {
        ARCH_SET_FS => call.thread.set_fs_base(argument),
        ARCH_SET_GS => call.thread.set_gs_base(argument),
        ARCH_GET_FS => {
            UserSlice::write_value(argument, &user_base::fs())?;
            true
        }
        ARCH_GET_GS => {
            UserSlice::write_value(argument, &user_base::gs())?;
            true
        }
        _ => return Err(Errno::EINVAL),
    };
    if set { Ok(0) } else { Err(Errno::EPERM) }
}

/// set_tid_address(2). The word is cleared for other threads to see; when the only one
/// ends, nobody is left who could (as on Linux).
pub(crate) fn set_tid_address(call: &Call<'_>) -> Result<usize> {
    gettid(call)
}

/// set_robust_list(2). The list is for locks that others wait for with futex(2), which is not
/// there yet, so it need not be kept.
pub(crate) fn set_robust_list(call: &Call<'_>) -> Result<usize> {
    let [_, len, ..] = call.args;
    if len != ROBUST_LIST_BYTES {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// rseq(2).
pub(crate) fn rseq(call: &Call<'_>) -> Result<usize> {
    let [area, len, flags, signature, ..] = call.args;
    call.thread.rseq.register(area, len as u32, flags as u32, signature as u32)?;
    Ok(0)
}
