//! [`Mutex`]: a lock whose waiters sleep. Over `lock_api`, which brings the guard.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use base::sync::held::Hold;
use base::sync::{Tag, sleeping};
use base::time;

use crate::wait::WaitQueue;

/// The lock without its value.
pub struct RawMutex {
    tag: Tag,
    locked: AtomicBool,
    waiters: WaitQueue,
}

impl RawMutex {
    const fn new(name: &'static str) -> Self {
        Self {
            tag: Tag::new(name),
            locked: AtomicBool::new(false),
            waiters: WaitQueue::of("mutex", name),
        }
    }

    /// What the lock checker knows this mutex by.
    fn key(&self) -> usize {
        (&raw const self.tag).addr()
    }

    fn take(&self) -> bool {
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn lock_at(&self, level: u16) {
        sleeping::before_sleeping(&self.tag, self.key(), level);
        if !self.take() {
            self.sleep();
        }
        sleeping::acquired_sleeping(&self.tag, self.key(), level);
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn sleep(&self) {
        let start = time::now_ns();
        self.waiters.wait(|| self.take().then_some(()));
        sleeping::waited_sleeping(&self.tag, time::now_ns().saturating_sub(start));
    }
}

// SAFETY: `locked` goes from false to true once until `unlock`, so at most one holds the
// lock; acquire and release order what is done under it.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self::new("");

    // The lock checker keeps what a task holds with the task.
    type GuardMarker = lock_api::GuardNoSend;

    #[cfg_attr(debug_assertions, track_caller)]
    fn lock(&self) {
        self.lock_at(0);
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_lock(&self) -> bool {
        let taken = self.take();
        if taken {
            sleeping::acquired_sleeping(&self.tag, self.key(), 0);
        }
        taken
    }

    unsafe fn unlock(&self) {
        sleeping::released_sleeping(self.key());
        self.locked.store(false, Ordering::Release);
        self.waiters.wake_one();
    }
}

/// A free mutex of the lock class `name`. One made by [`Mutex::new`] has no class: its order
/// is not checked.
pub const fn named_mutex<T>(name: &'static str, value: T) -> Mutex<T> {
    Mutex::from_raw(RawMutex::new(name), value)
}

/// Locks one of several mutexes of one class that are taken in a certain order: each with a higher
/// `level` than those before, which is for the lock checker alone.
#[cfg_attr(debug_assertions, track_caller)]
pub fn lock_nested<T>(mutex: &Mutex<T>, level: u16) -> MutexGuard<'_, T> {
    // SAFETY: the raw mutex is locked and left so: the guard that is made of it below unlocks it.
    unsafe { mutex.raw() }.lock_at(level);
    // SAFETY: it was locked just now, and no other guard was made of that.
    unsafe { mutex.make_guard_unchecked() }
}

/// The mutexes that tasks hold, with the tasks' numbers, as far as it can be seen: they
/// run on meanwhile. Nothing in release builds.
pub fn held_mutexes() -> Vec<(u64, Hold)> {
    let all = crate::tasks();
    let tasks: Vec<_> = all.iter().filter_map(|info| crate::find(info.id)).collect();
    tasks.iter().flat_map(|task| task.held_locks.iter().map(|hold| (task.id(), hold))).collect()
}

/// A lock whose waiters sleep. Not for interrupt handlers, nor under a spin lock.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The right to a [`Mutex`]'s value.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

#[cfg(not(test))]
mod tests {
    use alloc::sync::Arc;

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

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "lock order inversion: 'test mutex a' is wanted")]
    fn an_inversion_of_mutexes_is_reported() {
        let a = named_mutex("test mutex a", ());
        let b = named_mutex("test mutex b", ());
        let first = a.lock();
        drop(b.lock());
        drop(first);
        let _second = b.lock();
        let _first = a.lock();
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "lock 'test mutex, twice' taken at")]
    fn taking_a_mutex_twice_is_reported() {
        let mutex = named_mutex("test mutex, twice", ());
        let _first = mutex.lock();
        let _second = mutex.lock();
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "spin lock 'test atomic' taken at kernel/task/src/mutex.rs")]
    fn a_mutex_under_a_spin_lock_is_reported_even_if_it_is_free() {
        let lock = base::sync::SpinLock::new("test atomic", ());
        let mutex = Mutex::new(());
        let _atomic = lock.lock();
        let _sleeping = mutex.lock();
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "preemption turned off at kernel/task/src/mutex.rs")]
    fn sleeping_with_preemption_off_is_reported() {
        let _stay = base::preempt::disable();
        crate::sleep(1);
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "interrupts turned off at kernel/task/src/mutex.rs")]
    fn sleeping_with_interrupts_off_is_reported() {
        let _off = base::sync::discipline::irq_off();
        crate::sleep(1);
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test]
    fn the_longest_hold_of_a_mutex_is_known() {
        const NS: u64 = 2_000_000;
        let mutex = named_mutex("test mutex, held", ());
        let guard = mutex.lock();
        crate::sleep(NS);
        drop(guard);
        drop(mutex.lock());
        let mut all = base::sync::statistics::all();
        let class = all.find(|class| class.name == "test mutex, held").expect("it was taken");
        assert!(class.hold_longest_ns >= NS, "{}", class.hold_longest_ns);
        assert_eq!(class.hold_place.map(|place| place.file()), Some(file!()));
    }

    #[base::kernel_test]
    fn waiting_for_a_mutex_is_counted() {
        let mutex = Arc::new(named_mutex("test mutex, counted", ()));
        let contended = || {
            let mut all = base::sync::statistics::all();
            all.find(|class| class.name == "test mutex, counted").map_or(0, |class| class.contended)
        };
        let before = contended();
        let guard = mutex.lock();
        let other = mutex.clone();
        let task = spawn("wait", move || drop(other.lock())).expect("there is memory");
        let waits = || task.state() == crate::State::Blocked;
        for _ in 0..1000 {
            if waits() {
                break;
            }
            crate::sleep(1_000_000);
        }
        assert!(waits());
        drop(guard);
        task.join();
        assert_eq!(contended(), before + 1);
    }
}
