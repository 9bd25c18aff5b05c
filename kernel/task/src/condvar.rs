//! [`Condvar`]: where tasks that hold a [`Mutex`](crate::Mutex) wait for others to change what
//! it protects.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::mutex::MutexGuard;
use crate::wait::{WaitError, WaitOptions, WaitQueue};

/// A condition of a value under a mutex. A wait may end without a notification, so it stands in
/// a loop that looks at the condition, or is [`Condvar::wait_while`].
#[derive(Debug)]
pub struct Condvar {
    /// Counts notifications: a task that has freed the mutex and is not in the queue yet finds
    /// that it has changed.
    notified: AtomicU64,
    waiters: WaitQueue,
}

impl Condvar {
    /// A condition that nobody waits for. `name` says what it is.
    pub const fn new(name: &'static str) -> Self {
        Self { notified: AtomicU64::new(0), waiters: WaitQueue::of("condition", name) }
    }

    /// Frees the mutex, sleeps until a notification that comes after that, or the options' end,
    /// and takes the mutex again.
    ///
    /// # Errors
    /// As [`WaitError`] says; the mutex is taken then too.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_with<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        options: WaitOptions,
    ) -> Result<(), WaitError> {
        // Under the mutex: who changes the value after us also notifies after this.
        let before = self.notified.load(Ordering::Acquire);
        MutexGuard::unlocked(guard, || {
            let is_new = || (self.notified.load(Ordering::Acquire) != before).then_some(());
            self.waiters.wait_with(options, is_new)
        })
    }

    /// As [`Condvar::wait_with`], until a notification.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        // Nothing else ends it, and the caller looks anyway.
        let _ = self.wait_with(guard, WaitOptions::FOREVER);
    }

    /// As [`Condvar::wait_with`], until a notification or a time (nanoseconds of the clock).
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: u64,
    ) -> Result<(), WaitError> {
        self.wait_with(guard, WaitOptions::until(deadline))
    }

    /// Waits as long as `condition` holds and the options allow.
    ///
    /// # Errors
    /// As [`WaitError`] says, if the condition still holds.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn wait_while<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        options: WaitOptions,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), WaitError> {
        let mut outcome = Ok(());
        while condition(guard) {
            outcome?;
            outcome = self.wait_with(guard, options);
        }
        Ok(())
    }

    /// Wakes one task that waits, if there is one. May be called from interrupt handlers.
    pub fn notify_one(&self) {
        self.notified.fetch_add(1, Ordering::Release);
        self.waiters.wake_one();
    }

    /// Wakes all tasks that wait. May be called from interrupt handlers.
    pub fn notify_all(&self) {
        self.notified.fetch_add(1, Ordering::Release);
        self.waiters.wake_all();
    }
}

#[cfg(not(test))]
mod tests {
    use base::time;

    use super::*;
    use crate::test_tools::start;
    use crate::{Mutex, named_mutex};

    #[base::kernel_test]
    fn no_notification_is_lost_between_unlocking_and_sleeping() {
        // Each takes its turn; a notification that is lost stops all.
        static TURN: Mutex<usize> = named_mutex("test condvar turn", 0);
        static CHANGED: Condvar = Condvar::new("turn");
        const TASKS: usize = 4;
        const ROUNDS: usize = 400;
        *TURN.lock() = 0;
        let tasks = start(TASKS, "condvar test", |number| {
            for round in 0..ROUNDS {
                let mut turn = TURN.lock();
                while *turn != round * TASKS + number {
                    CHANGED.wait(&mut turn);
                }
                *turn += 1;
                drop(turn);
                CHANGED.notify_all();
            }
        });
        tasks.iter().for_each(|task| task.join());
        assert_eq!(*TURN.lock(), TASKS * ROUNDS);
    }

    #[base::kernel_test]
    fn one_notification_for_each_item_is_enough() {
        static ITEMS: Mutex<usize> = named_mutex("test condvar items", 0);
        static ADDED: Condvar = Condvar::new("items");
        const TASKS: usize = 4;
        const EACH: usize = 300;
        *ITEMS.lock() = 0;
        let tasks = start(TASKS, "condvar test", |number| {
            for _ in 0..EACH {
                let mut items = ITEMS.lock();
                // Some of them give up at any moment, and a notification with them.
                while *items == 0 {
                    let ns = 50_000;
                    let _ = if number == 0 {
                        ADDED.wait_while(&mut items, WaitOptions::within(ns), |items| *items == 0)
                    } else {
                        ADDED.wait_with(&mut items, WaitOptions::FOREVER)
                    };
                }
                *items -= 1;
            }
        });
        for _ in 0..TASKS * EACH {
            *ITEMS.lock() += 1;
            ADDED.notify_one();
        }
        tasks.iter().for_each(|task| task.join());
        assert_eq!(*ITEMS.lock(), 0);
    }

    #[base::kernel_test]
    fn a_wait_ends_at_its_time_with_the_mutex() {
        let mutex = named_mutex("test condvar late", 0);
        let condition = Condvar::new("never");
        let mut guard = mutex.lock();
        let deadline = time::now_ns() + 2_000_000;
        while condition.wait_until(&mut guard, deadline).is_ok() {}
        assert!(time::now_ns() >= deadline);
        assert!(mutex.try_lock().is_none(), "the mutex is taken again");
        let holds = |_: &mut i32| true;
        let outcome = condition.wait_while(&mut guard, WaitOptions::within(1_000_000), holds);
        assert_eq!(outcome, Err(WaitError::TimedOut));
        let outcome = condition.wait_while(&mut guard, WaitOptions::until(0), |_| false);
        assert_eq!(outcome, Ok(()));
    }
}
