//! Resource limits and scheduling. The limits are fixed: those that bind are the kernel's
//! own (stack, descriptors).

use abi::resource::{
    RLIM_NLIMITS, RLIM64_INFINITY, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_STACK, rlimit64,
};
use abi::{Errno, Result};
use memory::user::UserSlice;
use process::fds::MAX_DESCRIPTORS;
use vm::layout::STACK_BYTES;

use crate::call::{Call, read_optional, write_optional};

/// CPUs that run user programs.
const USER_CPUS: u64 = 1;
/// Bytes of the kernel's CPU sets.
const CPU_SET_BYTES: u64 = 8;

fn limit(resource: u32) -> Result<rlimit64> {
    let value = match resource {
        RLIMIT_STACK => STACK_BYTES,
        RLIMIT_NOFILE => MAX_DESCRIPTORS as u64,
        RLIMIT_CORE => 0,
        0..RLIM_NLIMITS => RLIM64_INFINITY as u64,
        _ => return Err(Errno::EINVAL),
    };
    Ok(rlimit64 { rlim_cur: value, rlim_max: value })
}

/// Whether `pid` names the caller.
fn is_self(call: &Call<'_>, pid: u64) -> bool {
    pid as u32 == 0 || pid as u32 == call.thread.process.pid()
}

/// prlimit64(2). A limit cannot be changed: `EPERM`.
pub(crate) fn prlimit64(call: &Call<'_>) -> Result<usize> {
    let [pid, resource, new, old, ..] = call.args;
    let now = limit(resource as u32)?;
    if let Some(new) = read_optional::<rlimit64>(new)? {
        if new.rlim_cur > new.rlim_max {
            return Err(Errno::EINVAL);
        }
        if (new.rlim_cur, new.rlim_max) != (now.rlim_cur, now.rlim_max) {
            return Err(Errno::EPERM);
        }
    }
    if !is_self(call, pid) {
        return Err(Errno::ESRCH);
    }
    write_optional(old, &now)?;
    Ok(0)
}

/// getrlimit(2).
pub(crate) fn getrlimit(call: &Call<'_>) -> Result<usize> {
    let [resource, to, ..] = call.args;
    UserSlice::write_value(to, &limit(resource as u32)?)?;
    Ok(0)
}

/// sched_yield(2).
pub(crate) fn sched_yield(_call: &Call<'_>) -> Result<usize> {
    task::yield_now();
    Ok(0)
}

/// sched_getaffinity(2).
pub(crate) fn sched_getaffinity(call: &Call<'_>) -> Result<usize> {
    let [pid, len, to, ..] = call.args;
    let len = u64::from(len as u32);
    if len < CPU_SET_BYTES || !len.is_multiple_of(CPU_SET_BYTES) {
        return Err(Errno::EINVAL);
    }
    if !is_self(call, pid) {
        return Err(Errno::ESRCH);
    }
    UserSlice::write_value(to, &((1u64 << USER_CPUS) - 1))?;
    Ok(CPU_SET_BYTES as usize)
}
