//! Resource limits. They are fixed: those that bind are the kernel's own (stack, descriptors, and
//! the number of all processes together).

use abi::resource::{
    RLIM_NLIMITS, RLIM64_INFINITY, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_STACK, rlimit64,
};
use abi::{Errno, Result};
use vm::layout::STACK_BYTES;

use crate::fds::MAX_DESCRIPTORS;
use crate::tree::max_processes;

/// The limit of a resource (`RLIMIT_*`), soft and hard.
///
/// # Errors
/// `EINVAL`: there is no such resource.
pub fn limit(resource: u32) -> Result<rlimit64> {
    let value = match resource {
        RLIMIT_STACK => STACK_BYTES,
        RLIMIT_NOFILE => MAX_DESCRIPTORS as u64,
        RLIMIT_NPROC => max_processes() as u64,
        RLIMIT_CORE => 0,
        0..RLIM_NLIMITS => RLIM64_INFINITY as u64,
        _ => return Err(Errno::EINVAL),
    };
    Ok(rlimit64 { rlim_cur: value, rlim_max: value })
}
