//! Kernel tests of tasks on several CPUs. They also pass on one.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch::cpu::control::{self, Cr0, Cr4};
use arch::cpu::{features, interrupts};
use base::cpu_set::{AtomicCpuSet, CpuSet};
use base::{smp, time};
use memory::frames;
use memory::kernel_space::{KernelStack, stack};

use crate::sched::queue::{load_of, with_queue_of};
use crate::test_tools::{here, start};
use crate::{Policy, WaitQueue, current, sleep, tasks, yield_now};

/// Spins for some time of the clock, with preemption and interrupts on.
fn spin(ns: u64) {
    let begin = time::now_ns();
    while time::now_ns() - begin < ns {
        interrupts::spin_hint();
    }
}

#[base::kernel_test]
fn tasks_run_on_every_cpu() {
    static SEEN: AtomicCpuSet = AtomicCpuSet::new();
    SEEN.store(CpuSet::EMPTY);
    let cpus = smp::online();
    let end = time::now_ns() + 5_000_000_000;
    // Until all have been seen: with more tasks than CPUs, and time to move them.
    while SEEN.load() != cpus && time::now_ns() < end {
        let tasks = start(2 * cpus.len() as usize, "smp test", |_| {
            spin(5_000_000);
            SEEN.insert(here());
        });
        tasks.iter().for_each(|task| task.join());
    }
    assert_eq!(SEEN.load(), cpus);
}

#[base::kernel_test]
fn a_task_stays_where_it_is_confined() {
    let me = current().expect("a test is a task");
    for cpu in smp::online().iter() {
        assert!(me.set_affinity(CpuSet::one(cpu)));
        for _ in 0..20 {
            yield_now();
            assert_eq!(here(), cpu);
            sleep(100_000);
            assert_eq!(here(), cpu);
        }
    }
    assert!(!me.set_affinity(CpuSet::EMPTY));
}

#[base::kernel_test]
fn every_cpu_has_all_protections_on() {
    let me = current().expect("a test is a task");
    for cpu in smp::online().iter() {
        assert!(me.set_affinity(CpuSet::one(cpu)));
        yield_now();
        assert_eq!(here(), cpu);
        let features = features();
        let (cr0, cr4) = (control::read_cr0(), control::read_cr4());
        assert!(cr0.contains(Cr0::WRITE_PROTECT | Cr0::PAGING), "CPU {cpu}: {cr0:?}");
        assert!(control::is_no_execute_on(), "CPU {cpu}");
        for (bit, is_there) in [
            (Cr4::SMEP, features.smep),
            (Cr4::SMAP, features.smap),
            (Cr4::UMIP, features.umip),
            // Dangerous: user code could give the kernel a GS base of its own.
            (Cr4::FSGSBASE, false),
        ] {
            assert_eq!(cr4.contains(bit), is_there, "CPU {cpu}: {bit:?}");
        }
        assert_eq!(here(), cpu);
    }
}

#[base::kernel_test]
fn wake_ups_between_cpus_are_not_lost() {
    static TURN: AtomicU64 = AtomicU64::new(0);
    static QUEUE: WaitQueue = WaitQueue::new("turn");
    const TURNS: u64 = 2_000;
    TURN.store(0, Ordering::Relaxed);
    let tasks = start(3, "smp test", |number| {
        loop {
            let turn = QUEUE.wait(|| {
                let turn = TURN.load(Ordering::Acquire);
                (turn >= TURNS || turn % 3 == number as u64).then_some(turn)
            });
            if turn >= TURNS {
                return QUEUE.wake_all();
            }
            TURN.store(turn + 1, Ordering::Release);
            QUEUE.wake_all();
        }
    });
    tasks.iter().for_each(|task| task.join());
    assert_eq!(TURN.load(Ordering::Relaxed), TURNS);
}

// The clock goes on while the host has taken the virtual CPU away, and whoever ran just then
// pays for it. So this looks when the two are level again, which they are soon if the
// scheduler lets the one that is behind run; the shares are then what the weights say.
#[base::kernel_test]
fn a_weighty_task_gets_more_of_a_cpu() {
    const LEVEL_NS: u64 = 30_000_000;
    let me = current().expect("a test is a task");
    assert!(me.set_affinity(CpuSet::one(here())));
    me.set_policy(Policy::Fair { nice: -20 });
    static STOP: AtomicU32 = AtomicU32::new(0);
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    STOP.store(0, Ordering::Relaxed);
    BEGUN.store(0, Ordering::Relaxed);
    let tasks = start(2, "smp test", move |number| {
        let me = current().expect("a task");
        me.set_policy(Policy::Fair { nice: if number == 0 { 0 } else { 5 } });
        BEGUN.fetch_add(1, Ordering::Relaxed);
        while STOP.load(Ordering::Relaxed) == 0 {
            interrupts::spin_hint();
        }
    });
    while BEGUN.load(Ordering::Relaxed) < 2 {
        sleep(1_000_000);
    }
    let times = || [0, 1].map(|number: usize| tasks[number].cpu_time_ns());
    let ahead = || {
        let [a, b] = [0, 1].map(|number: usize| tasks[number].virtual_time.load(Ordering::Relaxed));
        a.wrapping_sub(b) as i64
    };
    let (begin, begin_ahead) = (times(), ahead());
    let end = time::now_ns() + 20_000_000_000;
    let shares = loop {
        sleep(20_000_000);
        let now = times();
        let used = [now[0] - begin[0], now[1] - begin[1]];
        let level = (ahead() - begin_ahead).unsigned_abs() < LEVEL_NS;
        if used[0] + used[1] >= 300_000_000 && level {
            break Some(used);
        }
        if time::now_ns() > end {
            break None;
        }
    };
    STOP.store(1, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    let [more, less] = shares.expect("both are level from time to time");
    // 1024 to 335 when they are level.
    assert!(more > less * 2 && more < less.max(1) * 5, "{more} ns to {less} ns");
}

#[base::kernel_test]
fn real_time_comes_first_and_in_turns() {
    let me = current().expect("a test is a task");
    assert!(me.set_affinity(CpuSet::one(here())));
    me.set_policy(Policy::Fifo { priority: 50 });
    static ORDER: AtomicU32 = AtomicU32::new(0);
    static PLACES: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    ORDER.store(0, Ordering::Relaxed);
    let tasks = start(3, "smp test", |number| {
        let place = ORDER.fetch_add(1, Ordering::Relaxed);
        PLACES[number].store(place, Ordering::Relaxed);
    });
    // They wait, since this one does not sleep.
    spin(10_000_000);
    assert_eq!(ORDER.load(Ordering::Relaxed), 0);
    tasks[2].set_policy(Policy::Fifo { priority: 2 });
    tasks[1].set_policy(Policy::Fifo { priority: 2 });
    tasks.iter().for_each(|task| task.join());
    assert_eq!([0, 1, 2].map(|task: usize| PLACES[task].load(Ordering::Relaxed)), [2, 1, 0]);
}

#[base::kernel_test]
fn a_task_between_two_queues_can_change_its_policy() {
    // While it is in no queue its place in one must not be fixed already.
    let end = time::now_ns() + 1_000_000_000;
    let cpus: Vec<u32> = smp::online().iter().collect();
    let to = cpus.clone();
    let movers = start(6, "mover", move |number| {
        let me = current().expect("a task");
        for turn in number.. {
            if time::now_ns() > end {
                break;
            }
            assert!(me.set_affinity(CpuSet::one(to[turn % to.len()])));
            yield_now();
        }
    });
    let moved: Vec<_> = movers.clone();
    let changers = start(3, "changer", move |number| {
        let mut turn = number;
        while time::now_ns() < end {
            turn += 1;
            let task = &moved[turn % moved.len()];
            match turn % 3 {
                0 => task.set_policy(Policy::Fair { nice: (turn % 40) as i8 - 20 }),
                1 => task.set_policy(Policy::RoundRobin { priority: 1 }),
                _ => assert!(task.set_affinity(CpuSet::one(cpus[turn / 3 % cpus.len()]))),
            }
        }
    });
    movers.iter().chain(&changers).for_each(|task| task.join());
    // Nobody was lost on the way, or counted twice. A CPU that is just sending a task away
    // still counts it.
    let end = time::now_ns() + 5_000_000_000;
    let is_right = |cpu| {
        with_queue_of(cpu, |queue| {
            let runs = u32::from(!queue.runs_idle());
            load_of(cpu) == queue.ready.iter().count() as u32 + runs
        })
    };
    for cpu in smp::online().iter() {
        while is_right(cpu) != Some(true) {
            assert!(time::now_ns() < end, "the load of CPU {cpu} is not {}", load_of(cpu));
            sleep(1_000_000);
        }
    }
}

#[base::kernel_test]
fn kernel_translations_are_forgotten_everywhere() {
    // Stacks are unmapped and their addresses used again while all CPUs use stacks.
    let before = memory::shootdown::count();
    for _ in 0..3 {
        let mut stacks: Vec<KernelStack> =
            (0..40).map_while(|_| KernelStack::allocate().ok()).collect();
        assert_eq!(stacks.len(), 40);
        for stack in &mut stacks {
            stack::fill(stack, 0x5a);
        }
    }
    let others = smp::online().len() > 1;
    assert_eq!(memory::shootdown::count() > before, others);
}

#[base::kernel_test]
fn ten_thousand_tasks_leave_nothing() {
    // The first ones fill caches that stay.
    let round = |count: usize| {
        for _ in 0..count / 50 {
            start(50, "smp test", |_| ()).iter().for_each(|task| task.join());
        }
        sleep(20_000_000); // the last switches away from them
    };
    round(200);
    let counts = || (tasks().len(), stack::statistics().used, frames::statistics().free);
    let before = counts();
    round(10_000);
    let after = counts();
    assert_eq!((before.0, before.1), (after.0, after.1));
    // The heap may keep a page or two of slabs more.
    assert!(before.2.abs_diff(after.2) <= 16, "{} free frames, then {}", before.2, after.2);
}
