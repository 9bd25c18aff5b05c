//! [`Semaphore`]: a number of permits; whoever wants one and finds none sleeps.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::wait::{WaitError, WaitOptions, WaitQueue};

/// A number of permits. Not a lock: who takes a permit need not be the one who gives it back,
/// and the lock checker does not look.
#[derive(Debug)]
pub struct Semaphore {
    permits: AtomicUsize,
    waiters: WaitQueue,
}

/// A permit, given back when this is dropped.
#[must_use = "the permit is given back when this is dropped"]
#[derive(Debug)]
pub struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    /// A semaphore with `permits` permits. `name` says what they are for.
    pub const fn new(name: &'static str, permits: usize) -> Self {
        Self { permits: AtomicUsize::new(permits), waiters: WaitQueue::of("semaphore", name) }
    }

    fn take(&self) -> Option<Permit<'_>> {
        let one_less = |permits: usize| permits.checked_sub(1);
        let taken = self.permits.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less);
        taken.is_ok().then(|| Permit(self))
    }

    /// Takes a permit, sleeping until there is one.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn acquire(&self) -> Permit<'_> {
        self.waiters.wait(|| self.take())
    }

    /// Takes a permit, sleeping until there is one or the options end the wait.
    ///
    /// # Errors
    /// As [`WaitError`] says; a permit that is there wins.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn acquire_with(&self, options: WaitOptions) -> Result<Permit<'_>, WaitError> {
        self.waiters.wait_with(options, || self.take())
    }

    /// Takes a permit if there is one, even if others wait. May be called from interrupt
    /// handlers.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take()
    }

    /// Adds a permit. May be called from interrupt handlers.
    pub fn release(&self) {
        self.permits.fetch_add(1, Ordering::Release);
        self.waiters.wake_one();
    }

    /// Permits that are there now.
    pub fn available(&self) -> usize {
        self.permits.load(Ordering::Relaxed)
    }
}

impl Permit<'_> {
    /// Uses the permit up: it does not come back, unless by [`Semaphore::release`].
    pub fn consume(self) {
        core::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(not(test))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::sync::atomic::AtomicU32;

    use super::*;
    use crate::{spawn, yield_now};

    #[base::kernel_test]
    fn no_more_get_in_than_there_are_permits() {
        static INSIDE: AtomicU32 = AtomicU32::new(0);
        static MOST: AtomicU32 = AtomicU32::new(0);
        INSIDE.store(0, Ordering::Relaxed);
        MOST.store(0, Ordering::Relaxed);
        let semaphore = Arc::new(Semaphore::new("test", 3));
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let semaphore = semaphore.clone();
                spawn("semaphore test", move || {
                    for _ in 0..100 {
                        let permit = semaphore.acquire();
                        let inside = INSIDE.fetch_add(1, Ordering::Relaxed) + 1;
                        MOST.fetch_max(inside, Ordering::Relaxed);
                        yield_now();
                        INSIDE.fetch_sub(1, Ordering::Relaxed);
                        drop(permit);
                    }
                })
                .expect("memory for a task")
            })
            .collect();
        tasks.iter().for_each(|task| task.join());
        let most = MOST.load(Ordering::Relaxed);
        assert!(most <= 3, "{most} at a time");
        assert_eq!(semaphore.available(), 3);
    }

    #[base::kernel_test]
    fn permits_run_out_and_come_back() {
        let semaphore = Semaphore::new("test", 2);
        let first = semaphore.acquire();
        let permit = semaphore.try_acquire().expect("one is left");
        assert!(semaphore.try_acquire().is_none());
        let late = semaphore.acquire_with(WaitOptions::within(1_000_000));
        assert_eq!(late.err(), Some(WaitError::TimedOut));
        permit.consume();
        assert_eq!(semaphore.available(), 0);
        drop(first);
        semaphore.release();
        drop(semaphore.acquire_with(WaitOptions::until(0)).expect("what is there wins"));
        assert_eq!(semaphore.available(), 2);
    }

    #[base::kernel_test]
    fn permits_are_neither_lost_nor_made_when_waiters_give_up() {
        static SEMAPHORE: Semaphore = Semaphore::new("test", 0);
        const PERMITS: u32 = 2_000;
        const TASKS: u32 = 6;
        static GOT: AtomicU32 = AtomicU32::new(0);
        GOT.store(0, Ordering::Relaxed);
        let impatient: Vec<_> = (0..TASKS - 1)
            .map(|number| {
                let body = move || {
                    while GOT.load(Ordering::Relaxed) < PERMITS {
                        let ns = 20_000 * (u64::from(number) + 1);
                        if let Ok(permit) = SEMAPHORE.acquire_with(WaitOptions::within(ns)) {
                            permit.consume();
                            GOT.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                };
                spawn("impatient", body).expect("memory for a task")
            })
            .collect();
        let patient = spawn("patient", || {
            while GOT.load(Ordering::Relaxed) < PERMITS {
                SEMAPHORE.acquire().consume();
                GOT.fetch_add(1, Ordering::Relaxed);
            }
        })
        .expect("memory for a task");
        for _ in 0..PERMITS {
            SEMAPHORE.release();
            yield_now();
        }
        impatient.iter().for_each(|task| task.join());
        SEMAPHORE.release(); // for the patient one, if it waits for one more
        patient.join();
        let left = SEMAPHORE.available() as u32;
        assert_eq!(GOT.load(Ordering::Relaxed) + left, PERMITS + 1);
        while let Some(permit) = SEMAPHORE.try_acquire() {
            permit.consume();
        }
    }
}
