//! `tasks` and `backtrace`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::backtrace::Backtrace;
use base::cpu_set::CpuSet;
use base::{print, println, time};
use core::sync::atomic::{AtomicU64, Ordering};
use task::{State, WaitQueue};

use crate::shell::command::{Context, Failure, Outcome, at_most_one, usage};
use crate::shell::format::Seconds;

/// The names of all tasks, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    task::tasks().iter().map(|task| task.name.to_string()).collect()
}

/// What `tasks` takes, for Tab.
pub(in crate::shell) fn words() -> Vec<String> {
    alloc::vec!["cost".into()]
}

/// Round trips that are measured.
const ROUND_TRIPS: u64 = 2_000;

/// Measures how long it takes to wake another task on the same CPU, to sleep until it has
/// run and woken this one, and to run again.
fn cost() -> Outcome {
    static TURN: AtomicU64 = AtomicU64::new(0);
    static QUEUES: [WaitQueue; 2] = [const { WaitQueue::new("its turn") }; 2];
    fn take_turns(me: u64) {
        for round in 0..ROUND_TRIPS {
            let mine = 2 * round + me;
            let [first, second] = &QUEUES;
            let (here, there) = if me == 0 { (first, second) } else { (second, first) };
            here.wait(|| (TURN.load(Ordering::Acquire) == mine).then_some(()));
            TURN.store(mine + 1, Ordering::Release);
            there.wake_one();
        }
    }
    let no_memory = |error| Failure::Message(alloc::format!("{error}"));
    TURN.store(u64::MAX, Ordering::Relaxed);
    let (cpus, cpu) = task::current().map_or((CpuSet::ALL, 0), |me| (me.affinity(), me.cpu()));
    confine(CpuSet::one(cpu));
    let other = task::spawn("other", || take_turns(1)).map_err(no_memory);
    let other = other.inspect_err(|_| confine(cpus))?;
    task::sleep(10_000_000); // it has begun to wait
    let begin = time::now_ns();
    TURN.store(0, Ordering::Release);
    take_turns(0);
    other.join();
    let ns = time::now_ns().saturating_sub(begin);
    confine(cpus);
    println!("a round trip to another task and back: {} ns", ns / ROUND_TRIPS);
    Ok(())
}

/// Where the shell may run.
fn confine(cpus: CpuSet) {
    let _ = task::current().is_some_and(|me| me.set_affinity(cpus)); // its CPU is online
}

/// Lists all tasks.
pub(in crate::shell) fn tasks(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    match at_most_one(arguments)? {
        None => {}
        Some("cost") => return cost(),
        Some(other) => return Err(usage(alloc::format!("takes nothing, or cost, not {other}"))),
    }
    println!(
        "{:>5}  {:20} {:28} {:8} {:>3} {:>12}  MAY USE",
        "TASK", "NAME", "STATE", "POLICY", "CPU", "CPU TIME"
    );
    let online = base::smp::online();
    for task in task::tasks() {
        let state = match task.state {
            _ if task.is_current => "running".into(),
            State::Runnable => "runnable".into(),
            State::Blocked => alloc::format!("waits for {}", task.waits_for),
            State::Dead => "dead".into(),
        };
        let cpus = match task.affinity.and(online) {
            all if all == online => "all".into(),
            some => some.to_string(),
        };
        let kind = if task.is_user { "  user" } else { "" };
        println!(
            "{:>5}  {:20} {state:28} {:8} {:>3} {:12}  {cpus}{kind}",
            task.id,
            task.name,
            task.policy.to_string(),
            task.cpu,
            Seconds(task.cpu_ns)
        );
    }
    Ok(())
}

/// Prints a backtrace.
pub(in crate::shell) fn backtrace(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let Some(wanted) = at_most_one(arguments)? else {
        print!("{}", Backtrace::here());
        return Ok(());
    };
    if wanted == "all" {
        base::nmi::show_all();
        return Ok(());
    }
    let all = task::tasks();
    let number = wanted.parse().ok();
    let found = all
        .iter()
        .find(|task| Some(task.id) == number)
        .or_else(|| all.iter().find(|task| *task.name == *wanted))
        .and_then(|task| task::find(task.id));
    let Some(task) = found else {
        return Err(Failure::Message(alloc::format!("no task {wanted}; see `tasks`")));
    };
    println!("task {}, {}:", task.id(), task.name());
    match task.backtrace() {
        Some(backtrace) => print!("{backtrace}"),
        None if task.state() == State::Dead => println!("  has ended"),
        None if task::current().is_some_and(|me| me.id() == task.id()) => {
            print!("{}", Backtrace::here());
        }
        // It runs on another CPU, which alone knows where.
        None => base::nmi::show(task.cpu()),
    }
    Ok(())
}
