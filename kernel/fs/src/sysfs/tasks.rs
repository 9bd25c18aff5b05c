//! `/sys/kernel/tasks`: a directory for each task, kernel tasks and user threads alike, by its
//! number.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, Result};
use base::cpu_set::CpuSet;
use base::smp;
use task::{State, Task, find, tasks};

use super::keys::{File, Files, list};
use crate::pseudo::{Directory, Node, Text, Visit};
use crate::status::Kind;

/// All tasks.
pub(super) struct Tasks;

impl Directory for Tasks {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let id = name.parse().ok().filter(|id: &u64| format!("{id}") == name);
        let there = id.filter(|id| find(*id).is_some());
        Ok(there.map(|id| Node::Directory(Arc::new(TaskDirectory(id)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = tasks().iter().map(|task| (task.id, format!("{}", task.id))).collect();
        list(keyed, from, visit, |name: &String| (name, Kind::Directory))
    }
}

/// A task, by its number, which no other one gets.
struct TaskDirectory(u64);

const FILES: Files<u64> = Files(&[
    ("cpu", File::told(|id, to| to.write(format_args!("{}\n", task(*id)?.cpu())))),
    ("cpu_ns", File::told(|id, to| to.write(format_args!("{}\n", task(*id)?.cpu_ns())))),
    ("cpus_allowed_list", File::set(cpus, set_cpus)),
    ("name", File::told(|id, to| to.write(format_args!("{}\n", task(*id)?.name())))),
    ("nice", File::set(nice, set_nice)),
    ("policy", File::told(|id, to| to.write(format_args!("{}\n", task(*id)?.policy())))),
    ("state", File::told(state)),
    ("wchan", File::told(wchan)),
]);

fn task(id: u64) -> Result<Arc<Task>> {
    find(id).ok_or(Errno::ESRCH)
}

/// The CPUs that it may use, of those that run.
fn cpus(id: &u64, to: &mut Text) -> Result<()> {
    to.write(format_args!("{}\n", task(*id)?.affinity().and(smp::online())))
}

/// Confines it to the CPUs of a list. Idle tasks and those of one CPU alone do not mind what is
/// said here, as for sched_setaffinity(2).
fn set_cpus(id: &u64, text: &str) -> Result<()> {
    let cpus: CpuSet = text.parse().map_err(|_| Errno::EINVAL)?;
    if task(*id)?.set_affinity(cpus) { Ok(()) } else { Err(Errno::EINVAL) }
}

fn nice(id: &u64, to: &mut Text) -> Result<()> {
    to.write(format_args!("{}\n", task(*id)?.nice()))
}

fn set_nice(id: &u64, text: &str) -> Result<()> {
    let nice = text.parse().ok().filter(|nice| (-20..=19).contains(nice)).ok_or(Errno::EINVAL)?;
    task(*id)?.set_nice(nice);
    Ok(())
}

fn state(id: &u64, to: &mut Text) -> Result<()> {
    to.push(match task(*id)?.state() {
        State::Runnable => b"runnable\n",
        State::Blocked => b"blocked\n",
        State::Dead => b"dead\n",
    })
}

/// What it waits for; 0 if for nothing, as in `/proc/PID/wchan`.
fn wchan(id: &u64, to: &mut Text) -> Result<()> {
    let info = tasks().into_iter().find(|task| task.id == *id).ok_or(Errno::ESRCH)?;
    match info.state {
        State::Blocked => to.write(format_args!("{}\n", info.waits_for)),
        _ => to.push(b"0\n"),
    }
}

impl Directory for TaskDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        task(self.0).map_err(|_| Errno::ENOENT)?;
        Ok(FILES.find(name, || self.0))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        task(self.0).map_err(|_| Errno::ENOENT)?;
        FILES.list(from, visit)
    }

    fn is_current(&self) -> bool {
        find(self.0).is_some()
    }
}
