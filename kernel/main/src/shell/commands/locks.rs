//! `locks`: what the kernel knows about its locks.

use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use base::sync::{Discipline, IrqOff, Lock, PreemptOff, cpus, statistics};
use base::time;
use base::{print, println};

use crate::shell::command::{Context, Outcome, usage};
use crate::shell::format::Seconds;

/// Tells about locks.
pub(in crate::shell) fn locks(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words {
        [] => classes(),
        ["held"] => list_held(),
        ["cost"] => {
            println!("SpinLock:    {:6} ns to take and free", cost::<PreemptOff>());
            println!("IrqSpinLock: {:6} ns to take and free", cost::<IrqOff>());
        }
        ["limit"] => println!("{} ms", statistics::hold_limit() / 1_000_000),
        ["limit", ms] => {
            let ms: u32 = ms.parse().map_err(|_| usage("the limit is a number of milliseconds"))?;
            statistics::set_hold_limit(u64::from(ms) * 1_000_000);
        }
        [other, ..] => {
            return Err(usage(alloc::format!("takes nothing, held, cost or limit, not {other}")));
        }
    }
    Ok(())
}

/// What can be asked for, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    ["held", "cost", "limit"].map(String::from).into()
}

/// All lock classes, those that were waited for most first.
fn classes() {
    let mut classes: Vec<_> = statistics::all().collect();
    classes.sort_by_key(|class| {
        core::cmp::Reverse((class.contended, class.wait_total_ns, class.acquisitions))
    });
    print!("{:24} {:>9} {:>12} {:>12}", "CLASS", "WAITED", "ALL WAITS", "LONGEST WAIT");
    if statistics::COUNTS_HOLDS {
        print!(" {:>11} {:>12}  TAKEN FOR THAT AT", "TAKEN", "LONGEST HOLD");
    }
    println!();
    for class in &classes {
        print!(
            "{:24} {:>9} {:12.6} {:12.6}",
            class.name,
            class.contended,
            Seconds(class.wait_total_ns),
            Seconds(class.wait_longest_ns)
        );
        if statistics::COUNTS_HOLDS {
            let place = class.hold_place.map_or(String::new(), |place| alloc::format!("{place}"));
            let longest = Seconds(class.hold_longest_ns);
            print!(" {:>11} {longest:12.6}  {place}", class.acquisitions);
        }
        println!();
    }
    if statistics::COUNTS_HOLDS {
        let [(classes, most_classes), (orders, most_orders)] = statistics::counts();
        println!(
            "{classes} of {most_classes} classes, {orders} of {most_orders} orders between them"
        );
    } else {
        println!("A release build counts waits alone, and lists the classes that had some.");
    }
}

/// What is held by CPUs and tasks, as far as it can be seen.
fn list_held() {
    // First all of it: printing takes locks itself.
    let cpus: Vec<_> = cpus::all().collect();
    let tasks = task::held_mutexes();
    for (cpu, hold) in &cpus {
        println!("CPU {cpu}: {hold}");
    }
    for (id, hold) in &tasks {
        println!("task {id}: {hold}");
    }
    match (cpus.is_empty() && tasks.is_empty(), statistics::COUNTS_HOLDS) {
        (_, false) => println!("A release build does not keep what is held."),
        (true, true) => println!("nothing"),
        (false, true) => {}
    }
}

/// Nanoseconds that it takes to take and free a lock that nobody else wants: the best of
/// some rounds. Under QEMU's `-icount shift=0` these are instructions.
fn cost<D: Discipline>() -> u64 {
    const TIMES: u64 = 1000;
    let lock = Lock::<u64, D>::new("locks cost", 0);
    let round = |work: &dyn Fn()| {
        let start = time::now_ns();
        (0..TIMES).for_each(|_| work());
        time::now_ns() - start
    };
    let best = |work: &dyn Fn()| (0..5).map(|_| round(work)).min().unwrap_or(0);
    let taken = best(&|| *black_box(&lock).lock() += 1);
    let empty = best(&|| {
        black_box(&lock);
    });
    taken.saturating_sub(empty) / TIMES
}
