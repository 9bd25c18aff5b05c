//! [`Mutex`]: a lock whose waiters sleep. Over `lock_api`, which brings the guard.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::wait::WaitQueue;

/// The lock without its value.
pub struct RawMutex {
    locked: AtomicBool,
    waiters: WaitQueue,
}

// SAFETY: `locked` goes from false to true once until `unlock`, so at most one holds the
// lock; acquire and release order what is done under it.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self { locked: AtomicBool::new(false), waiters: WaitQueue::new("mutex") };

    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        if !self.try_lock() {
            self.waiters.wait(|| self.try_lock().then_some(()));
        }
    }

    fn try_lock(&self) -> bool {
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
        self.waiters.wake_one();
    }
}

/// A lock whose waiters sleep. Not for interrupt handlers, nor under a spin lock.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The right to a [`Mutex`]'s value.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

#[cfg(not(test))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use super::*;
    use crate::{spawn, yield_now};

    #[base::kernel_test]
    fn a_mutex_excludes() {
        let counter = Arc::new(Mutex::new(0u32));
        let tasks: Vec<_> = (0..4)
            .map_while(|_| {
                let counter = counter.clone();
                spawn("count", move || {
                    for _ in 0..100 {
                        let mut guard = counter.lock();
                        let seen = *guard;
                        yield_now(); // others must not get in between
                        *guard = seen + 1;
                    }
                })
                .ok()
            })
            .collect();
        assert_eq!(tasks.len(), 4);
        tasks.iter().for_each(|task| task.join());
        assert_eq!(*counter.lock(), 400);
    }
}
