//! [`RunQueue`]: the tasks of one CPU that want to run, its timers, and what blocking
//! and waking do to them.
//!
//! A task's state changes only under the lock of its run queue. A task about to sleep
//! first calls itself blocked, then looks once more whether it must sleep, and then
//! calls the scheduler; a wake-up in between makes it runnable again and is not lost.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use base::preempt::{self, RESCHEDULE};
use base::sync::IrqSpinLock;
use base::time;
use intrusive_collections::{KeyAdapter, LinkedList, RBTree, intrusive_adapter};

use crate::task::{State, Task};
use crate::timer;

/// Nanoseconds that a task runs before another one that waits gets the CPU.
pub(crate) const SLICE_NS: u64 = 10_000_000;

intrusive_adapter!(pub(crate) RunAdapter = Arc<Task>: Task { run_link: intrusive_collections::LinkedListAtomicLink });
intrusive_adapter!(pub(crate) TimerAdapter = Arc<Task>: Task { timer_link: intrusive_collections::RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for TimerAdapter {
    type Key = (u64, u64);
    fn get_key(&self, task: &'a Task) -> (u64, u64) {
        (task.deadline.load(Ordering::Relaxed), task.id)
    }
}

/// What one CPU has to run.
pub(crate) struct RunQueue {
    /// Runnable tasks but the current one, next first.
    pub(crate) ready: LinkedList<RunAdapter>,
    /// Blocked tasks with a deadline.
    pub(crate) timers: RBTree<TimerAdapter>,
    pub(crate) current: Option<Arc<Task>>,
    /// Runs when nothing else can.
    pub(crate) idle: Option<Arc<Task>>,
    /// The task that the last switch left, until the next one is settled.
    pub(crate) left: Option<Arc<Task>>,
    /// When the current task's slice began.
    pub(crate) slice_start: u64,
}

base::percpu! {
    static RUN_QUEUE: IrqSpinLock<Option<RunQueue>> = IrqSpinLock::new("run queue", None);
}

/// Calls `change` with this CPU's run queue, locked and made if need be.
pub(crate) fn with_queue<R>(change: impl FnOnce(&mut RunQueue) -> R) -> R {
    let stay = preempt::disable();
    let mut queue = RUN_QUEUE.get(&stay).lock();
    change(queue.get_or_insert_with(RunQueue::new))
}

impl RunQueue {
    fn new() -> Self {
        Self {
            ready: LinkedList::new(RunAdapter::NEW),
            timers: RBTree::new(TimerAdapter::NEW),
            current: None,
            idle: None,
            left: None,
            slice_start: 0,
        }
    }

    pub(crate) fn is_current(&self, task: &Task) -> bool {
        self.current.as_ref().is_some_and(|current| core::ptr::eq(current.as_ref(), task))
    }

    pub(crate) fn is_idle(&self, task: &Task) -> bool {
        self.idle.as_ref().is_some_and(|idle| core::ptr::eq(idle.as_ref(), task))
    }

    fn add_timer(&mut self, task: &Arc<Task>, deadline: u64) {
        task.deadline.store(deadline, Ordering::Relaxed);
        self.timers.insert(task.clone());
        self.set_alarm();
    }

    fn remove_timer(&mut self, task: &Task) {
        if task.timer_link.is_linked() {
            let key = (task.deadline.load(Ordering::Relaxed), task.id);
            self.timers.find_mut(&key).remove();
        }
    }

    /// Starts the CPU's timer for the next thing that is due: the first deadline, or the
    /// end of the slice if somebody waits for the CPU.
    pub(crate) fn set_alarm(&mut self) {
        let deadline =
            self.timers.front().get().map(|task| task.deadline.load(Ordering::Relaxed));
        let current_is_idle = self.current.as_ref().is_some_and(|current| self.is_idle(current));
        let slice_end =
            (!self.ready.is_empty() && !current_is_idle).then_some(self.slice_start + SLICE_NS);
        let due = match (deadline, slice_end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        timer::set_alarm(due);
    }

    /// Makes a blocked task runnable. True if it had been blocked.
    fn wake(&mut self, task: &Arc<Task>) -> bool {
        if task.state() != State::Blocked {
            return false;
        }
        task.set_state(State::Runnable);
        self.remove_timer(task);
        // A task that was preempted while it called itself blocked is in the queue.
        if !self.is_current(task) && !task.run_link.is_linked() {
            self.ready.push_back(task.clone());
            match &self.current {
                Some(current) if self.is_idle(current) => current.set_pending(RESCHEDULE),
                _ => self.set_alarm(),
            }
        }
        true
    }

    /// The CPU's timer rang: wakes whom it is time for, and ends the slice if it is over.
    pub(crate) fn on_alarm(&mut self) {
        let now = time::now_ns();
        while let Some(task) = self.timers.front().clone_pointer() {
            if task.deadline.load(Ordering::Relaxed) > now {
                break;
            }
            // Whatever state the task is in, so that this ends.
            self.timers.front_mut().remove();
            self.wake(&task);
        }
        if !self.ready.is_empty()
            && now >= self.slice_start + SLICE_NS
            && let Some(current) = &self.current
        {
            current.set_pending(RESCHEDULE);
            // The switch sets the next alarm.
            return;
        }
        self.set_alarm();
    }
}

/// Calls the current task blocked, until woken or until `deadline` (nanoseconds of the
/// clock). It goes on running until it calls the scheduler.
pub(crate) fn block_current(task: &Arc<Task>, deadline: Option<u64>) {
    with_queue(|queue| {
        task.set_state(State::Blocked);
        if let Some(deadline) = deadline {
            queue.add_timer(task, deadline);
        }
    });
}

/// Calls the current task dead, wherever it was on the way to.
pub(crate) fn bury_current(task: &Task) {
    with_queue(|queue| {
        queue.remove_timer(task);
        task.set_state(State::Dead);
    });
}

/// Takes [`block_current`] back.
pub(crate) fn unblock_current(task: &Arc<Task>) {
    with_queue(|queue| {
        task.set_state(State::Runnable);
        queue.remove_timer(task);
    });
}

/// Wakes a task if it is blocked; see [`RunQueue::wake`]. May be called from interrupt
/// handlers.
pub(crate) fn wake(task: &Arc<Task>) -> bool {
    with_queue(|queue| queue.wake(task))
}
