//! Kernel tests of which CPU tasks run on when some CPUs have too much to do. What needs
//! more CPUs than there are passes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use arch::cpu::interrupts;
use base::cpu_set::CpuSet;
use base::{smp, time};

use crate::{Policy, Task, current, sleep, spawn};

/// More than a busy host takes.
const PATIENCE_NS: u64 = 10_000_000_000;

static STOP: AtomicBool = AtomicBool::new(false);

/// A task on `cpu` that spins until [`STOP`], and has begun to.
fn spinner(cpu: u32, policy: Policy) -> Arc<Task> {
    let begun = Arc::new(AtomicBool::new(false));
    let seen = begun.clone();
    let task = spawn("spinner", move || {
        let me = current().expect("a task");
        assert!(me.set_affinity(CpuSet::one(cpu)));
        me.set_policy(policy);
        begun.store(true, Ordering::Release);
        while !STOP.load(Ordering::Relaxed) {
            interrupts::spin_hint();
        }
    })
    .expect("memory for a task");
    assert!(soon(|| seen.load(Ordering::Acquire)));
    task
}

/// Whether it comes true.
fn soon(condition: impl Fn() -> bool) -> bool {
    let end = time::now_ns() + PATIENCE_NS;
    while !condition() {
        if time::now_ns() > end {
            return false;
        }
        sleep(2_000_000);
    }
    true
}

/// Keeps the test away from `cpus`, where others spin, and above others where it stays.
fn stay_away_from(cpus: CpuSet) {
    let me = current().expect("a test is a task");
    let mine = smp::online().without(cpus);
    assert!(me.set_affinity(if mine.is_empty() { smp::online() } else { mine }));
    me.set_policy(Policy::Fifo { priority: 90 });
}

#[base::kernel_test]
fn an_idle_cpu_finds_work_behind_a_busier_cpu_that_has_none_for_it() {
    let cpus: Vec<u32> = smp::online().iter().collect();
    // In both orders: which of two is looked at first must not matter.
    for (pinned, free) in [(1, 2), (2, 1)] {
        let (Some(&pinned), Some(&free)) = (cpus.get(pinned), cpus.get(free)) else { return };
        STOP.store(false, Ordering::Relaxed);
        stay_away_from(CpuSet::one(pinned).or(CpuSet::one(free)));
        let mut tasks: Vec<_> = (0..4).map(|_| spinner(pinned, Policy::NORMAL)).collect();
        let pair = [(); 2].map(|()| spinner(free, Policy::NORMAL));
        for task in &pair {
            assert!(task.set_affinity(smp::online().without(CpuSet::one(pinned))));
        }
        let part = soon(|| pair[0].cpu() != pair[1].cpu());
        STOP.store(true, Ordering::Relaxed);
        tasks.extend(pair);
        tasks.iter().for_each(|task| task.join());
        assert!(part, "both stay on CPU {free} beside CPUs without work");
    }
}

#[base::kernel_test]
fn a_task_does_not_starve_behind_a_real_time_task_while_others_share() {
    let cpus: Vec<u32> = smp::online().iter().collect();
    let &[first, ref rest @ ..] = &cpus[..] else { return };
    if rest.is_empty() {
        return;
    }
    STOP.store(false, Ordering::Relaxed);
    stay_away_from(CpuSet::one(first));
    let starving = spinner(first, Policy::NORMAL);
    let mut tasks = Vec::from([spinner(first, Policy::Fifo { priority: 10 })]);
    // No other CPU is idle, nor has two.
    tasks.extend(rest.iter().map(|&cpu| spinner(cpu, Policy::NORMAL)));
    assert!(starving.set_affinity(smp::online()));
    let before = starving.cpu_time_ns();
    let runs = soon(|| starving.cpu_time_ns() > before + 20_000_000);
    STOP.store(true, Ordering::Relaxed);
    tasks.push(starving);
    tasks.iter().for_each(|task| task.join());
    assert!(runs, "it waits for ever on CPU {first}");
}

#[base::kernel_test]
fn a_cpu_with_one_task_gets_another_from_one_with_more() {
    // All are busy, so none looks for work; and one with a single task has no timer to look by.
    let cpus: Vec<u32> = smp::online().iter().collect();
    let Some(&first) = cpus.first() else { return };
    STOP.store(false, Ordering::Relaxed);
    let me = current().expect("a test is a task");
    me.set_policy(Policy::Fifo { priority: 90 });
    let mut tasks: Vec<_> = cpus.iter().map(|&cpu| spinner(cpu, Policy::NORMAL)).collect();
    tasks.extend(cpus.iter().map(|_| spinner(first, Policy::NORMAL)));
    for task in &tasks {
        assert!(task.set_affinity(smp::online()));
    }
    let on = |cpu: u32| tasks.iter().filter(|task| task.cpu() == cpu).count();
    let even = soon(|| cpus.iter().all(|&cpu| on(cpu) == 2));
    STOP.store(true, Ordering::Relaxed);
    tasks.iter().for_each(|task| task.join());
    assert!(even, "CPUs stay uneven");
}
