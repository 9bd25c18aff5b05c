//! New processes (fork(2), clone(2)): [`fork`] makes a child that is a copy of its parent.
//!
//! The child has what the parent has: a copy of its memory, the same open files, actions and
//! blocked signals, FPU registers, name, job and share of the CPUs. Signals that wait for the
//! parent do not wait for the child, and locks of the parent's on bytes of files are not the
//! child's.

use alloc::sync::Arc;

use abi::{Errno, Signal};
use arch::trap::TrapFrame;
use memory::frames::Allowance;
use memory::{OutOfMemory, reclaim};
use task::{WaitOptions, with_current};

use crate::process::{Parts, Process};
use crate::thread::Thread;
use crate::tree::{Refusal, Reserved};

/// Frames that caches are asked for if there are too few for a child.
const RECLAIM: usize = 64;

/// What fork is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkRequest {
    /// What the parent is sent when the child ends.
    pub exit_signal: Option<Signal>,
    /// Where the child's number is written in the parent's memory; 0 for nowhere.
    pub parent_tid: u64,
    /// The same in the child's memory.
    pub child_tid: u64,
    /// The child's stack pointer, if it is another one.
    pub stack: Option<u64>,
    /// Where the child's FS points, if it is elsewhere; a user address.
    pub fs_base: Option<u64>,
    /// The parent waits until the child has ended (vfork(2)).
    pub waits: bool,
}

/// Why there is no child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkError {
    /// `EAGAIN`: too many processes. `ENOMEM`.
    Failed(Errno),
    /// The parent has a signal to look at first; then the call is to be made again.
    Interrupted,
}

impl From<Refusal> for ForkError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMany => Self::Failed(Errno::EAGAIN),
            Refusal::OutOfMemory => Self::Failed(Errno::ENOMEM),
            Refusal::Signal => Self::Interrupted,
        }
    }
}

impl From<OutOfMemory> for ForkError {
    fn from(_: OutOfMemory) -> Self {
        Self::Failed(Errno::ENOMEM)
    }
}

impl From<Errno> for ForkError {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// Makes a child of the current thread's process, which goes on with the registers of
/// `frame` but for the result 0; its number.
///
/// # Errors
/// As [`ForkError`] says; nothing is left of the child then.
pub fn fork(thread: &Thread, frame: &TrapFrame, request: &ForkRequest) -> Result<u32, ForkError> {
    match try_fork(thread, frame, request) {
        Err(ForkError::Failed(Errno::ENOMEM)) if reclaim::reclaim(RECLAIM) > 0 => {
            try_fork(thread, frame, request)
        }
        result => result,
    }
}

fn try_fork(thread: &Thread, frame: &TrapFrame, request: &ForkRequest) -> Result<u32, ForkError> {
    let parent = &thread.process;
    let _allowance = Allowance::take(crate::process::FRAMES)?;
    let number = Reserved::take()?;
    let parts = Parts {
        parent: parent.pid(),
        job: parent.job(),
        exit_signal: request.exit_signal,
        executable: parent.shared_executable(),
        arguments: parent.shared_arguments(),
        environment: parent.shared_environment(),
        descriptors: parent.descriptors.duplicate()?,
        places: parent.places.duplicate(),
        signals: parent.signals.forked()?,
    };
    let fpu = task::copy_fpu()?;
    let space = thread.space.fork()?;
    let child = Process::new(&number, parts);
    let data = thread.forked(child.clone(), space, request.fs_base, request.child_tid);
    let registers = TrapFrame { rax: 0, rsp: request.stack.unwrap_or(frame.rsp), ..*frame };
    let pid = child.pid();
    start(&child, data, registers, fpu, number, parent)?;
    if request.parent_tid != 0 {
        // The child is there, whether this can be written or not.
        let _ = memory::user::UserSlice::write_value(request.parent_tid, &pid);
    }
    if request.waits {
        child.wait_unless_killed(WaitOptions::FOREVER);
    }
    Ok(pid)
}

/// Starts the child's task and puts the child into the table.
fn start(
    child: &Arc<Process>,
    data: Arc<Thread>,
    registers: TrapFrame,
    fpu: arch::cpu::fpu::FpuState,
    number: Reserved,
    parent: &Process,
) -> Result<(), ForkError> {
    let Some((name, nice, policy)) = with_current(|task| (task.name(), task.nice(), task.policy()))
    else {
        return Err(Errno::ENOSYS.into());
    };
    task::spawn_user(&name, data, registers, Some(fpu), |task| {
        child.set_task(task);
        task.set_nice(nice);
        task.set_policy(policy);
        // Before its first instruction it tells user space its number and its CPU.
        task.set_pending(base::preempt::SWITCHED);
        number.fill(child, Some(parent)).map_err(ForkError::from)
    })
}
