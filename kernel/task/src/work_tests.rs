//! Kernel tests of work queues.

use core::sync::atomic::{AtomicBool, AtomicU32};

use base::cpu_set::CpuSet;
use base::sync::discipline::irq_off;

use super::*;
use crate::test_tools::comes;
use crate::{Mutex, Semaphore, sleep, tasks, yield_now};

const HOUR_NS: u64 = 3_600_000_000_000;

#[base::kernel_test]
fn work_is_done_in_order_and_never_queued_twice() {
    let queue = WorkQueue::start("test work", 1).expect("memory for a task");
    let gate = Arc::new(Semaphore::new("gate", 0));
    let order = Arc::new(Mutex::new(Vec::new()));
    let items: Vec<_> = (0..5)
        .map(|number| {
            let (gate, order) = (gate.clone(), order.clone());
            Work::new("number", &queue, move |_| {
                order.lock().push(number);
                if number == 0 {
                    gate.acquire().consume();
                }
            })
        })
        .collect();
    assert!(items[0].queue());
    assert!(comes(|| order.lock().len() == 1), "the worker has begun");
    assert!(!items[0].is_queued(), "it runs");
    for item in [&items[3], &items[1], &items[4], &items[2]] {
        // As an interrupt handler does it.
        let off = irq_off();
        assert!(item.queue());
        assert!(!item.queue(), "it is queued already");
        drop(off);
        assert!(item.is_queued());
    }
    assert!(items[0].queue(), "it runs, and will again");
    assert!(!items[0].queue());
    assert!(items[4].cancel() && !items[4].cancel() && !items[4].is_queued());
    gate.release();
    gate.release();
    queue.flush();
    assert_eq!(*order.lock(), [0, 3, 1, 2, 0]);
    assert!(items.iter().all(|item| !item.is_queued()));
    // Closing does what is left.
    assert!(items[4].queue());
    queue.close();
    assert_eq!(order.lock().last(), Some(&4));
    assert!(!items[1].queue() && !items[1].queue_after(0), "it is closed");
    queue.close();
}

#[base::kernel_test]
fn delayed_work_is_done_at_its_time() {
    let queue = WorkQueue::start("test work", 2).expect("memory for a task");
    let order = Arc::new(Mutex::new(Vec::new()));
    let begin = time::now_ns();
    let work = |ms: u64| {
        let order = order.clone();
        Work::new("late", &queue, move |_| {
            assert!(time::now_ns() - begin >= ms * 1_000_000, "{ms} ms");
            order.lock().push(ms);
        })
    };
    let [late, soon, never, now] = [60, 20, 40, 0].map(work);
    assert!(late.queue_after(60_000_000));
    // Earlier than what the worker sleeps for.
    assert!(soon.queue_after(20_000_000) && !soon.queue_after(1), "it is delayed already");
    assert!(never.queue_after(40_000_000));
    assert!(now.queue_after(3_600_000_000_000));
    queue.flush(); // not for those
    assert!(late.is_queued() && never.cancel() && !never.is_queued());
    assert!(now.queue(), "without delay after all");
    now.flush();
    assert_eq!(order.lock().first(), Some(&0));
    assert!(comes(|| order.lock().len() == 3));
    assert_eq!(*order.lock(), [0, 20, 60]);
    assert!(never.queue_after(3_600_000_000_000));
    queue.close(); // not in an hour
    assert!(!never.is_queued());
}

#[base::kernel_test]
fn a_worker_that_sleeps_for_long_gets_up_for_what_is_due_before() {
    let queue = WorkQueue::start("test work", 1).expect("memory for a task");
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Ordering::Relaxed);
    let late = Work::new("late", &queue, |_| panic!("an hour has not passed"));
    let soon = Work::new("soon", &queue, |_| DONE.store(true, Ordering::Relaxed));
    // Nothing else may wake the worker meanwhile.
    assert!(late.queue_after(HOUR_NS));
    sleep(2_000_000);
    assert!(soon.queue_after(5_000_000));
    assert!(comes(|| DONE.load(Ordering::Relaxed)));
    queue.close();
}

#[base::kernel_test]
fn delayed_work_does_not_wait_for_a_worker_that_is_busy() {
    let queue = WorkQueue::start("test work", 2).expect("memory for a task");
    let gate = Arc::new(Semaphore::new("gate", 0));
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Ordering::Relaxed);
    let busy = {
        let gate = gate.clone();
        Work::new("busy", &queue, move |_| gate.acquire().consume())
    };
    let late = Work::new("late", &queue, |_| DONE.store(true, Ordering::Relaxed));
    sleep(2_000_000); // both workers sleep
    // Whoever watches the time for both gets the first to do.
    assert!(busy.queue_after(5_000_000));
    assert!(late.queue_after(20_000_000));
    let done = comes(|| DONE.load(Ordering::Relaxed));
    gate.release();
    queue.close();
    assert!(done);
}

#[base::kernel_test]
fn work_is_delayed_once_more_while_it_runs() {
    let queue = WorkQueue::start("test work", 2).expect("memory for a task");
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static LAST: AtomicU64 = AtomicU64::new(0);
    RUNS.store(0, Ordering::Relaxed);
    let work = Work::new("again", &queue, |work| {
        let now = base::time::now_ns();
        let before = LAST.swap(now, Ordering::Relaxed);
        if RUNS.fetch_add(1, Ordering::Relaxed) < 3 {
            assert!(work.queue_after(5_000_000) && work.is_queued());
            assert!(!work.queue_after(5_000_000), "it is delayed already");
        }
        assert!(before == 0 || now - before >= 5_000_000, "it is too early");
    });
    LAST.store(0, Ordering::Relaxed);
    assert!(work.queue());
    assert!(comes(|| RUNS.load(Ordering::Relaxed) == 4));
    work.flush();
    assert!(!work.is_queued());
    // Taken back while it runs, and given up with the queue.
    let back = Work::new("back", &queue, |work| assert!(work.queue_after(1) && work.cancel()));
    assert!(back.queue());
    back.flush();
    assert!(!back.is_queued() && !back.cancel());
    let late = Work::new("late", &queue, |work| assert!(work.queue_after(HOUR_NS)));
    assert!(late.queue());
    late.flush();
    assert!(late.is_queued());
    queue.close();
    assert!(!late.is_queued());
}

#[base::kernel_test]
fn work_that_is_queued_from_everywhere_is_not_lost() {
    const TASKS: usize = 4;
    const ROUNDS: u32 = 300;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static SEEN: AtomicU32 = AtomicU32::new(0);
    static AT_ONCE: AtomicU32 = AtomicU32::new(0);
    for counter in [&ASKED, &SEEN, &AT_ONCE] {
        counter.store(0, Ordering::Relaxed);
    }
    let queue = WorkQueue::start("test work", 3).expect("memory for a task");
    let work = Work::new("counted", &queue, |_| {
        assert_eq!(AT_ONCE.fetch_add(1, Ordering::Acquire), 0, "it runs twice at a time");
        SEEN.store(ASKED.load(Ordering::Acquire), Ordering::Release);
        yield_now();
        AT_ONCE.fetch_sub(1, Ordering::Release);
    });
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let work = work.clone();
            let body = move || {
                for round in 0..ROUNDS {
                    let mine = ASKED.fetch_add(1, Ordering::AcqRel) + 1;
                    if number == 1 {
                        work.queue_after(30_000); // cut short below
                    }
                    let off = (round % 2 == 0).then(irq_off);
                    work.queue();
                    drop(off);
                    if round % 3 == 0 {
                        continue;
                    }
                    work.flush();
                    // A run that began after `queue` is over.
                    let seen = SEEN.load(Ordering::Acquire);
                    assert!(seen >= mine, "{seen} of {mine}");
                }
            };
            spawn("asks", body).expect("memory for a task")
        })
        .collect();
    tasks.iter().for_each(|task| task.join());
    queue.flush();
    assert_eq!(SEEN.load(Ordering::Relaxed), ASKED.load(Ordering::Relaxed));
    queue.close();
}

#[base::kernel_test]
fn the_systems_queue_works_on_any_cpu() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    RUNS.store(0, Ordering::Relaxed);
    let work = Work::new("test", WorkQueue::system(), |work| {
        // It asks for itself twice more.
        if RUNS.fetch_add(1, Ordering::Relaxed) < 2 {
            work.queue();
        }
    });
    assert!(work.queue());
    assert!(comes(|| RUNS.load(Ordering::Relaxed) == 3));
    work.flush();
    let workers: Vec<_> =
        tasks().into_iter().filter(|task| task.name.starts_with("system work/")).collect();
    assert_eq!(workers.len(), SYSTEM_WORKERS.min(smp::online().len() as usize));
    for worker in workers {
        let task = crate::find(worker.id).expect("it never ends");
        assert_eq!(task.affinity(), CpuSet::ALL);
        assert!(comes(|| alloc::format!("{}", task.waits_for.load()) == "system work"));
    }
}
