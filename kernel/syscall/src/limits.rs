//! Calls on resource limits, which are fixed (`process::limits`).

use abi::resource::rlimit64;
use abi::{Errno, Result};
use memory::user::UserSlice;
use process::limits::limit;

use crate::call::{Call, read_optional, write_optional};

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
