//! Runs the kernel tests, each in a task of its own. A test that panics or faults ends
//! its task; what it held stays as it was, and the others still run.

use alloc::string::String;
use core::fmt::{self, Write};

use arch::cpu::{interrupts, local};
use arrayvec::{ArrayString, ArrayVec};
use base::ktest::{Expect, KernelTest};
use base::sync::IrqSpinLock;
use base::time;
use memory::kernel_space::stack;

use crate::sleep;
use crate::spawn::{exit, spawn};
use crate::task::{Task, with_current};
use crate::wait::WaitOptions;

/// Nanoseconds that one test may take.
pub const TIME_LIMIT_NS: u64 = 60_000_000_000;

/// How a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A panic or exception that was not expected, or one with another text.
    Report(String),
    /// It returned although it should not have.
    Returned,
    /// It did not end in time; its task is left behind.
    TimedOut,
    /// No memory for its task, or for the report.
    NoMemory,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(report) => f.write_str(report),
            Self::Returned => f.write_str("returned, but should have failed"),
            Self::TimedOut => write!(f, "did not end within {} s", TIME_LIMIT_NS / 1_000_000_000),
            Self::NoMemory => f.write_str("no memory to run it or for its report"),
        }
    }
}

/// Tests that did not end in time and are remembered as such.
const MOST_LATE: usize = 16;

/// The test that runs, by the number of its task, and the report it ended with.
struct Running {
    task: Option<u64>,
    report: Option<ArrayString<400>>,
    /// Those that were left behind: if one still fails, it was told already.
    late: ArrayVec<u64, MOST_LATE>,
}

static RUNNING: IrqSpinLock<Running> = IrqSpinLock::new(
    "running test",
    Running { task: None, report: None, late: ArrayVec::new_const() },
);

/// Text cut to what fits.
struct Cut<'a>(&'a mut ArrayString<400>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.0.try_push(character)).map_err(|_| fmt::Error)
    }
}

/// Called by a panic before it prints: if the current task is the test that runs, keeps
/// the report and ends the task.
fn test_failed(report: &dyn fmt::Display) {
    let Some(id) = with_current(Task::id) else { return };
    {
        let Some(mut running) = RUNNING.try_lock() else { return };
        if running.task == Some(id) {
            let mut text = ArrayString::new();
            let _ = write!(Cut(&mut text), "{report}"); // cut on purpose
            running.report = Some(text);
            running.task = None;
        } else if !running.late.contains(&id) {
            return;
        }
    }
    // The test's spin locks stay taken; so does nothing else of the preemption count.
    // Interrupts stay off until the next task runs: this may be an interrupt stack (of a
    // double fault), which the next one to need it starts anew.
    local::set_preempt_count(0);
    base::sync::cpus::forget_all();
    interrupts::disable();
    exit()
}

fn write_current_task(out: &mut dyn Write) -> fmt::Result {
    match with_current(|task| (task.name_if_free(), task.id())) {
        Some((name, id)) => write!(out, "'{name}' (task {id})"),
        None => out.write_str("boot"),
    }
}

/// Lets panics know about tasks and tests, and the lock checker about tasks' locks.
pub fn init() {
    base::sync::sleeping::set_current_hook(|look| {
        with_current(|task| look(&task.held_locks));
    });
    base::panic::set_hooks(base::panic::PanicHooks {
        current_task: write_current_task,
        test_failed,
    });
}

/// The failure that a report tells of.
fn failure(report: &str) -> Failure {
    let mut text = String::new();
    match text.try_reserve_exact(report.len()) {
        Ok(()) => {
            text.push_str(report);
            Failure::Report(text)
        }
        Err(_) => Failure::NoMemory,
    }
}

/// Looks, a millisecond apart, whether the tasks of a test are gone.
const MAX_LOOKS: u32 = 100;

/// Runs one test. One at a time. What the test leaves to be freed, such as its task's
/// stack, is free again on return, unless that takes longer than a tenth of a second: the
/// next test may count frames.
///
/// # Errors
/// How it failed.
pub fn run(test: &'static KernelTest) -> Result<(), Failure> {
    let stacks = stack::statistics().used;
    let result = run_now(test);
    for _ in 0..MAX_LOOKS {
        if stack::statistics().used <= stacks {
            break;
        }
        sleep(1_000_000);
    }
    result
}

fn run_now(test: &'static KernelTest) -> Result<(), Failure> {
    // The task starts when its number is known to the panic hook.
    let gate = alloc::sync::Arc::new(crate::Mutex::new(()));
    let held = gate.lock();
    let task = {
        let gate = gate.clone();
        spawn(test.name.rsplit("::").next().unwrap_or(test.name), move || {
            drop(gate.lock());
            (test.body)();
        })
        .map_err(|_| Failure::NoMemory)?
    };
    {
        let mut running = RUNNING.lock();
        (running.task, running.report) = (Some(task.id()), None);
    }
    drop(held);
    let deadline = Some(time::now_ns() + TIME_LIMIT_NS);
    let options = WaitOptions { deadline, interruptible: false };
    let ended = task.joiners.wait_with(options, || task.has_ended().then_some(()));
    let report = {
        let mut running = RUNNING.lock();
        running.task = None;
        if ended.is_err() {
            let _ = running.late.try_push(task.id()); // one more fails as the kernel does
        }
        running.report.take()
    };
    if ended.is_err() {
        return Err(Failure::TimedOut);
    }
    match (test.expect, report) {
        (Expect::Success, None) => Ok(()),
        (Expect::Panic(text) | Expect::Fault(text), Some(report)) if report.contains(text) => {
            Ok(())
        }
        (_, Some(report)) => Err(failure(&report)),
        (_, None) => Err(Failure::Returned),
    }
}
