//! Kernel tests of the scheduler's narrow places: each once went wrong, or nearly did. They
//! also pass on one CPU, where some have nothing to do.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arch::cpu::interrupts;
use arch::irqchip::lapic;
use base::cpu_set::CpuSet;
use base::{irq, preempt, smp, time};

use super::Policy;
use super::queue::with_queue;
use crate::test_tools::{PATIENCE_NS, here, spin_until};
use crate::{State, Task, WaitQueue, current, sleep, spawn, yield_now};

/// Starts a task that may use CPU `cpu` alone.
fn spawn_on(cpu: u32, body: impl FnOnce() + Send + 'static) -> Arc<Task> {
    let me = current().expect("a test is a task");
    let before = me.affinity();
    // A task inherits where it may run.
    me.affinity.store(CpuSet::one(cpu).bits(), Ordering::Relaxed);
    let task = spawn("scheduler test", body).expect("memory for a task");
    me.affinity.store(before.bits(), Ordering::Relaxed);
    task
}

#[base::kernel_test]
fn the_end_of_a_slice_does_not_ring_again_and_again() {
    let me = current().expect("a test is a task");
    let cpu = here();
    assert!(me.set_affinity(CpuSet::one(cpu)));
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::Relaxed);
    let other = spawn_on(cpu, || {
        let _ = spin_until(|| STOP.load(Ordering::Relaxed));
    });
    yield_now();
    let rings = || irq::count_of(lapic::TIMER_VECTOR, cpu);
    // The other one waits; this one's slice ends while the CPU cannot be taken from it.
    let stay = preempt::disable();
    let before = rings();
    let begin = time::now_ns();
    while time::now_ns() - begin < 40_000_000 {
        interrupts::spin_hint();
    }
    let after = rings();
    drop(stay);
    STOP.store(true, Ordering::Relaxed);
    other.join();
    assert!(after - before < 40, "{} interrupts in 40 ms", after - before);
}

#[base::kernel_test]
fn a_task_that_was_real_time_does_not_catch_up_on_the_others() {
    let me = current().expect("a test is a task");
    assert!(me.set_affinity(CpuSet::one(here())));
    // So that the queue's virtual time is not near zero.
    let begin = time::now_ns();
    while time::now_ns() - begin < 20_000_000 {}
    yield_now();
    me.set_policy(Policy::Fifo { priority: 1 });
    me.virtual_time.store(0, Ordering::Relaxed);
    me.set_policy(Policy::NORMAL);
    let behind = with_queue(|queue| {
        queue.virtual_time.saturating_sub(me.virtual_time.load(Ordering::Relaxed))
    });
    assert!(behind <= 1_000_000, "{behind} ns");
}

#[base::kernel_test]
fn a_sleeper_wakes_where_it_may_run() {
    static AWAKE: AtomicU64 = AtomicU64::new(0);
    for (from, to) in smp::online().iter().zip(smp::online().iter().skip(1)) {
        AWAKE.store(u64::MAX, Ordering::Relaxed);
        let sleeper = spawn_on(from, || {
            sleep(50_000_000);
            AWAKE.store(here().into(), Ordering::Relaxed);
        });
        assert!(spin_until(|| sleeper.state() == State::Blocked));
        assert!(sleeper.set_affinity(CpuSet::one(to)));
        sleeper.join();
        assert_eq!(AWAKE.load(Ordering::Relaxed), to.into());
    }
}

#[base::kernel_test]
fn a_task_that_is_woken_while_its_cpu_leaves_it_gets_the_cpu_again() {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    static ANSWERED: AtomicU64 = AtomicU64::new(0);
    static QUEUE: WaitQueue = WaitQueue::new("test");
    static STOP: AtomicBool = AtomicBool::new(false);
    const TURNS: u64 = 20_000;
    let Some(other) = smp::online().iter().find(|&cpu| cpu != here()) else { return };
    assert!(current().expect("a test is a task").set_affinity(CpuSet::one(here())));
    ASKED.store(0, Ordering::Relaxed);
    ANSWERED.store(0, Ordering::Relaxed);
    STOP.store(false, Ordering::Relaxed);
    let sleeper = spawn_on(other, || {
        for turn in 1..=TURNS {
            let is_asked = || ASKED.load(Ordering::Acquire) >= turn;
            QUEUE.wait(|| (is_asked() || STOP.load(Ordering::Acquire)).then_some(()));
            if !is_asked() {
                return;
            }
            ANSWERED.store(turn, Ordering::Release);
        }
    });
    // It never calls the kernel: nothing but an interrupt takes the CPU from it.
    let spinner = spawn_on(other, || {
        while !STOP.load(Ordering::Relaxed) {
            core::hint::spin_loop();
        }
    });
    let mut answered = true;
    // As many as there is time for: on a busy host each can take milliseconds.
    let end = time::now_ns() + 20_000_000_000;
    for turn in (1..=TURNS).take_while(|&turn| turn < 1000 || time::now_ns() < end) {
        // So soon after the answer that the CPU may just be leaving the task.
        let answered_at = time::now_ns();
        while time::now_ns() - answered_at < turn * 37 % 10_000 {}
        ASKED.store(turn, Ordering::Release);
        QUEUE.wake_all();
        let is_answered = || ANSWERED.load(Ordering::Acquire) >= turn;
        answered = (0..200_000).any(|_| {
            interrupts::spin_hint();
            is_answered()
        }) || spin_until(is_answered);
        if !answered {
            break;
        }
    }
    STOP.store(true, Ordering::Release);
    QUEUE.wake_all();
    spinner.join();
    sleeper.join();
    assert!(answered, "it waited for its CPU for ever");
}

#[base::kernel_test]
fn a_task_goes_where_another_one_sends_it() {
    static STOP: AtomicBool = AtomicBool::new(false);
    static WHERE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    STOP.store(false, Ordering::Relaxed);
    // More than CPUs, so that tasks are taken from one to another while they are sent.
    let tasks: Vec<_> = (0..3 * smp::online().len() as usize)
        .map(|number| {
            spawn("scheduler test", move || {
                while !STOP.load(Ordering::Relaxed) {
                    if let Some(place) = WHERE.get(number) {
                        place.store(here().into(), Ordering::Relaxed);
                    }
                    match number % 3 {
                        0 => interrupts::spin_hint(),
                        1 => yield_now(),
                        _ => sleep(10_000),
                    }
                }
            })
            .expect("memory for a task")
        })
        .collect();
    let cpus: Vec<u32> = smp::online().iter().collect();
    let mut lost = None;
    let end = time::now_ns() + 3_000_000_000;
    // As many as there is time for: a busy host makes each take long.
    for round in (0..300).take_while(|&round| round < 30 || time::now_ns() < end) {
        let (number, cpu) = (round % WHERE.len(), cpus[round * 7 / 3 % cpus.len()]);
        assert!(tasks[number].set_affinity(CpuSet::one(cpu)));
        // Twice: what it says first may be what it found before it was sent.
        for _ in 0..2 {
            WHERE[number].store(u64::MAX, Ordering::Relaxed);
            let begin = time::now_ns();
            while lost.is_none() && WHERE[number].load(Ordering::Relaxed) != cpu.into() {
                sleep(20_000);
                if time::now_ns() - begin > PATIENCE_NS / 4 {
                    lost = Some(("did not come", number, cpu, tasks[number].cpu()));
                }
            }
        }
        // From here on it stays.
        WHERE[number].store(u64::MAX, Ordering::Relaxed);
        sleep(50_000);
        let place = WHERE[number].load(Ordering::Relaxed);
        if place != cpu.into() && place != u64::MAX {
            lost = Some(("did not stay", number, cpu, place as u32));
        }
        if lost.is_some() {
            break;
        }
        assert!(tasks[number].set_affinity(CpuSet::ALL));
    }
    STOP.store(true, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    assert_eq!(lost, None, "task, the CPU it was sent to and where it was");
}
