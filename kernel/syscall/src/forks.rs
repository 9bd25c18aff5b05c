//! fork(2), vfork(2) and clone(2), as far as it is one of the two.
//!
//! The child of vfork gets a copy of the memory, as that of fork: it may not change what the
//! parent sees. The parent waits all the same. There are no threads, and nothing is shared
//! but open files.

use abi::process::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_DETACHED, CLONE_FILES,
    CLONE_FS, CLONE_IO, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
    CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_PARENT, CLONE_PARENT_SETTID, CLONE_PIDFD,
    CLONE_PTRACE, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_UNTRACED,
    CLONE_VFORK, CLONE_VM, CSIGNAL,
};
use abi::{Errno, Result, Signal, nr};
use arch::trap::TrapFrame;
use process::Thread;
use process::fork::{ForkError, ForkRequest};
use vm::layout::USER_END;

/// Flags that change nothing here: nobody traces; the word to be cleared at the child's end
/// would be seen by those that share its memory, and nobody does (as on Linux).
const WITHOUT_EFFECT: u32 = CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_PTRACE | CLONE_UNTRACED;
const KNOWN: u32 = CSIGNAL
    | WITHOUT_EFFECT
    | CLONE_CHILD_SETTID
    | CLONE_PARENT_SETTID
    | CLONE_SETTLS
    | CLONE_VM
    | CLONE_VFORK;
/// What children could share with their parents or other children.
const NOT_THERE: u32 = CLONE_FILES
    | CLONE_FS
    | CLONE_IO
    | CLONE_PARENT
    | CLONE_PIDFD
    | CLONE_SIGHAND
    | CLONE_SYSVSEM
    | CLONE_THREAD;
const NAMESPACES: u32 = CLONE_NEWCGROUP
    | CLONE_NEWIPC
    | CLONE_NEWNET
    | CLONE_NEWNS
    | CLONE_NEWPID
    | CLONE_NEWUSER
    | CLONE_NEWUTS;
const _: () = assert!(KNOWN | NOT_THERE | NAMESPACES == u32::MAX);
// The others are clone3's alone.
const _: () = assert!(CLONE_CLEAR_SIGHAND > u32::MAX as u64 && CLONE_NEWTIME & !CSIGNAL == 0);

/// What clone(2) asks for.
///
/// # Errors
/// `EINVAL`: flags that contradict each other; namespaces, which a kernel
/// without them does not know either. `ENOSYS`: what Linux would share. `EPERM`: FS would
/// leave user space.
fn clone_request(frame: &TrapFrame) -> Result<ForkRequest> {
    let flags = frame.rdi as u32;
    let has = |flag: u32| flags & flag != 0;
    if has(CLONE_THREAD) && !has(CLONE_SIGHAND) || has(CLONE_SIGHAND) && !has(CLONE_VM) {
        return Err(Errno::EINVAL);
    }
    if has(CLONE_PIDFD) && flags & (CLONE_DETACHED | CLONE_PARENT_SETTID) != 0 {
        return Err(Errno::EINVAL);
    }
    if has(NAMESPACES) {
        return Err(Errno::EINVAL);
    }
    // Memory that is shared with a parent that goes on is a thread's.
    if has(NOT_THERE) || has(CLONE_VM) && !has(CLONE_VFORK) {
        return Err(Errno::ENOSYS);
    }
    if has(CLONE_SETTLS) && frame.r8 >= USER_END {
        return Err(Errno::EPERM);
    }
    let given = |flag: u32, value: u64| if has(flag) { value } else { 0 };
    Ok(ForkRequest {
        // Numbers that are no signal are taken, and send none, as on Linux.
        exit_signal: Signal::new(u64::from(flags & CSIGNAL)),
        parent_tid: given(CLONE_PARENT_SETTID, frame.rdx),
        child_tid: given(CLONE_CHILD_SETTID, frame.r10),
        stack: Some(frame.rsi).filter(|&stack| stack != 0),
        fs_base: has(CLONE_SETTLS).then_some(frame.r8),
        waits: has(CLONE_VFORK),
    })
}

/// The call `number`, one of the three; the child's number.
pub(crate) fn fork(
    thread: &Thread,
    frame: &TrapFrame,
    number: usize,
) -> core::result::Result<u32, ForkError> {
    let request = match number {
        nr::CLONE => clone_request(frame)?,
        _ => ForkRequest {
            exit_signal: Some(Signal::SIGCHLD),
            waits: number == nr::VFORK,
            ..ForkRequest::default()
        },
    };
    process::fork::fork(thread, frame, &request)
}
