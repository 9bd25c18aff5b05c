//! The torture test: tasks that use everything that sleeps, at random and for a bounded time,
//! while they are moved, re-ranked and killed. In debug builds with the lock checker on. What
//! is counted must add up at the end, and everything must end.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use base::cpu_set::CpuSet;
use base::time;

use crate::test_tools::PATIENCE_NS;
use crate::{
    ChannelError, Condvar, Mutex, Policy, Receiver, RwLock, Semaphore, Sender, Task, WaitOptions,
    WaitQueue, Work, WorkQueue, channel, current, find, is_killed, named_mutex, named_rwlock,
    sleep, sleep_until, spawn, yield_now,
};

const TASKS: usize = 24;
/// Nanoseconds of torture.
const TIME_NS: u64 = 2_000_000_000;

/// A generator of its own for each task: what each does differs, and is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the tasks share, and what is counted beside it.
struct Things {
    end: u64,
    tasks: [AtomicU64; TASKS],
    counter: Mutex<u64>,
    counted: AtomicU64,
    /// Both halves are equal unless somebody writes.
    pair: RwLock<(u64, u64)>,
    semaphore: Semaphore,
    inside: AtomicU64,
    items: Mutex<u64>,
    added: Condvar,
    made: AtomicU64,
    taken: AtomicU64,
    sender: Sender<u64>,
    receiver: Receiver<u64>,
    sent: AtomicU64,
    received: AtomicU64,
    queue: WaitQueue,
    workers: Arc<WorkQueue>,
    asked: Arc<AtomicU64>,
    seen: Arc<AtomicU64>,
    work: Arc<Work>,
    late_work: Arc<Work>,
}

const PERMITS: u64 = 3;

impl Things {
    fn new() -> Arc<Self> {
        let (sender, receiver) = channel("torture", 5).expect("memory for a channel");
        let workers = WorkQueue::start("torture work", 3).expect("memory for tasks");
        let (asked, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let work = {
            let (asked, seen) = (asked.clone(), seen.clone());
            Work::new("torture", &workers, move |_| {
                seen.fetch_max(asked.load(Ordering::Acquire), Ordering::AcqRel);
            })
        };
        let late_work = {
            let work = work.clone();
            Work::new("torture, late", &workers, move |_| {
                work.queue();
            })
        };
        Arc::new(Self {
            end: time::now_ns() + TIME_NS,
            tasks: [const { AtomicU64::new(0) }; TASKS],
            counter: named_mutex("torture counter", 0),
            counted: AtomicU64::new(0),
            pair: named_rwlock("torture pair", (0, 0)),
            semaphore: Semaphore::new("torture", PERMITS as usize),
            inside: AtomicU64::new(0),
            items: named_mutex("torture items", 0),
            added: Condvar::new("torture"),
            made: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            sender,
            receiver,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            queue: WaitQueue::new("torture"),
            workers,
            asked,
            seen,
            work,
            late_work,
        })
    }

    /// Does one thing. A wait that `options` end is one of those.
    fn step(&self, random: &mut Random, options: WaitOptions) {
        match random.below(15) {
            0 => {
                let _ = sleep_until(options);
            }
            1 => yield_now(),
            2 => self.queue.wake_all(),
            3 => self.queue.wake_one(),
            4 => {
                let mut looks = 0;
                // It ends by a wake-up or by the options.
                let _ = self.queue.wait_with(options, || {
                    looks += 1;
                    (looks > 2).then_some(())
                });
            }
            5 => {
                let mut counter = self.counter.lock();
                let seen = *counter;
                if random.below(2) == 0 {
                    yield_now();
                }
                // A lock in a lock, always in this order.
                let pair = self.pair.read();
                assert_eq!(pair.0, pair.1);
                drop(pair);
                *counter = seen + 1;
                self.counted.fetch_add(1, Ordering::Relaxed);
            }
            6 => {
                let mut pair = self.pair.write();
                pair.0 += 1;
                if random.below(4) == 0 {
                    yield_now();
                }
                pair.1 += 1;
            }
            7 => {
                let pair = self.pair.read();
                let first = pair.0;
                yield_now();
                assert_eq!((first, first), *pair);
            }
            8 => {
                if let Ok(permit) = self.semaphore.acquire_with(options) {
                    assert!(self.inside.fetch_add(1, Ordering::Relaxed) < PERMITS);
                    yield_now();
                    self.inside.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                }
            }
            9 => {
                *self.items.lock() += 1;
                self.made.fetch_add(1, Ordering::Relaxed);
                self.added.notify_one();
            }
            10 => {
                let mut items = self.items.lock();
                if self.added.wait_while(&mut items, options, |items| *items == 0).is_ok() {
                    *items -= 1;
                    self.taken.fetch_add(1, Ordering::Relaxed);
                }
            }
            11 => {
                let value = random.below(1000);
                if self.sender.send_with(options, value).is_ok() {
                    self.sent.fetch_add(value, Ordering::Relaxed);
                }
            }
            12 => match self.receiver.recv_with(options) {
                Ok(value) => {
                    self.received.fetch_add(value, Ordering::Relaxed);
                }
                Err(error) => assert!(matches!(error, ChannelError::Wait(_))),
            },
            13 => {
                let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
                self.work.queue();
                if random.below(4) == 0 {
                    self.work.flush();
                    assert!(self.seen.load(Ordering::Acquire) >= mine);
                }
            }
            _ => {
                self.late_work.queue_after(random.below(200_000));
                if random.below(4) == 0 {
                    self.late_work.cancel();
                }
            }
        }
    }

    /// Moves a task or changes how it shares the CPU.
    fn disturb(&self, task: &Arc<Task>, random: &mut Random) {
        match random.below(5) {
            0 | 1 => {
                let cpus = CpuSet::from_bits(random.below(1 << 31) | 1);
                assert!(task.set_affinity(cpus), "CPU 0 is online");
            }
            2 => assert!(task.set_affinity(CpuSet::ALL)),
            3 => task.set_policy(Policy::Fair { nice: random.below(40) as i8 - 20 }),
            _ if random.below(4) == 0 => task.set_policy(Policy::RoundRobin { priority: 1 }),
            _ => task.set_policy(Policy::NORMAL),
        }
    }

    /// A child that waits without bound, until it is killed.
    fn bear_and_kill(self: &Arc<Self>, random: &mut Random) {
        let things = self.clone();
        let mut its_own = Random(random.below(u64::MAX));
        let child = spawn("torture child", move || {
            while !is_killed() {
                things.step(&mut its_own, WaitOptions::INTERRUPTIBLE);
            }
        });
        let child = child.expect("memory for a task");
        match random.below(3) {
            0 => sleep(random.below(300_000)),
            1 => yield_now(),
            _ => {}
        }
        child.kill();
        child.join_with(WaitOptions::within(PATIENCE_NS)).expect("a killed task ends");
    }

    fn torture(self: &Arc<Self>, number: usize) {
        let mut random = Random(number as u64 * 2_654_435_761 + 1);
        let me = current().expect("a task");
        self.tasks[number].store(me.id(), Ordering::Relaxed);
        while time::now_ns() < self.end {
            match random.below(12) {
                0 => self.disturb(&me, &mut random),
                1 => {
                    let other = random.below(TASKS as u64) as usize;
                    if let Some(other) = find(self.tasks[other].load(Ordering::Relaxed))
                        && other.name().starts_with("torture")
                    {
                        self.disturb(&other, &mut random);
                    }
                }
                2 => self.bear_and_kill(&mut random),
                _ => {
                    let options = WaitOptions::within(random.below(300_000));
                    self.step(&mut random, options);
                }
            }
        }
    }
}

#[base::kernel_test]
fn tasks_that_lock_sleep_wake_move_and_die() {
    let things = Things::new();
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let things = things.clone();
            spawn("torture", move || things.torture(number)).expect("memory for a task")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(*things.counter.lock(), count(&things.counted));
    let pair = *things.pair.read();
    assert_eq!(pair.0, pair.1);
    assert!(!things.pair.is_locked());
    assert_eq!(things.semaphore.available() as u64, PERMITS);
    assert_eq!(*things.items.lock(), count(&things.made) - count(&things.taken));
    let mut left = 0;
    while let Ok(value) = things.receiver.try_recv() {
        left += value;
    }
    assert_eq!(count(&things.sent), count(&things.received) + left);
    things.workers.flush();
    assert_eq!(count(&things.seen), count(&things.asked));
    things.workers.close();
    // It did something.
    for counter in [&things.counted, &things.taken, &things.received, &things.seen] {
        assert!(count(counter) > 10, "{}", count(counter));
    }
}
