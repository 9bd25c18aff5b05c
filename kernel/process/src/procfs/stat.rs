//! `/proc/PID/stat`: numbers about a process in one line, as ps(1) reads them.

use abi::Result;
use abi::sched::{SCHED_FIFO, SCHED_NORMAL, SCHED_RR};
use arch::paging::PAGE_SIZE;
use fs::pseudo::Text;
use task::Policy;

use super::statm::Sizes;
use super::status::letter;
use crate::process::Process;

/// Nanoseconds of a clock tick, as `AT_CLKTCK` has it.
const TICK_NS: u64 = 10_000_000;
const RLIM_INFINITY: u64 = u64::MAX;

/// The 52 fields of proc_pid_stat(5). 0 stands for what there is not: process groups, terminals
/// of their own, counts of faults, swap; as on Linux for what it has given up. The time of
/// children is all told as their own.
pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    let task = process.task();
    let space = process.space();
    let sizes = space.as_deref().map(Sizes::of).unwrap_or_default();
    let resident = space.as_deref().map_or(0, vm::AddressSpace::resident_pages);
    let stack = space.as_deref().map_or(0, |space| space.layout().stack_top);
    let (user, system) = process.times_ns();
    let policy = task.as_ref().map_or(Policy::NORMAL, |task| task.policy());
    let nice = task.as_ref().map_or(0, |task| task.nice());
    let (number, real_time) = match policy {
        Policy::Fair { .. } => (SCHED_NORMAL, 0),
        Policy::Fifo { priority } => (SCHED_FIFO, priority),
        Policy::RoundRobin { priority } => (SCHED_RR, priority),
    };
    // Linux's own scale: nice -20 is 0, and real-time priorities are below.
    let priority = if real_time > 0 { -1 - i64::from(real_time) } else { 20 + i64::from(nice) };
    let pid = process.pid();
    let signals = process.signals.sets();
    to.write(format_args!("{pid} ({}) {} {}", process.name(), letter(process), process.parent()))?;
    // pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt
    to.push(b" 0 0 0 -1 0 0 0 0 0")?;
    // utime stime cutime cstime priority nice num_threads itrealvalue starttime
    let [user, system, children] = [user, system, process.waited_ns()].map(|ns| ns / TICK_NS);
    let started = process.started_ns() / TICK_NS;
    to.write(format_args!(" {user} {system} {children} 0 {priority} {nice} 1 0 {started}"))?;
    // vsize rss rsslim startcode endcode startstack kstkesp kstkeip
    let bytes = sizes.all * PAGE_SIZE;
    to.write(format_args!(" {bytes} {resident} {RLIM_INFINITY} 0 0 {stack} 0 0"))?;
    // signal blocked sigignore sigcatch wchan nswap cnswap exit_signal processor
    let exit = process.exit_signal.map_or(0, |signal| signal.number());
    let cpu = task.as_ref().map_or(0, |task| task.cpu());
    to.write(format_args!(
        " {} {} {} {} 0 0 0 {exit} {cpu}",
        signals.pending, signals.blocked, signals.ignored, signals.caught
    ))?;
    // rt_priority policy delayacct_blkio_ticks guest_time cguest_time start_data end_data
    // start_brk arg_start arg_end env_start env_end exit_code
    let status = process.outcome().map_or(0, |outcome| outcome.wait_status());
    to.write(format_args!(" {real_time} {number} 0 0 0 0 0 0 0 0 0 0 {status}\n"))
}

#[cfg(not(test))]
#[base::kernel_test]
fn all_fields_are_there() {
    let root: [&[u8]; 1] = [b"/bin/spin"];
    let process = crate::exec::start(b"/bin/spin", &root, &[]).expect("a program");
    let mut text = Text::within(4096);
    show(&process, &mut text).expect("memory");
    let text = alloc::string::String::from_utf8(text.into_bytes()).expect("a text");
    assert!(text.starts_with(&alloc::format!("{} (spin) ", process.pid())), "{text}");
    assert_eq!(text.trim_end().split(' ').count(), 52, "{text}");
    process.send(abi::Signal::SIGKILL);
    process.wait();
}
