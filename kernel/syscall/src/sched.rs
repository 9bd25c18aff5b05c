//! Scheduling: which CPUs a process may use, and how it shares them (sched(7)).
//!
//! Each process has one thread, so a pid and a tid name the same. All are root's: nobody is
//! refused a priority.

use alloc::sync::Arc;

use abi::sched::{
    PRIO_MAX, PRIO_MIN, PRIO_PGRP, PRIO_PROCESS, PRIO_USER, SCHED_BATCH, SCHED_DEADLINE,
    SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR,
};
use abi::time::Timespec;
use abi::{Errno, Result};
use arch::cpu::local;
use base::cpu_set::CpuSet;
use base::smp;
use memory::user::UserSlice;
use process::Process;
use task::{Policy, SLICE_NS, Task};

use crate::call::{Call, find_process, write_optional};

/// Bytes of the kernel's CPU sets.
const CPU_SET_BYTES: usize = 8;

/// The running task of process `pid`, 0 for the caller.
///
/// # Errors
/// `ESRCH`.
fn task_of(call: &Call<'_>, pid: u64) -> Result<Arc<Task>> {
    let task = match pid as u32 {
        0 => call.thread.process.task(),
        pid => find_process(pid)?.task(),
    };
    task.ok_or(Errno::ESRCH)
}

/// As [`task_of`], for the calls that refuse a negative number.
fn task_of_positive(call: &Call<'_>, pid: u64) -> Result<Arc<Task>> {
    if (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    task_of(call, pid)
}

/// sched_yield(2).
pub(crate) fn sched_yield(_call: &Call<'_>) -> Result<usize> {
    task::yield_now();
    Ok(0)
}

/// sched_getaffinity(2).
pub(crate) fn sched_getaffinity(call: &Call<'_>) -> Result<usize> {
    let [pid, len, to, ..] = call.args;
    let len = len as u32 as usize;
    if len < CPU_SET_BYTES || !len.is_multiple_of(CPU_SET_BYTES) {
        return Err(Errno::EINVAL);
    }
    let cpus = task_of(call, pid)?.affinity().and(smp::online());
    UserSlice::write_value(to, &cpus.bits())?;
    Ok(CPU_SET_BYTES)
}

/// sched_setaffinity(2). CPUs that are not there do not count, as long as one is.
pub(crate) fn sched_setaffinity(call: &Call<'_>) -> Result<usize> {
    let [pid, len, from, ..] = call.args;
    let mut set = [0; CPU_SET_BYTES];
    // A shorter set names the first CPUs only; what is longer names none that is there.
    let len = (len as u32 as usize).min(CPU_SET_BYTES);
    let (given, _) = set.split_at_mut(len);
    if UserSlice::new(from, len).read(given).is_err() {
        return Err(Errno::EFAULT);
    }
    let task = task_of(call, pid)?;
    let cpus = CpuSet::from_bits(u64::from_le_bytes(set));
    if task.set_affinity(cpus) { Ok(0) } else { Err(Errno::EINVAL) }
}

/// getcpu(2). There is one node.
pub(crate) fn getcpu(call: &Call<'_>) -> Result<usize> {
    let [cpu, node, ..] = call.args;
    // Old as soon as it is known, as on Linux.
    write_optional(cpu, &local::cpu_number())?;
    write_optional(node, &0u32)?;
    Ok(0)
}

/// The number of a task's policy, and its priority.
fn numbers(task: &Task) -> (u32, i32) {
    match task.policy() {
        Policy::Fair { .. } => (SCHED_NORMAL, 0),
        Policy::Fifo { priority } => (SCHED_FIFO, priority.into()),
        Policy::RoundRobin { priority } => (SCHED_RR, priority.into()),
    }
}

/// Gives `task` the policy with number `number` and the priority that stands at `param`. The
/// policies for batch and idle work, and for deadlines, are not there: `EINVAL`.
fn set_policy(task: &Arc<Task>, number: u32, param: u64) -> Result<usize> {
    let priority: i32 = UserSlice::read_value(param)?;
    let real_time = u8::try_from(priority).ok().filter(|priority| (1..=99).contains(priority));
    let policy = match (number, priority, real_time) {
        (SCHED_NORMAL, 0, _) => Policy::Fair { nice: task.nice() },
        (SCHED_FIFO, _, Some(priority)) => Policy::Fifo { priority },
        (SCHED_RR, _, Some(priority)) => Policy::RoundRobin { priority },
        _ => return Err(Errno::EINVAL),
    };
    task.set_policy(policy);
    Ok(0)
}

/// sched_getscheduler(2).
pub(crate) fn sched_getscheduler(call: &Call<'_>) -> Result<usize> {
    let [pid, ..] = call.args;
    Ok(numbers(&*task_of_positive(call, pid)?).0 as usize)
}

/// sched_setscheduler(2).
pub(crate) fn sched_setscheduler(call: &Call<'_>) -> Result<usize> {
    let [pid, policy, param, ..] = call.args;
    if param == 0 || (policy as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    set_policy(&task_of_positive(call, pid)?, policy as u32, param)
}

/// sched_getparam(2).
pub(crate) fn sched_getparam(call: &Call<'_>) -> Result<usize> {
    let [pid, param, ..] = call.args;
    if param == 0 {
        return Err(Errno::EINVAL);
    }
    UserSlice::write_value(param, &numbers(&*task_of_positive(call, pid)?).1)?;
    Ok(0)
}

/// sched_setparam(2).
pub(crate) fn sched_setparam(call: &Call<'_>) -> Result<usize> {
    let [pid, param, ..] = call.args;
    if param == 0 {
        return Err(Errno::EINVAL);
    }
    let task = task_of_positive(call, pid)?;
    set_policy(&task, numbers(&task).0, param)
}

/// The lowest and the highest priority of a policy.
fn priorities(policy: u64) -> Result<(usize, usize)> {
    match policy as u32 {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_max(2).
pub(crate) fn sched_get_priority_max(call: &Call<'_>) -> Result<usize> {
    let [policy, ..] = call.args;
    Ok(priorities(policy)?.1)
}

/// sched_get_priority_min(2).
pub(crate) fn sched_get_priority_min(call: &Call<'_>) -> Result<usize> {
    let [policy, ..] = call.args;
    Ok(priorities(policy)?.0)
}

/// sched_rr_get_interval(2): the slice, which a first-come task does not have.
pub(crate) fn sched_rr_get_interval(call: &Call<'_>) -> Result<usize> {
    let [pid, to, ..] = call.args;
    let slice = match task_of_positive(call, pid)?.policy() {
        Policy::Fifo { .. } => 0,
        Policy::Fair { .. } | Policy::RoundRobin { .. } => SLICE_NS,
    };
    UserSlice::write_value(to, &Timespec { tv_sec: 0, tv_nsec: slice as i64 })?;
    Ok(0)
}

/// The tasks that getpriority and setpriority are about.
///
/// # Errors
/// `ESRCH`: there is none; also for process groups, which are not there yet. `EINVAL`.
fn tasks_of(call: &Call<'_>, which: u64, who: u64) -> Result<alloc::vec::Vec<Arc<Task>>> {
    match which as u32 {
        PRIO_PROCESS => Ok(alloc::vec![task_of(call, who)?]),
        // Everybody is root.
        PRIO_USER if who as u32 == 0 => {
            Ok(process::processes().filter_map(|process| running_task(&process)).collect())
        }
        PRIO_USER | PRIO_PGRP => Err(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}

fn running_task(process: &Arc<Process>) -> Option<Arc<Task>> {
    process.task().filter(|_| process.outcome().is_none())
}

/// getpriority(2): 20 minus the nice value, the best one of several.
pub(crate) fn getpriority(call: &Call<'_>) -> Result<usize> {
    let [which, who, ..] = call.args;
    let tasks = tasks_of(call, which, who)?;
    let nice = tasks.iter().map(|task| task.nice()).min().ok_or(Errno::ESRCH)?;
    Ok((20 - i32::from(nice)) as usize)
}

/// setpriority(2).
pub(crate) fn setpriority(call: &Call<'_>) -> Result<usize> {
    let [which, who, nice, ..] = call.args;
    let nice = (nice as i32).clamp(PRIO_MIN, PRIO_MAX as i32 - 1) as i8;
    for task in tasks_of(call, which, who)? {
        task.set_nice(nice);
    }
    Ok(0)
}
