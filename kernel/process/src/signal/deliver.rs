//! Delivering signals, with a thread that is about to go back to user mode.

use abi::signal::{DefaultAction, SA_RESTART, SI_KERNEL, SI_USER, SIG_DFL, SIG_IGN};
use abi::{Errno, Signal, nr};
use arch::trap::{SYSCALL_VECTOR, TrapFrame};

use super::frame::{self, Info};
use super::state::Action;
use crate::outcome::{Cause, Outcome};
use crate::thread::{Thread, exit};

/// Ends the process: its stack cannot take a signal frame, or its frame cannot be read.
pub(super) fn kill_for_frame(regs: &TrapFrame) -> ! {
    let cause = Cause { what: "bad signal frame", address: Some(regs.rsp), ip: regs.rip };
    exit(Outcome::Killed { signal: Signal::SIGSEGV, cause: Some(cause) })
}

/// Makes an interrupted read, wait, or wait for a file lock begin anew once the handler has
/// returned, if the action says so (signal(7), "Interruption of system calls"). The other calls
/// that sleep never do.
fn restart(regs: &mut TrapFrame, action: &Action) {
    let interrupted = regs.vector == SYSCALL_VECTOR && regs.rax == Errno::EINTR.to_return();
    let number = regs.error;
    let calls = [nr::READ, nr::READV, nr::WAIT4, nr::FLOCK, nr::FCNTL];
    let restarts = calls.contains(&(number as usize));
    if interrupted && restarts && action.flags & u64::from(SA_RESTART) != 0 {
        regs.rax = number;
        regs.rip = regs.rip.wrapping_sub(2); // `syscall`
    }
}

fn handle(thread: &Thread, regs: &mut TrapFrame, signal: Signal, action: &Action, info: Info) {
    thread.rseq.leave(regs);
    restart(regs, action);
    let signals = &thread.process.signals;
    if frame::push(thread, regs, signal, action, info).is_ok() {
        return signals.block_for_handler(signal, action);
    }
    // Another SIGSEGV: its handler may have a stack of its own (`force_sigsegv` in Linux
    // kernel/signal.c).
    if signal == Signal::SIGSEGV {
        kill_for_frame(regs);
    }
    let action = signals.take_forced(Signal::SIGSEGV);
    let info = Info { code: SI_KERNEL as i32, ..Info::default() };
    if action.handler == SIG_DFL
        || frame::push(thread, regs, Signal::SIGSEGV, &action, info).is_err()
    {
        kill_for_frame(regs);
    }
    signals.block_for_handler(Signal::SIGSEGV, &action);
}

/// Delivers what waits and is not blocked. May not return.
pub fn deliver_pending(thread: &Thread, regs: &mut TrapFrame) {
    while let Some((signal, action)) = thread.process.signals.take() {
        match (action.handler, signal.default_action()) {
            (SIG_IGN, _) | (SIG_DFL, DefaultAction::Ignore | DefaultAction::Continue) => {}
            (SIG_DFL, DefaultAction::Stop) => {
                log::warn!(
                    "{signal} for process {}: stopping is not there yet",
                    thread.process.pid()
                );
            }
            (SIG_DFL, DefaultAction::Terminate | DefaultAction::CoreDump) => {
                let memory = signal == Signal::SIGKILL && thread.process.gives_memory();
                let what = "out of memory, and it had most";
                let cause = memory.then_some(Cause { what, address: None, ip: regs.rip });
                exit(Outcome::Killed { signal, cause });
            }
            _ => {
                let child = thread.process.signals.child_info();
                let info = match signal {
                    Signal::SIGCHLD if child.pid != 0 => Info {
                        code: child.code as i32,
                        word: child.pid.into(),
                        status: child.status,
                        ..Info::default()
                    },
                    _ => Info { code: SI_USER as i32, ..Info::default() },
                };
                handle(thread, regs, signal, &action, info);
            }
        }
    }
}

/// A fault of the thread's own: calls its handler, or ends the process. `code` is the
/// signal's own, `SEGV_MAPERR` and so on; `None` for one that tells nothing.
pub fn force(
    thread: &Thread,
    regs: &mut TrapFrame,
    signal: Signal,
    code: Option<i32>,
    cause: Cause,
) {
    let action = thread.process.signals.take_forced(signal);
    if action.handler == SIG_DFL {
        exit(Outcome::Killed { signal, cause: Some(cause) });
    }
    let info = Info {
        code: code.unwrap_or(SI_KERNEL as i32),
        status: 0,
        word: cause.address.unwrap_or(if code.is_some() { cause.ip } else { 0 }),
        trap: (regs.vector, regs.error),
    };
    handle(thread, regs, signal, &action, info);
}
