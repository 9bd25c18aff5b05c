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

mod call;
mod identity;
mod io;
mod limits;
mod memory_calls;
mod paths;
mod poll;
mod sched;
mod signals;
mod system;
pub mod table;
mod time;

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, nr, syscall_name};
use arch::hooks::set_syscall;
use arch::trap::{SyscallFrame, SyscallReturn, TrapFrame};
use process::with_thread;

use call::Call;

/// Flag of [`SyscallReturn`]: the registers are to come from a signal frame.
const SIGRETURN: u64 = 1;

/// Takes over system calls. Call once.
pub fn init() {
    set_syscall(on_syscall, on_slow_return);
}

extern "C" fn on_syscall(frame: &mut SyscallFrame) -> SyscallReturn {
    // The upper half is not looked at, as on Linux.
    let number = frame.number as u32 as usize;
    if number == nr::RT_SIGRETURN {
        return SyscallReturn { value: 0, slow: SIGRETURN };
    }
    let result = match table::handler(number) {
        Some(handler) => {
            with_thread(|thread| handler(&Call::new(thread, frame))).unwrap_or(Err(Errno::ENOSYS))
        }
        None => {
            log_unknown(number);
            Err(Errno::ENOSYS)
        }
    };
    SyscallReturn { value: abi::to_return(result), slow: 0 }
}

extern "C" fn on_slow_return(frame: &mut TrapFrame, flags: u64) {
    if flags & SIGRETURN != 0 {
        arch::cpu::interrupts::enable();
        with_thread(|thread| process::signal::sigreturn(thread, frame));
        arch::cpu::interrupts::disable();
    }
    base::trap::leave_to_user(frame);
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
