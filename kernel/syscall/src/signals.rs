//! Calls on signals; what they do is in `kernel/process`.

use abi::signal::{DefaultAction, SIG_BLOCK, SIG_DFL, SIG_SETMASK, SIG_UNBLOCK, SIGSET_BYTES};
use abi::{Errno, Result, Signal};
use base::preempt::SIGNAL;
use process::Process;
use process::signal::{Action, SignalStack};
use task::with_current;

use crate::call::{Call, find_process, read_optional, write_optional};

/// rt_sigaction(2).
pub(crate) fn rt_sigaction(call: &Call<'_>) -> Result<usize> {
    let [number, new, old, set_bytes, ..] = call.args;
    if set_bytes != SIGSET_BYTES as u64 {
        return Err(Errno::EINVAL);
    }
    let new = read_optional::<[u64; 4]>(new)?;
    let signal = Signal::new(u64::from(number as u32)).ok_or(Errno::EINVAL)?;
    let signals = &call.thread.process.signals;
    let before = match new {
        Some(words) => signals.set_action(signal, Action::from_words(words))?,
        None => signals.action(signal),
    };
    write_optional(old, &before.to_words())?;
    Ok(0)
}

/// rt_sigprocmask(2).
pub(crate) fn rt_sigprocmask(call: &Call<'_>) -> Result<usize> {
    let [how, new, old, set_bytes, ..] = call.args;
    if set_bytes != SIGSET_BYTES as u64 {
        return Err(Errno::EINVAL);
    }
    let signals = &call.thread.process.signals;
    let before = signals.blocked();
    if let Some(set) = read_optional::<u64>(new)? {
        signals.set_blocked(match how as u32 {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
        if signals.has_deliverable() {
            with_current(|task| task.set_pending(SIGNAL));
        }
    }
    write_optional(old, &before)?;
    Ok(0)
}

/// rt_sigpending(2).
pub(crate) fn rt_sigpending(call: &Call<'_>) -> Result<usize> {
    let [to, set_bytes, ..] = call.args;
    if set_bytes > SIGSET_BYTES as u64 {
        return Err(Errno::EINVAL);
    }
    let signals = &call.thread.process.signals;
    let set = (signals.pending() & signals.blocked()).to_le_bytes();
    memory::user::UserSlice::new(to, set_bytes as usize).write(&set)?;
    Ok(0)
}

/// sigaltstack(2).
pub(crate) fn sigaltstack(call: &Call<'_>) -> Result<usize> {
    let [new, old, ..] = call.args;
    let signals = &call.thread.signals;
    let before = signals.stack();
    if let Some(words) = read_optional::<[u64; 3]>(new)? {
        if before.holds(call.sp) {
            return Err(Errno::EPERM);
        }
        signals.set_stack(SignalStack::from_words(words)?);
    }
    write_optional(old, &before.to_words(call.sp))?;
    Ok(0)
}

/// Sends signal `number` to the process, or only looks whether it could (0).
fn send(process: &Process, number: u64) -> Result<usize> {
    let number = u64::from(number as u32);
    if number == 0 {
        return Ok(0);
    }
    let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
    let stops = signal.default_action() == DefaultAction::Stop;
    if stops && process.signals.action(signal).handler == SIG_DFL {
        return Err(Errno::ENOSYS); // stopping is not there yet
    }
    process.send(signal);
    Ok(0)
}

/// kill(2). There are no process groups yet: 0 means the caller, -1 and below nobody.
pub(crate) fn kill(call: &Call<'_>) -> Result<usize> {
    let [pid, number, ..] = call.args;
    match pid as i32 {
        0 => send(&call.thread.process, number),
        pid @ 1.. => send(find_process(pid as u32)?.as_ref(), number),
        _ => Err(Errno::ESRCH),
    }
}

/// tkill(2). Each process has one thread, with the number of the process.
pub(crate) fn tkill(call: &Call<'_>) -> Result<usize> {
    let [tid, number, ..] = call.args;
    match tid as i32 {
        tid @ 1.. => send(find_process(tid as u32)?.as_ref(), number),
        _ => Err(Errno::EINVAL),
    }
}

/// tgkill(2).
pub(crate) fn tgkill(call: &Call<'_>) -> Result<usize> {
    let [pid, tid, number, ..] = call.args;
    match (pid as i32, tid as i32) {
        (pid @ 1.., tid @ 1..) if pid == tid => send(find_process(tid as u32)?.as_ref(), number),
        (1.., 1..) => Err(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}
