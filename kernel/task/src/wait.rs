//! Sleeping: [`WaitQueue`], where tasks wait for a condition, and [`sleep`].
//!
//! A waiter looks at its condition itself, before and after every wake-up, so a wake-up
//! too many does no harm, and one between looking and sleeping is not lost. A wake-up that
//! reaches a waiter which is just giving up goes on to the next one.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{Ordering, fence};

use base::preempt::SIGNAL;
use base::sync::{IrqSpinLock, assert_may_sleep};
use base::time;
use intrusive_collections::{LinkedList, intrusive_adapter};

use crate::reason::WaitReason;
use crate::sched;
use crate::task::{Sleep, Task, current, with_current};

intrusive_adapter!(WaitAdapter = Arc<Task>: Task { wait_link: intrusive_collections::LinkedListAtomicLink });

/// Why a wait ended without its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The deadline came.
    TimedOut,
    /// The task has a signal to look at, or was asked to end ([`Task::kill`]).
    Interrupted,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed out",
            Self::Interrupted => "interrupted",
        })
    }
}

/// What may end a wait beside its condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// Nanoseconds of the clock at which to give up.
    pub deadline: Option<u64>,
    /// A signal ends the wait, and so does [`Task::kill`].
    pub interruptible: bool,
}

impl WaitOptions {
    /// Nothing but the condition ends the wait.
    pub const FOREVER: Self = Self { deadline: None, interruptible: false };
    /// A signal or [`Task::kill`] ends the wait.
    pub const INTERRUPTIBLE: Self = Self { deadline: None, interruptible: true };

    /// Until a time: nanoseconds of the clock.
    pub const fn until(deadline: u64) -> Self {
        Self { deadline: Some(deadline), interruptible: false }
    }

    /// For this many nanoseconds from now on.
    pub fn within(ns: u64) -> Self {
        Self::until(time::now_ns().saturating_add(ns))
    }

    /// Why `task` is to give up now, if it is.
    fn ended(&self, task: &Task) -> Option<WaitError> {
        if self.interruptible && task.pending() & SIGNAL != 0 {
            return Some(WaitError::Interrupted);
        }
        let is_late = |deadline| time::now_ns() >= deadline;
        self.deadline.is_some_and(is_late).then_some(WaitError::TimedOut)
    }
}

/// Tasks that wait for the same thing.
pub struct WaitQueue {
    reason: WaitReason,
    /// `None` until the first waiter: a list cannot be made in a constant.
    waiters: IrqSpinLock<Option<LinkedList<WaitAdapter>>>,
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitQueue({})", self.reason)
    }
}

impl WaitQueue {
    /// A queue with nobody in it. `name` says what is waited for.
    pub const fn new(name: &'static str) -> Self {
        Self::of("", name)
    }

    /// A queue with nobody in it, of the thing `name` of some kind.
    pub(crate) const fn of(kind: &'static str, name: &'static str) -> Self {
        Self { reason: WaitReason { kind, name }, waiters: IrqSpinLock::new("wait queue", None) }
    }

    /// Sleeps until `ready` gives a value; see [`WaitQueue::wait_with`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait<T>(&self, ready: impl FnMut() -> Option<T>) -> T {
        loop_until(self.wait_with(WaitOptions::default(), ready))
    }

    /// Sleeps until `ready` gives a value or the options end the wait. `ready` is called any
    /// number of times, and must not sleep: the task is about to do that here.
    ///
    /// # Errors
    /// As [`WaitError`] says; a condition that holds wins.
    ///
    /// # Panics
    /// If the caller is atomic (holds a spin lock); in debug builds even if the condition
    /// holds already.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_with<T>(
        &self,
        options: WaitOptions,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        assert_may_sleep();
        if let Some(value) = ready() {
            return Ok(value);
        }
        // Before there are tasks nothing else can make the condition true.
        let task = current().ok_or(WaitError::Interrupted)?;
        // Also if the deadline turns out to be past.
        sched::might_sleep();
        task.waits_for.store(self.reason);
        let how = if options.interruptible { Sleep::Interruptible } else { Sleep::Uninterruptible };
        // A task that is awake is not counted.
        task.sleep.store(how as u8, Ordering::Relaxed);
        let mut look = || match ready() {
            Some(value) => Some(Ok(value)),
            None => options.ended(&task).map(Err),
        };
        loop {
            self.enter(&task, options.deadline);
            let outcome = look();
            if let Some(outcome) = outcome {
                sched::unblock_current(&task);
                if !self.remove(&task) {
                    // Somebody has woken this task, which needs that no more, or not at all.
                    self.wake_one();
                }
                return outcome;
            }
            sched::schedule();
            sched::unblock_current(&task); // it has slept, unless it is the idle task
            let was_woken = !self.remove(&task);
            let outcome = look();
            if let Some(outcome) = outcome {
                if was_woken && outcome.is_err() {
                    self.wake_one();
                }
                return outcome;
            }
        }
    }

    /// Calls the current task blocked, then puts it into the queue. Not the other way round:
    /// preempted in between, it could be taken out of the queue by a [`WaitQueue::wake_one`]
    /// that finds nobody to wake, and then sleep with nobody to know of it.
    fn enter(&self, task: &Arc<Task>, deadline: Option<u64>) {
        sched::block_current(task, deadline);
        self.waiters
            .lock()
            .get_or_insert_with(|| LinkedList::new(WaitAdapter::NEW))
            .push_back(task.clone());
    }

    /// Takes the current task out of the queue; whether it was in it.
    ///
    /// If it is in it no more, not before the lock was free: whoever has woken it has the queue's
    /// reference to the task in hand until then. Were the task faster than that, and ended, its end
    /// would be there: in an interrupt handler, perhaps.
    fn remove(&self, task: &Task) -> bool {
        if !task.wait_link.is_linked() {
            // It was taken out under the lock, which is seen as taken from then on until it is free.
            // Only the task itself gets into a queue, so that it stays out.
            fence(Ordering::Acquire);
            if !self.waiters.is_locked() {
                return false;
            }
        }
        let mut waiters = self.waiters.lock();
        let Some(waiters) = waiters.as_mut().filter(|_| task.wait_link.is_linked()) else {
            return false;
        };
        let mut cursor = waiters.front_mut();
        while let Some(waiter) = cursor.get() {
            if core::ptr::eq(waiter, task) {
                cursor.remove();
                return true;
            }
            cursor.move_next();
        }
        false
    }

    /// Wakes the task that has waited longest. May be called from interrupt handlers.
    pub fn wake_one(&self) {
        // Under the lock, for which the woken task waits ([`WaitQueue::remove`]): the reference is
        // not the last.
        let mut waiters = self.waiters.lock();
        if let Some(task) = waiters.as_mut().and_then(LinkedList::pop_front) {
            sched::wake(&task);
        }
    }

    /// Wakes all. May be called from interrupt handlers.
    pub fn wake_all(&self) {
        // Under the lock throughout: a woken task may queue again, or end, only after.
        let mut waiters = self.waiters.lock();
        while let Some(task) = waiters.as_mut().and_then(LinkedList::pop_front) {
            sched::wake(&task);
        }
    }
}

/// A wait that nothing but its condition ends.
fn loop_until<T>(outcome: Result<T, WaitError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("a wait without a bound ended: {error:?}"),
    }
}

/// Sleeps for `ns` nanoseconds.
#[cfg_attr(debug_assertions, track_caller)]
pub fn sleep(ns: u64) {
    let deadline = time::now_ns().saturating_add(ns);
    // Not interruptible: it can only time out.
    let _ = sleep_until(WaitOptions::until(deadline));
}

/// Sleeps until the options end it.
///
/// # Errors
/// `Interrupted`; the deadline is success.
#[cfg_attr(debug_assertions, track_caller)]
pub fn sleep_until(options: WaitOptions) -> Result<(), WaitError> {
    let queue = WaitQueue::new("time");
    match queue.wait_with(options, || None::<()>) {
        Ok(()) | Err(WaitError::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the current task has a signal to look at, or was asked to end.
pub fn signal_pending() -> bool {
    with_current(|task| task.pending() & SIGNAL != 0).unwrap_or(false)
}

#[cfg(not(test))]
#[path = "wait_tests.rs"]
mod tests;
