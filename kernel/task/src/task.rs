//! [`Task`]: one thread of the kernel, and the list of all.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI8, AtomicU8, AtomicU32, AtomicU64, Ordering};

use arch::cpu::fpu::FpuState;
use arch::cpu::local;
use arch::paging::VirtAddr;
use arrayvec::ArrayString;
use base::backtrace::Backtrace;
use base::cpu_set::CpuSet;
use base::sync::{HeldLocks, IrqSpinLock};
use base::trap::PageFault;
use intrusive_collections::{LinkedListAtomicLink, RBTreeAtomicLink};
use memory::OutOfMemory;
use memory::kernel_space::KernelStack;
use spin::Once;

use crate::reason::{SharedReason, WaitReason};
use crate::sched::Policy;
use crate::sched::policy::Rank;
use crate::sched::queue::with_queue_of_task;
use crate::wait::{WaitError, WaitOptions, WaitQueue};

/// Longest name of a task, in bytes; longer ones are cut.
pub(crate) const NAME_BYTES: usize = 32;

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Running or waiting for a CPU.
    Runnable = 0,
    /// Asleep until woken.
    Blocked = 1,
    /// Ended; its stack goes with the last reference.
    Dead = 2,
}

/// How a task sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sleep {
    /// A signal ends it.
    Interruptible = 0,
    /// Only what it waits for ends it.
    Uninterruptible = 1,
    /// The same, and its queue counts it among those that do.
    Counted = 2,
}

/// What a user program's thread has beside a kernel thread's.
pub trait ThreadData: Any + Send + Sync {
    /// Makes this CPU use the thread's address space. Called with interrupts off when the
    /// CPU goes on to the thread; must not sleep. Returns bits for the thread's word of
    /// pending work: what it must look at before it is in user mode again.
    fn enter_address_space(&self) -> u32;

    /// Brings the page of a touch by the current thread, of which this is the data. Interrupts
    /// on; may sleep. False if the touch is not allowed.
    fn page_fault(&self, fault: PageFault) -> bool;
}

/// A thread of the kernel.
pub struct Task {
    pub(crate) id: u64,
    name: IrqSpinLock<ArrayString<NAME_BYTES>>,
    /// `None` for the boot task, whose stack is the image's.
    pub(crate) stack: Option<KernelStack>,
    /// Where the stack pointer was when the task was switched out.
    pub(crate) saved_sp: AtomicU64,
    /// The word of pending work (`base::preempt`): the entry code looks at it.
    pub(crate) pending: AtomicU32,
    state: AtomicU8,
    /// Set once the task was asked to end.
    killed: AtomicBool,
    /// Set once the task's function has ended.
    pub(crate) ended: AtomicBool,
    /// Where [`Task::join`] waits.
    pub(crate) joiners: WaitQueue,
    /// What a blocked task waits for.
    pub(crate) waits_for: SharedReason,
    /// The CPU whose run queue the task belongs to.
    pub(crate) cpu: AtomicU32,
    /// The CPUs that it may use, as [`CpuSet`] bits.
    pub(crate) affinity: AtomicU64,
    /// A [`Policy`](crate::Policy), encoded.
    pub(crate) policy: AtomicU32,
    /// Nice value, kept while the policy is another one than the fair one.
    pub(crate) nice: AtomicI8,
    /// Nanoseconds of virtual run time (fair tasks).
    pub(crate) virtual_time: AtomicU64,
    /// Place among real-time tasks of the same priority.
    pub(crate) turn: AtomicU64,
    /// The next place in a queue is to be the old one.
    pub(crate) keeps_turn: AtomicBool,
    /// In a run queue, ordered by [`Task::rank`].
    pub(crate) run_link: RBTreeAtomicLink,
    /// In a wait queue.
    pub(crate) wait_link: LinkedListAtomicLink,
    /// In a CPU's timers, ordered by `deadline` and `id`.
    pub(crate) timer_link: RBTreeAtomicLink,
    /// When to wake the task, in nanoseconds of the clock, while `timer_link` is linked.
    pub(crate) deadline: AtomicU64,
    /// Nanoseconds on a CPU until the last switch.
    pub(crate) cpu_ns: AtomicU64,
    /// Those of them that count as the kernel's, and whether the next ones do: so it was when
    /// the CPU's timer last rang (`sched/times.rs`).
    pub(crate) system_ns: AtomicU64,
    pub(crate) in_system: AtomicBool,
    /// How the task sleeps, or slept last.
    pub(crate) sleep: AtomicU8,
    /// How often it has left its CPU of its own will, and how often it was taken from it.
    pub(crate) switches: [AtomicU64; 2],
    /// The mutexes that the task holds, for the lock checker.
    pub(crate) held_locks: HeldLocks,
    /// Saved FPU registers; `None` for threads that never enter user mode.
    pub(crate) fpu: IrqSpinLock<Option<FpuState>>,
    /// Set once, before the thread first enters user mode.
    pub(crate) data: Once<Arc<dyn ThreadData>>,
}

/// By rising number: a vector, whose growth can fail with an error.
static ALL: IrqSpinLock<Vec<(u64, Weak<Task>)>> = IrqSpinLock::new("tasks", Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Task {
    /// A task that may use the CPUs that its maker may use.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(crate) fn new(name: &str, stack: Option<KernelStack>) -> Result<Arc<Self>, OutOfMemory> {
        let affinity = with_current(Self::affinity).unwrap_or(CpuSet::ALL);
        let task = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: IrqSpinLock::new("task name", cut(name)),
            stack,
            saved_sp: AtomicU64::new(0),
            pending: AtomicU32::new(0),
            state: AtomicU8::new(State::Runnable as u8),
            killed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            joiners: WaitQueue::new("task exit"),
            waits_for: SharedReason::new(),
            cpu: AtomicU32::new(local::cpu_number()),
            affinity: AtomicU64::new(affinity.bits()),
            policy: AtomicU32::new(Policy::NORMAL.encode()),
            nice: AtomicI8::new(0),
            virtual_time: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            keeps_turn: AtomicBool::new(false),
            run_link: RBTreeAtomicLink::new(),
            wait_link: LinkedListAtomicLink::new(),
            timer_link: RBTreeAtomicLink::new(),
            deadline: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            in_system: AtomicBool::new(false),
            sleep: AtomicU8::new(Sleep::Interruptible as u8),
            switches: [const { AtomicU64::new(0) }; 2],
            held_locks: HeldLocks::new(),
            fpu: IrqSpinLock::new("fpu state", None),
            data: Once::new(),
        });
        {
            let mut all = ALL.lock();
            if all.try_reserve(1).is_ok() {
                let at = all.partition_point(|(id, _)| *id < task.id);
                all.insert(at, (task.id, Arc::downgrade(&task)));
                return Ok(task);
            }
        }
        Err(OutOfMemory) // the task goes, outside the lock
    }

    /// A number that no other task has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The task's name.
    pub fn name(&self) -> ArrayString<NAME_BYTES> {
        *self.name.lock()
    }

    /// The task's name, unless somebody is just at it: for reports.
    pub(crate) fn name_if_free(&self) -> ArrayString<NAME_BYTES> {
        self.name.try_lock().map(|name| *name).unwrap_or_default()
    }

    /// Gives the task another name, cut to [`NAME_BYTES`].
    pub fn set_name(&self, name: &str) {
        *self.name.lock() = cut(name);
    }

    /// What the task is doing.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Runnable,
            1 => State::Blocked,
            _ => State::Dead,
        }
    }

    /// Calls the task, the current one, blocked. Whoever makes its condition true after this
    /// sees that it is; whoever did before is seen by its next look.
    pub(crate) fn block(&self) {
        self.state.swap(State::Blocked as u8, Ordering::SeqCst);
    }

    /// Under the lock of the task's run queue only.
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Whether the task's function has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sleeps until the task has ended. How it ended, beyond [`Task::is_killed`], is between
    /// it and whoever waits.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn join(&self) {
        self.joiners.wait(|| self.has_ended().then_some(()));
    }

    /// Sleeps until the task has ended or the options end the wait.
    ///
    /// # Errors
    /// As [`WaitError`] says.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn join_with(&self, options: WaitOptions) -> Result<(), WaitError> {
        self.joiners.wait_with(options, || self.has_ended().then_some(()))
    }

    /// Asks a kernel task to end. From now on its interruptible sleeps end with
    /// [`WaitError::Interrupted`], and it returns as soon as it has put in order what others
    /// need: its stack is never torn down under it, for it may hold locks. Sleeps that are not
    /// interruptible, such as for a mutex, go on, and so does a task that looks neither at
    /// their outcome nor at [`is_killed`]. The thread of a user program is killed with a
    /// signal to its process instead. May be called from interrupt handlers.
    pub fn kill(self: &Arc<Self>) {
        self.killed.store(true, Ordering::Release);
        self.interrupt();
    }

    /// Whether the task was asked to end. It may have ended by itself before.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// What makes it a user program's thread, if it is one of type `T`.
    pub fn data<T: ThreadData>(&self) -> Option<&T> {
        let data: &dyn Any = self.data.get()?.as_ref();
        data.downcast_ref()
    }

    /// Sets bits of the word of pending work.
    pub fn set_pending(&self, bits: u32) {
        self.pending.fetch_or(bits, Ordering::AcqRel);
    }

    /// Clears bits of the word of pending work.
    pub fn clear_pending(&self, bits: u32) {
        self.pending.fetch_and(!bits, Ordering::AcqRel);
    }

    /// The bits of pending work.
    pub fn pending(&self) -> u32 {
        self.pending.load(Ordering::Acquire)
    }

    /// The CPU that the task runs on, or ran on last.
    pub fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Relaxed)
    }

    /// Nanoseconds on a CPU until its last switch.
    pub fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    /// Nanoseconds of [`Task::cpu_ns`] that the task was in user mode, and in the kernel. A
    /// kernel task is there always; of others it is known when the CPU's timer rings, and what
    /// was found then holds until it rings again, as on Linux.
    pub fn times_ns(&self) -> (u64, u64) {
        let system = self.system_ns.load(Ordering::Relaxed);
        (self.cpu_ns().saturating_sub(system), system)
    }

    /// Whether it sleeps and no signal ends that.
    pub fn sleeps_uninterruptibly(&self) -> bool {
        self.state() == State::Blocked
            && self.sleep.load(Ordering::Relaxed) != Sleep::Interruptible as u8
    }

    /// How often it has left a CPU of its own will, and how often that was taken from it.
    pub fn switches(&self) -> (u64, u64) {
        let [own, forced] = &self.switches;
        (own.load(Ordering::Relaxed), forced.load(Ordering::Relaxed))
    }

    /// The task's place in a run queue. Changes only under the queue's lock while the task
    /// is in it.
    pub(crate) fn rank(&self) -> Rank {
        let policy = self.policy();
        let order = if policy.is_real_time() { &self.turn } else { &self.virtual_time };
        (policy.class(), order.load(Ordering::Relaxed), self.id)
    }

    /// The top of the task's kernel stack; `None` for the boot task.
    pub fn stack_top(&self) -> Option<VirtAddr> {
        self.stack.as_ref().map(KernelStack::top)
    }

    /// Where the task is, as a backtrace to print while `self` is held; `None` if it runs
    /// now, on whichever CPU, or has ended. A task that goes on meanwhile prints an old or
    /// broken list, which does no harm.
    pub fn backtrace(&self) -> Option<Backtrace> {
        let runs = with_queue_of_task(self, |queue| queue.is_current(self)).unwrap_or(false);
        let sp = self.saved_sp.load(Ordering::Relaxed);
        (!runs && self.state() != State::Dead && sp != 0).then(|| Backtrace::of_switched_out(sp))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut all = ALL.lock();
        // It is not there if it could not be put there.
        if let Ok(at) = all.binary_search_by_key(&self.id, |(id, _)| *id) {
            all.remove(at);
        }
    }
}

fn cut(name: &str) -> ArrayString<NAME_BYTES> {
    let mut text = ArrayString::new();
    for character in name.chars() {
        if text.try_push(character).is_err() {
            break;
        }
    }
    text
}

/// The task that runs the caller; `None` before [`crate::init`].
pub fn current() -> Option<Arc<Task>> {
    with_current(|task| {
        let pointer = core::ptr::from_ref(task);
        // SAFETY: the current task was made by `Arc::new`, and the run queue holds a
        // reference to it as long as it is current.
        unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        }
    })
}

/// Whether the current task was asked to end; for those that work long without a sleep.
pub fn is_killed() -> bool {
    with_current(Task::is_killed).unwrap_or(false)
}

/// Calls `look` with the task that runs the caller, without counting a reference;
/// `None` before [`crate::init`].
pub fn with_current<R>(look: impl FnOnce(&Task) -> R) -> Option<R> {
    let task = local::current().cast::<Task>();
    // SAFETY: null, or the pointer that the switch to this task stored. The task is
    // alive while it runs, and the caller is what it runs, wherever it is moved.
    unsafe { task.as_ref() }.map(look)
}

/// Resolves a page fault of user code of the current task: `base::trap`'s hook.
pub extern "C" fn user_page_fault(address: u64, error: u64) -> bool {
    let fault = PageFault { address, error };
    fault.may_be_resolved() && page_fault(fault)
}

/// Resolves a page fault on a user address of the current task: `base::trap`'s hook.
#[inline(always)]
pub fn page_fault(fault: PageFault) -> bool {
    let touch = |task: &Task| task.data.get().is_some_and(|data| data.page_fault(fault));
    with_current(touch).unwrap_or(false)
}

/// A task as it was at one moment.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: ArrayString<NAME_BYTES>,
    /// What it was doing.
    pub state: State,
    /// The CPU that it ran on last.
    pub cpu: u32,
    /// How it shares the CPU.
    pub policy: Policy,
    /// The CPUs that it may use.
    pub affinity: CpuSet,
    /// Whether it was the one that ran on its CPU.
    pub is_current: bool,
    /// What it waited for, if blocked.
    pub waits_for: WaitReason,
    /// Nanoseconds on a CPU until its last switch.
    pub cpu_ns: u64,
    /// Whether it is a user program's thread.
    pub is_user: bool,
}

/// How many tasks there are.
pub fn task_count() -> usize {
    ALL.lock().len()
}

/// How many tasks there ever were.
pub fn tasks_made() -> u64 {
    NEXT_ID.load(Ordering::Relaxed)
}

/// The task with a number, if there is one.
pub fn find(id: u64) -> Option<Arc<Task>> {
    let all = ALL.lock();
    let at = all.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    all.get(at)?.1.upgrade()
}

/// All tasks, by number.
pub fn tasks() -> Vec<TaskInfo> {
    let all: Vec<Arc<Task>> = ALL.lock().iter().filter_map(|(_, task)| task.upgrade()).collect();
    let runs = |task: &Task| with_queue_of_task(task, |queue| queue.is_current(task));
    all.iter()
        .map(|task| TaskInfo {
            id: task.id,
            name: task.name(),
            state: task.state(),
            cpu: task.cpu(),
            policy: task.policy(),
            affinity: task.affinity(),
            is_current: runs(task).unwrap_or(false),
            waits_for: task.waits_for.load(),
            cpu_ns: task.cpu_ns.load(Ordering::Relaxed),
            is_user: task.data.get().is_some(),
        })
        .collect()
}
