//! Sleeping: [`WaitQueue`], where tasks wait for a condition, and [`sleep`].
//!
//! A waiter looks at its condition itself, before and after every wake-up, so a wake-up
//! too many does no harm, and one between looking and sleeping is not lost.

use alloc::sync::Arc;

use base::preempt::SIGNAL;
use base::sync::{IrqSpinLock, assert_may_sleep};
use base::time;
use intrusive_collections::{LinkedList, intrusive_adapter};

use crate::sched;
use crate::task::{Task, current, with_current};

intrusive_adapter!(WaitAdapter = Arc<Task>: Task { wait_link: intrusive_collections::LinkedListAtomicLink });

/// Why a wait ended without its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The deadline came.
    TimedOut,
    /// The task has a signal to look at.
    Interrupted,
}

/// What may end a wait beside its condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// Nanoseconds of the clock at which to give up.
    pub deadline: Option<u64>,
    /// A signal ends the wait.
    pub interruptible: bool,
}

/// Tasks that wait for the same thing.
pub struct WaitQueue {
    /// What they wait for, in a word or two.
    name: &'static str,
    /// `None` until the first waiter: a list cannot be made in a constant.
    waiters: IrqSpinLock<Option<LinkedList<WaitAdapter>>>,
}

impl core::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "WaitQueue({})", self.name)
    }
}

impl WaitQueue {
    /// A queue with nobody in it. `name` says what is waited for.
    pub const fn new(name: &'static str) -> Self {
        Self { name, waiters: IrqSpinLock::new("wait queue", None) }
    }

    /// Sleeps until `ready` gives a value.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait<T>(&self, ready: impl FnMut() -> Option<T>) -> T {
        loop_until(self.wait_with(WaitOptions::default(), ready))
    }

    /// Sleeps until `ready` gives a value or the options end the wait.
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
        *task.waits_for.lock() = self.name;
        loop {
            self.enter(&task, options.deadline);
            let outcome = if let Some(value) = ready() {
                Some(Ok(value))
            } else if options.interruptible && task.pending() & SIGNAL != 0 {
                Some(Err(WaitError::Interrupted))
            } else if options.deadline.is_some_and(|deadline| time::now_ns() >= deadline) {
                Some(Err(WaitError::TimedOut))
            } else {
                sched::schedule();
                None
            };
            sched::unblock_current(&task);
            self.remove(&task);
            // After a wake-up first without going back into the queue: mostly it is true.
            if let Some(outcome) = outcome.or_else(|| ready().map(Ok)) {
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

    fn remove(&self, task: &Task) {
        // Only the task itself puts itself there, so it stays out once it is.
        if !task.wait_link.is_linked() {
            return;
        }
        let mut waiters = self.waiters.lock();
        let Some(waiters) = waiters.as_mut().filter(|_| task.wait_link.is_linked()) else {
            return;
        };
        let mut cursor = waiters.front_mut();
        while let Some(waiter) = cursor.get() {
            if core::ptr::eq(waiter, task) {
                cursor.remove();
                return;
            }
            cursor.move_next();
        }
    }

    /// Wakes the task that has waited longest. May be called from interrupt handlers.
    pub fn wake_one(&self) {
        let task = self.waiters.lock().as_mut().and_then(LinkedList::pop_front);
        if let Some(task) = task {
            sched::wake(&task);
        }
    }

    /// Wakes all. May be called from interrupt handlers.
    pub fn wake_all(&self) {
        // Under the lock throughout: a woken task may queue again only after.
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
    let _ = sleep_until(WaitOptions { deadline: Some(deadline), interruptible: false });
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

/// Whether the current task has a signal to look at.
pub fn signal_pending() -> bool {
    with_current(|task| task.pending() & SIGNAL != 0).unwrap_or(false)
}

#[cfg(not(test))]
mod tests {
    use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use base::cpu_set::CpuSet;
    use base::preempt::RESCHEDULE;

    use super::*;
    use crate::spawn;
    use crate::task::State;

    #[base::kernel_test]
    fn a_wake_up_while_entering_the_queue_is_not_lost() {
        static QUEUE: WaitQueue = WaitQueue::new("test");
        let task = current().expect("a test is a task");
        assert!(task.set_affinity(CpuSet::one(task.cpu())), "it runs there");
        let waker = spawn("waker", || QUEUE.wake_one()).expect("memory for a task");
        // The waker runs at the first moment inside `enter` that allows it.
        task.set_pending(RESCHEDULE);
        QUEUE.enter(&task, None);
        let will_be_woken = task.state() == State::Runnable || task.wait_link.is_linked();
        sched::unblock_current(&task);
        QUEUE.remove(&task);
        assert!(waker.has_ended(), "the test is about a waker that comes in between");
        assert!(will_be_woken, "blocked, and in no queue");
    }

    #[base::kernel_test(should_panic = "while it waits")]
    fn a_task_that_ends_while_it_waits_has_no_alarm() {
        // A timer of a dead task would keep the CPU in its interrupt for ever.
        static QUEUE: WaitQueue = WaitQueue::new("test");
        let deadline = Some(time::now_ns() + 1_000_000);
        let options = WaitOptions { deadline, interruptible: false };
        let mut looks = 0;
        let _ = QUEUE.wait_with(options, || {
            looks += 1;
            assert!(looks < 2, "while it waits");
            None::<()>
        });
    }

    #[base::kernel_test]
    fn times_of_any_length_are_slept() {
        let start = time::now_ns();
        sleep(0);
        sleep(1);
        sleep(2_000_000);
        assert!(time::now_ns() - start >= 2_000_001);
        static DONE: AtomicBool = AtomicBool::new(false);
        static QUEUE: WaitQueue = WaitQueue::new("test");
        DONE.store(false, Ordering::Relaxed);
        let sleeper = spawn("sleeper", || {
            let options = WaitOptions { deadline: Some(u64::MAX), interruptible: false };
            let done = || DONE.load(Ordering::Relaxed).then_some(());
            QUEUE.wait_with(options, done).expect("there is time enough");
        })
        .expect("memory for a task");
        // The host decides how soon the other task gets there.
        let sleeps = || {
            (0..1000).any(|_| {
                sleep(1_000_000);
                sleeper.state() == State::Blocked
            })
        };
        assert!(sleeps());
        QUEUE.wake_all(); // for nothing: it sleeps again
        assert!(sleeps());
        DONE.store(true, Ordering::Relaxed);
        QUEUE.wake_all();
        sleeper.join();
    }

    #[base::kernel_test(should_panic = "sleeping while atomic")]
    fn even_the_shortest_sleep_is_not_for_the_atomic() {
        let lock = base::sync::SpinLock::new("test", ());
        let _guard = lock.lock();
        sleep(0);
    }

    #[base::kernel_test]
    fn many_sleepers_wake_and_none_too_early() {
        static AWAKE: AtomicU64 = AtomicU64::new(0);
        AWAKE.store(0, Ordering::Relaxed);
        let start = time::now_ns() + 5_000_000;
        let tasks: alloc::vec::Vec<_> = (0..100u64)
            .map(|index| {
                // In a mixed order; the first ten at the same time.
                let place = index * 37 % 100;
                let deadline = start + place.saturating_sub(10) * 200_000;
                spawn("sleeper", move || {
                    let options = WaitOptions { deadline: Some(deadline), interruptible: false };
                    assert_eq!(sleep_until(options), Ok(()));
                    assert!(time::now_ns() >= deadline);
                    AWAKE.fetch_add(1, Ordering::Relaxed);
                })
            })
            .map_while(Result::ok)
            .collect();
        assert_eq!(tasks.len(), 100);
        tasks.iter().for_each(|task| task.join());
        tasks.iter().for_each(|task| task.join()); // ended ones: at once
        assert_eq!(AWAKE.load(Ordering::Relaxed), 100);
    }

    // A sleep that would be over before it begins is reported too: whether it is must not
    // depend on how fast the machine is.
    #[base::kernel_test(should_panic = "sleeping while atomic")]
    fn sleeping_under_a_spin_lock_is_reported() {
        let lock = base::sync::SpinLock::new("sleep test", ());
        let _guard = lock.lock();
        sleep(0);
    }
}
