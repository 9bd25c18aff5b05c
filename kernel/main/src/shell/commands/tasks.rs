//! `tasks` and `backtrace`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::backtrace::Backtrace;
use base::{print, println};
use task::State;

use crate::shell::command::{Context, Failure, Outcome, at_most_one, none};
use crate::shell::format::Seconds;

/// The names of all tasks, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    task::tasks().iter().map(|task| task.name.to_string()).collect()
}

/// Lists all tasks.
pub(in crate::shell) fn tasks(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    println!("{:>5}  {:24} {:28} {:>3} {:>12}", "TASK", "NAME", "STATE", "CPU", "CPU TIME");
    for task in task::tasks() {
        let state = match task.state {
            _ if task.is_current => "running".into(),
            State::Runnable => "runnable".into(),
            State::Blocked => alloc::format!("waits for {}", task.waits_for),
            State::Dead => "dead".into(),
        };
        let kind = if task.is_user { "  user" } else { "" };
        println!(
            "{:>5}  {:24} {state:28} {:>3} {:12}{kind}",
            task.id,
            task.name,
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
        None => print!("{}", Backtrace::here()),
    }
    Ok(())
}
