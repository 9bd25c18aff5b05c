//! [`RwLock`]: many readers or one writer, and whoever waits sleeps. Over `lock_api`, which
//! brings the guards.
//!
//! Nobody starves: a reader that comes while a writer waits stands behind it, and when a writer
//! leaves, all readers that wait then get in before the next writer. The one who frees the
//! lock gives it to them by name, so that nobody slips in between.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use base::sync::{IrqSpinLock, Tag, sleeping};
use base::time;

use crate::wait::WaitQueue;

/// Bit of the state: a writer has the lock.
const WRITER: u32 = 1 << 31;
/// Bit of the state: somebody waits. Then nobody gets in but who is let in by [`RawRwLock::hand_over`].
const WAITING: u32 = 1 << 30;

/// Those that wait and have not been let in.
struct Waiting {
    readers: u32,
    writers: u32,
}

/// The lock without its value.
pub struct RawRwLock {
    tag: Tag,
    /// The bits above; below them the number of readers that have the lock.
    state: AtomicU32,
    /// Over every change of `WAITING`.
    waiting: IrqSpinLock<Waiting>,
    /// How often the waiting readers have been let in.
    round: AtomicU64,
    /// Writers that have been let in and do not know it yet: at most one.
    admitted: AtomicU32,
    readers: WaitQueue,
    writers: WaitQueue,
}

impl RawRwLock {
    const fn new(name: &'static str) -> Self {
        Self {
            tag: Tag::new(name),
            state: AtomicU32::new(0),
            waiting: IrqSpinLock::new("rwlock waiters", Waiting { readers: 0, writers: 0 }),
            round: AtomicU64::new(0),
            admitted: AtomicU32::new(0),
            readers: WaitQueue::of("rwlock (read)", name),
            writers: WaitQueue::of("rwlock (write)", name),
        }
    }

    /// What the lock checker knows this lock by.
    fn key(&self) -> usize {
        (&raw const self.tag).addr()
    }

    /// Changes the state from one that `free` allows to what it says.
    fn take(&self, free: impl FnMut(u32) -> Option<u32>) -> bool {
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).is_ok()
    }

    fn take_shared(&self) -> bool {
        self.take(|state| (state & (WRITER | WAITING) == 0).then_some(state + 1))
    }

    fn take_exclusive(&self) -> bool {
        self.take(|state| (state == 0).then_some(WRITER))
    }

    /// Takes the lock with `take`, or says that somebody waits: one of both, under `waiting`.
    fn take_or_announce(&self, take: impl Fn() -> bool) -> bool {
        loop {
            if take() {
                return true;
            }
            // Only while somebody has the lock, who then sees it when leaving. If the bit is
            // there already, others wait, and who lets them in must first get `waiting`.
            let announced = self.take(|state| (state != 0).then_some(state | WAITING));
            if announced {
                return false;
            }
        }
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn sleep_shared(&self) {
        let start = time::now_ns();
        let round = {
            let mut waiting = self.waiting.lock();
            if self.take_or_announce(|| self.take_shared()) {
                return;
            }
            waiting.readers += 1;
            self.round.load(Ordering::Relaxed)
        };
        self.readers.wait(|| (self.round.load(Ordering::Acquire) != round).then_some(()));
        sleeping::waited_sleeping(&self.tag, time::now_ns().saturating_sub(start));
    }

    #[cold]
    #[cfg_attr(debug_assertions, track_caller)]
    fn sleep_exclusive(&self) {
        let start = time::now_ns();
        {
            let mut waiting = self.waiting.lock();
            if self.take_or_announce(|| self.take_exclusive()) {
                return;
            }
            waiting.writers += 1;
        }
        let admitted = || {
            let one_less = |count: u32| count.checked_sub(1);
            self.admitted.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less).ok()
        };
        self.writers.wait(admitted);
        sleeping::waited_sleeping(&self.tag, time::now_ns().saturating_sub(start));
    }

    /// Lets those in whose turn it is. Nobody has the lock, and somebody waits, so that nobody
    /// else changes the state.
    #[cold]
    fn hand_over(&self, from_writer: bool) {
        let mut waiting = self.waiting.lock();
        // What earlier readers did comes before what the next writer does.
        fence(Ordering::Acquire);
        let to_readers = waiting.readers > 0 && (from_writer || waiting.writers == 0);
        let (holders, left) = if to_readers {
            (core::mem::take(&mut waiting.readers), waiting.writers)
        } else {
            waiting.writers -= 1;
            (WRITER, waiting.writers + waiting.readers)
        };
        let announced = if left > 0 { WAITING } else { 0 };
        self.state.store(holders | announced, Ordering::Release);
        if to_readers {
            self.round.fetch_add(1, Ordering::Release);
        } else {
            self.admitted.fetch_add(1, Ordering::Release);
        }
        drop(waiting);
        if to_readers {
            self.readers.wake_all();
        } else {
            self.writers.wake_one();
        }
    }
}

// SAFETY: the state says WRITER for one writer at most, and only when it counted no reader;
// it counts readers only while it does not say WRITER: `take_*` and `hand_over` are the only
// ways in. Acquire and release order what is done under the lock.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: Self = Self::new("");

    // The lock checker keeps what a task holds with the task.
    type GuardMarker = lock_api::GuardNoSend;

    #[cfg_attr(debug_assertions, track_caller)]
    fn lock_shared(&self) {
        sleeping::before_sleeping(&self.tag, self.key(), 0);
        if !self.take_shared() {
            self.sleep_shared();
        }
        sleeping::acquired_sleeping(&self.tag, self.key(), 0);
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_lock_shared(&self) -> bool {
        let taken = self.take_shared();
        if taken {
            sleeping::acquired_sleeping(&self.tag, self.key(), 0);
        }
        taken
    }

    unsafe fn unlock_shared(&self) {
        sleeping::released_sleeping(self.key());
        if self.state.fetch_sub(1, Ordering::Release) == WAITING | 1 {
            self.hand_over(false);
        }
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn lock_exclusive(&self) {
        sleeping::before_sleeping(&self.tag, self.key(), 0);
        if !self.take_exclusive() {
            self.sleep_exclusive();
        }
        sleeping::acquired_sleeping(&self.tag, self.key(), 0);
    }

    #[cfg_attr(debug_assertions, track_caller)]
    fn try_lock_exclusive(&self) -> bool {
        let taken = self.take_exclusive();
        if taken {
            sleeping::acquired_sleeping(&self.tag, self.key(), 0);
        }
        taken
    }

    unsafe fn unlock_exclusive(&self) {
        sleeping::released_sleeping(self.key());
        let free = self.state.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed);
        if free.is_err() {
            self.hand_over(true);
        }
    }

    fn is_locked(&self) -> bool {
        self.state.load(Ordering::Relaxed) & !WAITING != 0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.state.load(Ordering::Relaxed) & WRITER != 0
    }
}

/// A free lock of the lock class `name`. One made by [`RwLock::new`] has no class: its order is
/// not checked.
pub const fn named_rwlock<T>(name: &'static str, value: T) -> RwLock<T> {
    RwLock::from_raw(RawRwLock::new(name), value)
}

/// A lock for many readers or one writer, whose waiters sleep. Not for interrupt handlers, nor
/// under a spin lock. A task that reads may not read again before it has done: a writer that
/// waits would stand between both.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// The right to look at an [`RwLock`]'s value.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// The right to an [`RwLock`]'s value.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

#[cfg(not(test))]
mod tests {
    use alloc::sync::Arc;
    use core::sync::atomic::AtomicBool;

    use super::*;
    use crate::test_tools::{PATIENCE_NS, start};
    use crate::{State, Task, sleep, spawn, yield_now};

    fn waits_for(task: &Task, text: &str) -> bool {
        let end = time::now_ns() + PATIENCE_NS;
        while time::now_ns() < end {
            if task.state() == State::Blocked && alloc::format!("{}", task.waits_for.load()) == text
            {
                return true;
            }
            sleep(100_000);
        }
        false
    }

    #[base::kernel_test]
    fn readers_share_and_writers_exclude() {
        const ROUNDS: u64 = 300;
        // Both halves are equal whenever nobody writes.
        let lock = Arc::new(named_rwlock("test rwlock, shared", (0u64, 0u64)));
        let other = lock.clone();
        let tasks = start(9, "rwlock test", move |number| {
            for round in 0..ROUNDS {
                if number < 3 {
                    let mut pair = other.write();
                    pair.0 += 1;
                    if round % 4 == 0 {
                        yield_now();
                    }
                    pair.1 += 1;
                } else {
                    let pair = other.read();
                    let first = pair.0;
                    if round % 3 == 0 {
                        yield_now();
                    }
                    assert_eq!((first, first), *pair, "somebody wrote meanwhile");
                }
            }
        });
        tasks.iter().for_each(|task| task.join());
        assert_eq!(*lock.read(), (3 * ROUNDS, 3 * ROUNDS));
        assert!(!lock.is_locked());
    }

    #[base::kernel_test]
    fn a_reader_stands_behind_a_waiting_writer_and_before_the_next() {
        static ORDER: AtomicU64 = AtomicU64::new(0);
        ORDER.store(0, Ordering::Relaxed);
        let lock = Arc::new(named_rwlock("test rwlock, order", ()));
        let first = lock.read();
        assert!(lock.try_read().is_some(), "readers share");
        assert!(lock.try_write().is_none());
        let task = |body: fn(&RwLock<()>)| {
            let lock = lock.clone();
            spawn("rwlock test", move || body(&lock)).expect("memory for a task")
        };
        let writer = task(|lock| {
            let guard = lock.write();
            ORDER.fetch_add(1, Ordering::Relaxed);
            drop(guard);
        });
        assert!(waits_for(&writer, "rwlock (write) test rwlock, order"));
        assert!(lock.try_read().is_none(), "the writer's turn comes first");
        let second_writer = task(|lock| {
            let guard = lock.write();
            ORDER.fetch_add(10_000, Ordering::Relaxed);
            drop(guard);
        });
        assert!(waits_for(&second_writer, "rwlock (write) test rwlock, order"));
        let readers = [0, 1].map(|_| {
            task(|lock| {
                let guard = lock.read();
                let order = ORDER.fetch_add(100, Ordering::Relaxed);
                assert!(order == 1 || order == 101, "after one writer, not after both: {order}");
                drop(guard);
            })
        });
        for reader in &readers {
            assert!(waits_for(reader, "rwlock (read) test rwlock, order"));
        }
        drop(first);
        for task in [&writer, &second_writer].into_iter().chain(&readers) {
            task.join();
        }
        assert_eq!(ORDER.load(Ordering::Relaxed), 10_201);
    }

    #[base::kernel_test]
    fn writers_do_not_starve() {
        static STOP: AtomicBool = AtomicBool::new(false);
        STOP.store(false, Ordering::Relaxed);
        let lock = Arc::new(named_rwlock("test rwlock, starving", 0u32));
        let other = lock.clone();
        // There is always one of them inside.
        let readers = start(6, "rwlock test", move |_| {
            while !STOP.load(Ordering::Relaxed) {
                let guard = other.read();
                yield_now();
                drop(guard);
            }
        });
        for _ in 0..200 {
            *lock.write() += 1;
        }
        STOP.store(true, Ordering::Relaxed);
        readers.iter().for_each(|task| task.join());
        assert_eq!(*lock.read(), 200);
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "lock order inversion: 'test rwlock a' is wanted")]
    fn an_inversion_of_a_mutex_and_a_rwlock_is_reported() {
        let a = named_rwlock("test rwlock a", ());
        let b = crate::named_mutex("test mutex under rwlock", ());
        let first = a.read();
        drop(b.lock());
        drop(first);
        let _second = b.lock();
        let _first = a.read();
    }

    #[cfg(debug_assertions)]
    #[base::kernel_test(should_panic = "lock 'test rwlock, twice' taken at")]
    fn reading_twice_is_reported() {
        let lock = named_rwlock("test rwlock, twice", ());
        let _first = lock.read();
        let _second = lock.read();
    }
}
