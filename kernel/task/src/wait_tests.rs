//! Kernel tests of wait queues, sleeping and `Task::kill`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::cpu_set::CpuSet;
use base::preempt::RESCHEDULE;

use super::*;
use crate::task::State;
use crate::test_tools::{PATIENCE_NS, comes};
use crate::{Mutex, is_killed, spawn};

fn is_waiting(task: &Task) -> bool {
    task.state() == State::Blocked && task.wait_link.is_linked()
}

#[base::kernel_test]
fn a_wake_up_while_entering_the_queue_is_not_lost() {
    static QUEUE: WaitQueue = WaitQueue::new("test");
    let task = current().expect("a test is a task");
    assert!(task.set_affinity(CpuSet::one(task.cpu())), "it runs there");
    let waker = spawn("waker", || QUEUE.wake_one()).expect("memory for a task");
    // The waker, which this puts in front, runs at the first moment inside `enter` that
    // allows it.
    task.virtual_time.fetch_add(10_000_000, Ordering::Relaxed);
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
                let options = WaitOptions::until(deadline);
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

/// A waiter gives up, or has what it wanted, just when it is woken; another one waits behind
/// it for the same thing. Whether the other one gets to know.
fn a_wake_up_goes_on(queue: &'static WaitQueue, outcome: Result<(), WaitError>) -> bool {
    static MORE: AtomicBool = AtomicBool::new(false);
    MORE.store(false, Ordering::Relaxed);
    let mut second = None;
    let mut looks = 0;
    let found = queue.wait_with(WaitOptions::until(0), || {
        looks += 1;
        if looks == 1 {
            return None;
        }
        // In the queue, and the second one behind.
        let task = spawn("second", || queue.wait(|| MORE.load(Ordering::Relaxed).then_some(())));
        let task = task.expect("memory for a task");
        let waits = || is_waiting(&task);
        while !waits() {
            core::hint::spin_loop();
        }
        second = Some(task);
        MORE.store(true, Ordering::Relaxed);
        queue.wake_one();
        outcome.ok()
    });
    assert_eq!(found.is_ok(), outcome.is_ok());
    let second = second.expect("it was started");
    let told = second.join_with(WaitOptions::within(PATIENCE_NS)).is_ok();
    queue.wake_all();
    second.join();
    told
}

#[base::kernel_test]
fn a_wake_up_that_finds_a_late_waiter_goes_to_the_next() {
    static QUEUE: WaitQueue = WaitQueue::new("test");
    assert!(a_wake_up_goes_on(&QUEUE, Err(WaitError::TimedOut)));
}

#[base::kernel_test]
fn a_wake_up_that_is_not_needed_goes_to_the_next() {
    static QUEUE: WaitQueue = WaitQueue::new("test");
    assert!(a_wake_up_goes_on(&QUEUE, Ok(())));
}

#[base::kernel_test]
fn a_wake_up_that_finds_an_interrupted_waiter_goes_to_the_next() {
    static QUEUE: WaitQueue = WaitQueue::new("test");
    static MORE: AtomicBool = AtomicBool::new(false);
    MORE.store(false, Ordering::Relaxed);
    let first = spawn("first", || {
        let outcome = QUEUE.wait_with(WaitOptions::INTERRUPTIBLE, || None::<()>);
        assert_eq!(outcome, Err(WaitError::Interrupted));
    })
    .expect("memory for a task");
    assert!(comes(|| is_waiting(&first)));
    let second = spawn("second", || QUEUE.wait(|| MORE.load(Ordering::Relaxed).then_some(())))
        .expect("memory for a task");
    assert!(comes(|| is_waiting(&second)));
    MORE.store(true, Ordering::Relaxed);
    // Both before it can run.
    first.set_pending(SIGNAL);
    QUEUE.wake_one();
    let told = second.join_with(WaitOptions::within(PATIENCE_NS)).is_ok();
    QUEUE.wake_all();
    second.join();
    first.join();
    assert!(told);
}

#[base::kernel_test]
fn a_killed_task_puts_things_in_order_and_ends() {
    let mutex = Arc::new(Mutex::new(0u32));
    let held = mutex.lock();
    let task = {
        let mutex = mutex.clone();
        spawn("killed", move || {
            // A mutex is waited for whatever happens.
            let mut value = mutex.lock();
            *value += 1;
            let mut rounds = 0;
            while sleep_until(WaitOptions { deadline: Some(u64::MAX), interruptible: true }).is_ok()
            {
                rounds += 1;
            }
            assert!(is_killed() && signal_pending() && rounds == 0);
            *value += 1;
        })
        .expect("memory for a task")
    };
    assert!(comes(|| is_waiting(&task)));
    assert_eq!(alloc::format!("{}", task.waits_for.load()), "mutex");
    assert!(!task.is_killed());
    task.kill();
    assert_eq!(task.join_with(WaitOptions::within(20_000_000)), Err(WaitError::TimedOut));
    drop(held);
    task.join_with(WaitOptions::within(PATIENCE_NS)).expect("it was asked to end");
    assert!(task.is_killed());
    assert_eq!(*mutex.lock(), 2, "and the lock is free");
    task.kill(); // too late, and no harm
}
