//! [`RunQueue`]: the tasks of one CPU that want to run, its timers, and what blocking
//! does to them.
//!
//! Each CPU has one, under a lock of its own; nobody ever holds two. A task belongs to the
//! queue of the CPU in `Task::cpu`, and its state changes only under that queue's lock (but
//! that a running task calls itself blocked). A task about to sleep first calls itself
//! blocked, then looks once more whether it must sleep, and then calls the scheduler; a
//! wake-up in between makes it runnable again and is not lost.
//!
//! A task stays with its CPU while it is the current one, while the CPU is still switching
//! away from it (`left`), and while it is blocked; a runnable one that waits may be moved
//! (`balance.rs`). While it is moved it is in no queue, and may end up in one whose CPU has
//! meanwhile been forbidden to it: whoever chooses it there sends it on (`switch.rs`).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use arch::cpu::local;
use base::percpu::PerCpu;
use base::preempt::RESCHEDULE;
use base::sync::IrqSpinLock;
use base::{irq, time, watchdog};
use intrusive_collections::{KeyAdapter, RBTree, intrusive_adapter};

use super::load;
use super::policy::{FAIR_CLASS, NICE_0_WEIGHT, Policy, Rank};
use super::times::CpuTimes;
use crate::task::{Sleep, State, Task};
use crate::timer;

/// Nanoseconds that a task runs before another one that waits gets the CPU.
pub const SLICE_NS: u64 = 10_000_000;

/// Nanoseconds of virtual time by which a woken task must be behind the running one to take
/// the CPU at once; also what a sleeper is given in advance.
const WAKE_UP_GRANULARITY_NS: u64 = 1_000_000;

intrusive_adapter!(pub(crate) RunAdapter = Arc<Task>: Task { run_link: intrusive_collections::RBTreeAtomicLink });
intrusive_adapter!(pub(crate) TimerAdapter = Arc<Task>: Task { timer_link: intrusive_collections::RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for RunAdapter {
    type Key = Rank;
    fn get_key(&self, task: &'a Task) -> Rank {
        task.rank()
    }
}

impl<'a> KeyAdapter<'a> for TimerAdapter {
    type Key = (u64, u64);
    fn get_key(&self, task: &'a Task) -> (u64, u64) {
        (task.deadline.load(Ordering::Relaxed), task.id)
    }
}

/// What one CPU has to run.
pub(crate) struct RunQueue {
    pub(crate) cpu: u32,
    /// The CPU's [`LOAD`].
    load: Option<&'static AtomicU32>,
    /// Runnable tasks but the current one, next first.
    pub(crate) ready: RBTree<RunAdapter>,
    /// Blocked tasks with a deadline.
    pub(crate) timers: RBTree<TimerAdapter>,
    pub(crate) current: Option<Arc<Task>>,
    /// Runs when nothing else can.
    pub(crate) idle: Option<Arc<Task>>,
    /// The task that the last switch left, until the next one is settled.
    pub(crate) left: Option<Arc<Task>>,
    /// What the CPU's time went to, and how often it has switched.
    pub(super) times: CpuTimes,
    /// When the current task's time was last accounted.
    pub(crate) accounted: u64,
    /// When the current task's slice began.
    pub(crate) slice_start: u64,
    /// When the timer last said that it is over: it says so again only after another one, for
    /// the task may be unable to go.
    slice_rang: u64,
    /// Virtual time of the queue: never goes back. New tasks begin here.
    pub(crate) virtual_time: u64,
    /// Next turn of real-time tasks.
    next_turn: u64,
    /// When the CPU's timer rings; `u64::MAX` if it has rung. Never later than any timer here,
    /// but perhaps for something that is not due any more: that costs less than setting it
    /// with every switch.
    alarm: u64,
    /// When to look next whether others have more to do.
    pub(crate) next_balance: u64,
}

base::percpu! {
    static RUN_QUEUE: IrqSpinLock<Option<RunQueue>> = IrqSpinLock::new("run queue", None);
    /// Runnable tasks of the CPU, the current one counted unless it is the idle task; read
    /// by others without a lock.
    static LOAD: AtomicU32 = AtomicU32::new(0);
}

/// Calls `change` with this CPU's run queue, locked and made if need be.
#[inline(always)]
pub(crate) fn with_queue<R>(change: impl FnOnce(&mut RunQueue) -> R) -> R {
    let mut queue = IrqSpinLock::lock_here(&RUN_QUEUE);
    change(queue.get_or_insert_with(|| RunQueue::new(local::cpu_number())))
}

/// As [`with_queue`], for the scheduler: that the CPU has come to it is progress.
pub(crate) fn with_queue_in_scheduler<R>(change: impl FnOnce(&mut RunQueue) -> R) -> R {
    let mut queue = IrqSpinLock::lock_here(&RUN_QUEUE);
    watchdog::note_progress(queue.preempt());
    change(queue.get_or_insert_with(|| RunQueue::new(local::cpu_number())))
}

/// Calls `change` with the run queue of CPU `cpu`, locked; `None` for a CPU that has none.
pub(crate) fn with_queue_of<R>(cpu: u32, change: impl FnOnce(&mut RunQueue) -> R) -> Option<R> {
    let mut queue = PerCpu::of(&RUN_QUEUE, cpu)?.lock();
    queue.as_mut().map(change)
}

/// Calls `change` with the run queue that `task` belongs to, locked.
pub(crate) fn with_queue_of_task<R>(
    task: &Task,
    change: impl FnOnce(&mut RunQueue) -> R,
) -> Option<R> {
    loop {
        let cpu = task.cpu.load(Ordering::Acquire);
        let mut queue = PerCpu::of(&RUN_QUEUE, cpu)?.lock();
        // It may have been moved before the lock was ours.
        if task.cpu.load(Ordering::Relaxed) == cpu {
            return queue.as_mut().map(change);
        }
    }
}

/// Runnable tasks of CPU `cpu`, as of a moment ago.
pub(crate) fn load_of(cpu: u32) -> u32 {
    PerCpu::of(&LOAD, cpu).map_or(0, |load| load.load(Ordering::Relaxed))
}

impl RunQueue {
    fn new(cpu: u32) -> Self {
        Self {
            cpu,
            load: PerCpu::of(&LOAD, cpu),
            ready: RBTree::new(RunAdapter::NEW),
            timers: RBTree::new(TimerAdapter::NEW),
            current: None,
            idle: None,
            left: None,
            times: CpuTimes::default(),
            accounted: 0,
            slice_start: 0,
            slice_rang: 0,
            virtual_time: 0,
            next_turn: 0,
            alarm: u64::MAX,
            next_balance: 0,
        }
    }

    pub(crate) fn is_current(&self, task: &Task) -> bool {
        self.current.as_ref().is_some_and(|current| core::ptr::eq(current.as_ref(), task))
    }

    pub(crate) fn is_left(&self, task: &Task) -> bool {
        self.left.as_ref().is_some_and(|left| core::ptr::eq(left.as_ref(), task))
    }

    pub(crate) fn is_idle(&self, task: &Task) -> bool {
        self.idle.as_ref().is_some_and(|idle| core::ptr::eq(idle.as_ref(), task))
    }

    pub(crate) fn runs_idle(&self) -> bool {
        self.current.as_ref().is_some_and(|current| self.is_idle(current))
    }

    /// The policy of the task that runs; that of the idle task is a fair one.
    pub(crate) fn current_policy(&self) -> Option<Policy> {
        self.current.as_ref().map(|current| current.policy())
    }

    /// Notes that `change` tasks became runnable here.
    pub(crate) fn change_load(&self, change: i32) {
        if let Some(load) = self.load {
            load.fetch_add(change as u32, Ordering::Relaxed);
        }
    }

    /// Puts a runnable task among those that wait. It must be in no queue.
    #[inline(always)]
    pub(crate) fn insert(&mut self, task: Arc<Task>) {
        if task.policy().is_real_time() && !task.keeps_turn.swap(false, Ordering::Relaxed) {
            self.next_turn += 1;
            task.turn.store(self.next_turn, Ordering::Relaxed);
        }
        self.ready.insert(task);
    }

    /// Takes a task of this queue out from among those that wait.
    pub(crate) fn remove(&mut self, task: &Task) -> Option<Arc<Task>> {
        if !task.run_link.is_linked() {
            return None;
        }
        let removed = self.ready.find_mut(&task.rank()).remove();
        debug_assert!(removed.is_some(), "task {} is not where its rank says", task.id);
        removed
    }

    /// Gives a task that comes from elsewhere, or has slept, its virtual time here: what it
    /// had, but not long ago, so that it does not keep the CPU for all the time it missed.
    pub(crate) fn settle(&self, task: &Task) {
        let earliest = self.virtual_time.saturating_sub(WAKE_UP_GRANULARITY_NS);
        // It runs nowhere, so nobody else changes it.
        if task.virtual_time.load(Ordering::Relaxed) < earliest {
            task.virtual_time.store(earliest, Ordering::Relaxed);
        }
    }

    /// Called when a task leaves this queue for another one. Virtual times of two CPUs have
    /// nothing to do with each other: on its way it keeps how far ahead it is, and so is no
    /// better or worse off where it arrives.
    pub(crate) fn depart(&self, task: &Task) {
        let ahead = task.virtual_time.load(Ordering::Relaxed).wrapping_sub(self.virtual_time);
        task.virtual_time.store(ahead, Ordering::Relaxed);
    }

    /// Adds a task that has departed from another queue, or from this one; as [`Self::add`].
    pub(crate) fn arrive(&mut self, task: Arc<Task>) -> bool {
        let ahead = task.virtual_time.load(Ordering::Relaxed) as i64;
        let mine = self.virtual_time.saturating_add_signed(ahead);
        task.virtual_time.store(mine, Ordering::Relaxed);
        self.add(task)
    }

    /// Charges the current task for the time since the last look.
    pub(crate) fn account(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.accounted);
        self.accounted = now;
        let Some(current) = &self.current else { return };
        current.cpu_ns.fetch_add(elapsed, Ordering::Relaxed);
        let is_idle = self.is_idle(current);
        self.times.charge(current, is_idle, elapsed);
        if is_idle {
            return;
        }
        let charge = match current.policy() {
            Policy::NORMAL => elapsed,
            policy if policy.is_real_time() => return,
            policy => elapsed * NICE_0_WEIGHT / policy.weight(),
        };
        let mine = current.virtual_time.fetch_add(charge, Ordering::Relaxed) + charge;
        // The queue's time follows the one that is furthest behind.
        let first = self.ready.front().get().filter(|task| !task.policy().is_real_time());
        let first = first.map_or(mine, |task| task.virtual_time.load(Ordering::Relaxed));
        self.virtual_time = self.virtual_time.max(mine.min(first));
    }

    fn add_timer(&mut self, task: &Arc<Task>, deadline: u64) {
        task.deadline.store(deadline, Ordering::Relaxed);
        self.timers.insert(task.clone());
        self.alarm_at(deadline);
    }

    pub(crate) fn remove_timer(&mut self, task: &Task) {
        if task.timer_link.is_linked() {
            let key = (task.deadline.load(Ordering::Relaxed), task.id);
            self.timers.find_mut(&key).remove();
        }
    }

    /// Sees to it that the CPU's timer rings at `due` or before. On this queue's CPU only.
    fn alarm_at(&mut self, due: u64) {
        if due < self.alarm && timer::set(due) {
            self.alarm = due;
        }
    }

    /// Sees to it that the timer rings at the end of the current task's slice, if another
    /// one waits for the CPU. On this queue's CPU only.
    pub(crate) fn alarm_at_slice_end(&mut self) {
        if !self.ready.is_empty() && !self.runs_idle() {
            self.alarm_at(self.slice_start.max(self.slice_rang) + SLICE_NS);
        }
    }

    /// Sets the timer for whatever is due next, at the latest for the watchdog. On this
    /// queue's CPU only, when the timer has rung or was never set.
    pub(crate) fn set_alarm(&mut self) {
        self.alarm = u64::MAX;
        let deadline = self.timers.front().get().map(|task| task.deadline.load(Ordering::Relaxed));
        if let Some(due) = [deadline, watchdog::next_look()].into_iter().flatten().min() {
            self.alarm_at(due);
        }
        self.alarm_at_slice_end();
    }

    /// Whether `task`, which has become runnable, should take the CPU at once.
    pub(crate) fn takes_cpu(&self, task: &Task) -> bool {
        let Some(current) = &self.current else { return false };
        if self.is_idle(current) {
            return true;
        }
        let (new, old) = (task.rank(), current.rank());
        if new.0 != old.0 || new.0 != FAIR_CLASS {
            return new.0 < old.0;
        }
        new.1.saturating_add(WAKE_UP_GRANULARITY_NS) < old.1
    }

    /// Whether the current task, at the end of its slice, must let the first that waits run.
    fn slice_is_over(&self, now: u64) -> bool {
        let (Some(first), Some(current)) = (self.ready.front().get(), &self.current) else {
            return false;
        };
        if now < self.slice_start + SLICE_NS {
            return false;
        }
        match (current.policy(), first.policy().class()) {
            (Policy::Fifo { .. }, class) => class < current.policy().class(),
            (Policy::RoundRobin { .. }, class) => class <= current.policy().class(),
            (Policy::Fair { .. }, FAIR_CLASS) => first.rank().1 <= current.rank().1,
            (Policy::Fair { .. }, _) => true,
        }
    }

    /// The CPU's timer rang: wakes whom it is time for, and ends the slice if it is over.
    /// True if the balance between CPUs should be looked at.
    pub(crate) fn on_alarm(&mut self) -> bool {
        let now = time::now_ns();
        load::note(now);
        if let Some(current) = &self.current {
            current.in_system.store(!irq::interrupted_user(), Ordering::Relaxed);
        }
        while let Some(task) = self.timers.front().clone_pointer() {
            if task.deadline.load(Ordering::Relaxed) > now {
                break;
            }
            // Whatever state the task is in, so that this ends.
            self.timers.front_mut().remove();
            self.wake_here(&task);
        }
        self.account(now);
        if self.slice_is_over(now)
            && let Some(current) = &self.current
        {
            current.set_pending(RESCHEDULE);
            self.slice_rang = now;
        } else if now >= self.slice_start + SLICE_NS {
            // It keeps the CPU: another slice.
            self.slice_start = now;
        }
        self.set_alarm();
        !self.ready.is_empty()
    }

    /// Makes a blocked task of this queue runnable on this CPU. True if it had been blocked.
    pub(crate) fn wake_here(&mut self, task: &Arc<Task>) -> bool {
        if task.state() != State::Blocked {
            return false;
        }
        self.make_runnable(task);
        // A task that was preempted while it called itself blocked is in the queue.
        if !self.is_current(task) && !task.run_link.is_linked() {
            self.add(task.clone());
        }
        true
    }

    /// Ends a task's sleep, without a place in a queue.
    pub(crate) fn make_runnable(&mut self, task: &Task) {
        if task.sleep.load(Ordering::Relaxed) == Sleep::Counted as u8 {
            task.sleep.store(Sleep::Uninterruptible as u8, Ordering::Relaxed);
            load::count_uninterruptible(-1);
        }
        task.set_state(State::Runnable);
        self.remove_timer(task);
    }

    /// Adds a runnable task that is in no queue; true if this CPU should look at its queue.
    #[inline(always)]
    pub(crate) fn add(&mut self, task: Arc<Task>) -> bool {
        self.settle(&task);
        let takes_cpu = self.takes_cpu(&task);
        let was_alone = self.ready.is_empty();
        self.insert(task);
        self.change_load(1);
        if takes_cpu {
            if let Some(current) = &self.current {
                current.set_pending(RESCHEDULE);
            }
            return true;
        }
        if was_alone && self.cpu == local::cpu_number() {
            self.alarm_at_slice_end(); // the current one's slice has an end now
        }
        was_alone
    }
}

/// Calls the current task blocked, until woken or until `deadline` (nanoseconds of the
/// clock). It goes on running until it calls the scheduler.
pub(crate) fn block_current(task: &Arc<Task>, deadline: Option<u64>) {
    let Some(deadline) = deadline else {
        // Without the queue's lock: while the state is another one, nobody else changes it.
        return task.block();
    };
    with_queue(|queue| {
        task.block();
        queue.add_timer(task, deadline);
    });
}

/// Calls the current task dead, wherever it was on the way to.
pub(crate) fn bury_current(task: &Task) {
    with_queue(|queue| {
        queue.remove_timer(task);
        task.set_state(State::Dead);
    });
}

/// Takes [`block_current`] back, if nobody has yet.
#[inline]
pub(crate) fn unblock_current(task: &Task) {
    // A task that called itself blocked could not be sent away.
    let may_stay = task.affinity().contains(task.cpu());
    if task.state() != State::Runnable || task.timer_link.is_linked() || !may_stay {
        with_queue(|queue| {
            queue.make_runnable(task);
            if !may_stay {
                task.set_pending(RESCHEDULE);
            }
        });
    }
}
