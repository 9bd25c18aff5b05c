//! Waiting for children.
//!
//! There are no process groups yet: all children are of their parent's group, whose number
//! nobody knows. Children do not stop, so `WUNTRACED` and `WCONTINUED` find none.

use abi::process::{__WALL, __WCLONE, __WNOTHREAD, WCONTINUED, WNOHANG, WUNTRACED};
use abi::resource::rusage;
use abi::time::Timeval;
use abi::{Errno, Result};
use memory::user::UserValue;
use process::Children;

use crate::call::{Call, write_optional};

/// What is known of a child's use of the machine: its time, all of it counted as user time.
fn usage(cpu_ns: u64) -> rusage {
    let micros = cpu_ns / 1000;
    rusage {
        ru_utime: Timeval {
            tv_sec: (micros / 1_000_000) as i64,
            tv_usec: (micros % 1_000_000) as i64,
        },
        ..rusage::ZERO
    }
}

/// wait4(2).
pub(crate) fn wait4(call: &Call<'_>) -> Result<usize> {
    let [pid, status, options, to, ..] = call.args;
    let (pid, options) = (pid as i32, options as u32);
    let known = WNOHANG | WUNTRACED | WCONTINUED | __WALL | __WCLONE | __WNOTHREAD;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        -0x7fff_ffff..-1 => return Err(Errno::ECHILD), // a group
        -1 | 0 => None,
        pid => Some(pid as u32),
    };
    let clones = options & (__WALL | __WCLONE) != 0;
    let usual = options & __WALL != 0 || options & __WCLONE == 0;
    let which = Children { pid, kinds: [usual, clones] };
    let process = &call.thread.process;
    let Some(child) = process.wait_for_child(which, options & WNOHANG != 0)? else {
        return Ok(0);
    };
    // It is reaped, whether this can be written or not (as on Linux).
    if let Some(outcome) = child.outcome() {
        write_optional(status, &outcome.wait_status())?;
    }
    write_optional(to, &usage(child.cpu_ns()))?;
    Ok(child.pid() as usize)
}
