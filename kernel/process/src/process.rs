//! [`Process`]: a program that runs, as others see it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::{Result, Signal};
use arrayvec::ArrayString;
use base::sync::IrqSpinLock;
use base::time;
use fs::Credentials;
use spin::Once;
use task::{Task, WaitOptions, WaitQueue};
use vm::AddressSpace;

use crate::fds::Descriptors;
use crate::foreground;
use crate::outcome::Outcome;
use crate::places::Places;
use crate::signal::Signals;
use crate::thread::Thread;
use crate::tree::{self, Children, Family, Reserved};

/// Frames that what belongs to a new process may take where it cannot fail: a slab for each of
/// its objects, at worst.
pub(crate) const FRAMES: usize = 12;

/// A process. What runs is its thread's task; the process itself may be kept by whoever
/// wants to know how it ended.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// Its parent's number, 0 for the kernel. Changed under the table's lock.
    pub(crate) parent: AtomicU32,
    /// Its job: a [`crate::Foreground`]'s number; 0 if it was started without one.
    job: u64,
    /// What its parent is sent at its end.
    pub(crate) exit_signal: Option<Signal>,
    /// The path that it was started from.
    executable: Arc<[u8]>,
    /// What it was started with, a zero byte behind each.
    arguments: Arc<Vec<u8>>,
    /// The environment that it was started with, likewise.
    environment: Arc<Vec<u8>>,
    /// When it was made, in nanoseconds of the clock.
    started_ns: u64,
    /// Its open files.
    pub descriptors: Descriptors,
    /// Its working directory, and the file of its program.
    pub places: Places,
    /// What it does about signals, and those that wait for it.
    pub signals: Signals,
    outcome: IrqSpinLock<Option<Outcome>>,
    pub(crate) ended: WaitQueue,
    task: Once<Weak<Task>>,
    pub(crate) family: IrqSpinLock<Family>,
    /// Where it waits for children.
    pub(crate) child_ended: WaitQueue,
    /// Nanoseconds on a CPU, when it has ended: its own, and of children waited for.
    pub(crate) own_ns: AtomicU64,
    /// Of its own, those in the kernel.
    pub(crate) own_system_ns: AtomicU64,
    pub(crate) children_ns: AtomicU64,
    /// Memory was short, and it is to end for that.
    gives_memory: AtomicBool,
}

/// What a process is made of.
pub(crate) struct Parts {
    pub(crate) parent: u32,
    pub(crate) job: u64,
    pub(crate) exit_signal: Option<Signal>,
    pub(crate) executable: Arc<[u8]>,
    pub(crate) arguments: Arc<Vec<u8>>,
    pub(crate) environment: Arc<Vec<u8>>,
    pub(crate) descriptors: Descriptors,
    pub(crate) places: Places,
    pub(crate) signals: Signals,
}

impl Process {
    /// Who it is to file systems. All processes are root's so far.
    pub fn credentials(&self) -> &Credentials {
        &Credentials::ROOT
    }

    /// A process that is in no table yet.
    // It is built on the stack and moved: not in the frame of a caller that goes deeper.
    #[inline(never)]
    pub(crate) fn new(number: &Reserved, parts: Parts) -> Arc<Self> {
        let Parts { parent, job, exit_signal, executable, .. } = parts;
        let Parts { arguments, environment, descriptors, places, signals, .. } = parts;
        Arc::new(Self {
            pid: number.pid(),
            parent: AtomicU32::new(parent),
            job,
            exit_signal,
            executable,
            arguments,
            environment,
            started_ns: time::now_ns(),
            descriptors,
            places,
            signals,
            outcome: IrqSpinLock::new("process outcome", None),
            ended: WaitQueue::new("process exit"),
            task: Once::new(),
            family: IrqSpinLock::new("process family", Family::default()),
            child_ended: WaitQueue::new("child exit"),
            own_ns: AtomicU64::new(0),
            own_system_ns: AtomicU64::new(0),
            children_ns: AtomicU64::new(0),
            gives_memory: AtomicBool::new(false),
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its parent's number; 0 if the kernel started it, or its parent has ended.
    pub fn parent(&self) -> u32 {
        self.parent.load(Ordering::Relaxed)
    }

    /// The number of its job, which its children share.
    pub fn job(&self) -> u64 {
        self.job
    }

    /// The path that it was started from.
    pub fn executable(&self) -> &[u8] {
        &self.executable
    }

    /// What it was started with, a zero byte behind each.
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }

    /// The environment that it was started with, a zero byte behind each variable.
    pub fn environment(&self) -> &[u8] {
        &self.environment
    }

    pub(crate) fn shared_environment(&self) -> Arc<Vec<u8>> {
        self.environment.clone()
    }

    pub(crate) fn shared_arguments(&self) -> Arc<Vec<u8>> {
        self.arguments.clone()
    }

    /// When it was made, in nanoseconds of the clock.
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// What its thread is called, in at most 15 bytes, as on Linux; that of its program when it
    /// has ended.
    pub fn name(&self) -> ArrayString<15> {
        let mut name = ArrayString::new();
        let push = |name: &mut ArrayString<15>, text: &str| {
            let _ = text.chars().try_for_each(|character| name.try_push(character));
        };
        match self.task() {
            Some(task) => push(&mut name, &task.name()),
            None => {
                let file = self.executable.rsplit(|&byte| byte == b'/').next();
                let chunks = file.unwrap_or_default().utf8_chunks();
                chunks.for_each(|chunk| push(&mut name, chunk.valid()));
            }
        }
        name
    }

    /// Nanoseconds that it was on a CPU in user mode, and in the kernel.
    pub fn times_ns(&self) -> (u64, u64) {
        if let Some(task) = self.task() {
            // Also of what it does just now.
            task.cpu_time_ns();
            return task.times_ns();
        }
        let system = self.own_system_ns.load(Ordering::Relaxed);
        (self.own_ns.load(Ordering::Relaxed).saturating_sub(system), system)
    }

    /// Nanoseconds on a CPU of the children that it has waited for, and theirs.
    pub(crate) fn waited_ns(&self) -> u64 {
        self.children_ns.load(Ordering::Relaxed) + self.family.lock().cpu_ns
    }

    pub(crate) fn shared_executable(&self) -> Arc<[u8]> {
        self.executable.clone()
    }

    /// Whether only `__WCLONE` and `__WALL` wait for it.
    pub(crate) fn is_clone_child(&self) -> bool {
        self.exit_signal != Some(Signal::SIGCHLD)
    }

    /// Says which task runs it, before it does.
    pub(crate) fn set_task(&self, task: &Arc<Task>) {
        self.task.call_once(|| Arc::downgrade(task));
    }

    /// The task that runs it; `None` before its start and after its end.
    pub fn task(&self) -> Option<Arc<Task>> {
        self.task.get().and_then(Weak::upgrade)
    }

    /// Whether it is of the job in front.
    pub fn is_in_front(&self) -> bool {
        self.job != 0 && self.job == foreground::job()
    }

    /// Its address space; `None` before its start and after its end.
    pub fn space(&self) -> Option<Arc<AddressSpace>> {
        self.task()?.data::<Thread>().map(|thread| thread.space.clone())
    }

    /// Pages of memory that it has, those included that it shares; and of what the kernel keeps
    /// for that: page tables, and the map of them.
    pub fn memory_pages(&self) -> [usize; 2] {
        self.space().map_or([0; 2], |space| {
            [space.resident_pages(), space.table_frames() + space.map_pages()]
        })
    }

    /// How it ended; `None` while it runs.
    pub fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock()
    }

    /// Says how it ended; the first word counts.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        self.outcome.lock().get_or_insert(outcome);
    }

    /// Nanoseconds that it and the children that it waited for have had on CPUs; known when
    /// it has ended.
    pub fn cpu_ns(&self) -> u64 {
        self.own_ns.load(Ordering::Relaxed) + self.children_ns.load(Ordering::Relaxed)
    }

    /// Sleeps until it has ended; how. Its pages and files are free by then.
    pub fn wait(&self) -> Outcome {
        self.ended.wait(|| self.outcome())
    }

    /// Sleeps until the process has ended, the caller, another one, is killed, or the options
    /// end the wait.
    pub(crate) fn wait_unless_killed(&self, options: WaitOptions) {
        // A kill wakes every sleep, also one that nothing interrupts.
        let over = || (task::is_killed() || self.outcome().is_some()).then_some(());
        let _ = self.ended.wait_with(options, over);
    }

    /// Waits, as the calling process, until one of its children has ended, and reaps it.
    /// With `at_once` does not wait: `None` if none has.
    ///
    /// # Errors
    /// `ECHILD`: it has no such child. `EINTR`.
    pub fn wait_for_child(&self, which: Children, at_once: bool) -> Result<Option<Arc<Self>>> {
        let look = || tree::reap(self, which).transpose();
        if at_once {
            return look().transpose();
        }
        let ended = self.child_ended.wait_with(WaitOptions::INTERRUPTIBLE, look);
        ended.map_err(|_| abi::Errno::EINTR)?.map(Some)
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        self.send_as(signal, false);
    }

    /// As [`Process::send`]; `for_job` if all of its job is sent the signal.
    pub(crate) fn send_as(&self, signal: Signal, for_job: bool) {
        if self.signals.add(signal, for_job)
            && let Some(task) = self.task()
        {
            if signal == Signal::SIGKILL { task.kill() } else { task.interrupt() }
        }
    }

    /// Kills it because memory is short.
    pub(crate) fn take_memory(&self) {
        self.gives_memory.store(true, Ordering::Relaxed);
        self.send(Signal::SIGKILL);
    }

    /// Whether it is to end because memory is short.
    pub(crate) fn gives_memory(&self) -> bool {
        self.gives_memory.load(Ordering::Relaxed)
    }
}
