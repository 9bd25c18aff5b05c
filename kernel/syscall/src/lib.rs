//! Floor 11: system calls.
//!
//! [`init`] takes over the `syscall` instruction. A call's number leads through [`table`]
//! to its handler, a `fn(&Call) -> Result<usize>`; one file per family. A number without a
//! handler is ENOSYS, and named in the log the first time.
//!
//! Handlers run in the thread that calls, with interrupts on, and may sleep. They own
//! nothing across a call that may not return (`exit`, and a fault that kills).
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

base::module!();

mod attributes;
mod call;
mod directories;
mod forks;
mod identity;
mod io;
mod limits;
mod locks;
mod memory_calls;
mod mounts;
mod names;
mod paths;
mod poll;
mod positions;
mod sched;
mod signals;
mod system;
pub mod table;
mod time;
mod waits;

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, nr, syscall_name};
use arch::hooks::set_syscall;
use arch::trap::{SyscallFrame, SyscallReturn, TrapFrame};
use process::fork::ForkError;
use process::{Thread, with_thread};

use call::Call;

/// Flag of [`SyscallReturn`]: the call needs all registers ([`on_whole_frame`]).
const WHOLE_FRAME: u64 = 1;

/// Takes over system calls. Call once.
pub fn init() {
    set_syscall(on_syscall, on_slow_return);
}

extern "C" fn on_syscall(frame: &mut SyscallFrame) -> SyscallReturn {
    // The upper half is not looked at, as on Linux.
    let number = frame.number as u32 as usize;
    let result = match table::handler(number) {
        Some(handler) => {
            with_thread(|thread| handler(&Call::new(thread, frame))).unwrap_or(Err(Errno::ENOSYS))
        }
        None if table::needs_whole_frame(number) => {
            return SyscallReturn { value: 0, slow: WHOLE_FRAME };
        }
        None => {
            log_unknown(number);
            Err(Errno::ENOSYS)
        }
    };
    SyscallReturn { value: abi::to_return(result), slow: 0 }
}

extern "C" fn on_slow_return(frame: &mut TrapFrame, flags: u64) {
    if flags & WHOLE_FRAME != 0 {
        arch::cpu::interrupts::enable();
        with_thread(|thread| on_whole_frame(thread, frame));
        arch::cpu::interrupts::disable();
    }
    base::trap::leave_to_user(frame);
}

/// The calls that read or change all registers of the caller.
fn on_whole_frame(thread: &Thread, frame: &mut TrapFrame) {
    let number = frame.error as u32 as usize;
    if number == nr::RT_SIGRETURN {
        return process::signal::sigreturn(thread, frame);
    }
    match forks::fork(thread, frame, number) {
        Ok(pid) => frame.rax = pid.into(),
        Err(ForkError::Failed(errno)) => frame.rax = errno.to_return(),
        Err(ForkError::Interrupted) => {
            // Again, when the signal has been looked at, whatever its action says.
            frame.rax = frame.error;
            frame.rip = frame.rip.wrapping_sub(2); // `syscall`
        }
    }
}

/// Names a number that has no handler, the first time that it is met.
fn log_unknown(number: usize) {
    const WORDS: usize = nr::TABLE_LEN.div_ceil(64) + 1;
    static SEEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
    // All numbers that Linux does not know share one bit.
    let bit = number.min(nr::TABLE_LEN);
    let Some(word) = SEEN.get(bit / 64) else { return };
    if word.fetch_or(1 << (bit % 64), Ordering::Relaxed) & 1 << (bit % 64) != 0 {
        return;
    }
    match syscall_name(number as u64) {
        Some(name) => log::warn!("system call {name} ({number}) is not there: ENOSYS"),
        None => log::warn!("system call {number}, which Linux has not either: ENOSYS"),
    }
}
