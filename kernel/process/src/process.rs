//! [`Process`]: a program that runs, as others see it.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::Signal;
use base::sync::IrqSpinLock;
use spin::Once;
use task::{Task, WaitQueue};

use crate::fds::Descriptors;
use crate::outcome::Outcome;
use crate::signal::Signals;

/// A process. What runs is its thread's task; the process itself may be kept by whoever
/// wants to know how it ended.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// The path that it was started from.
    executable: Vec<u8>,
    /// Its open files.
    pub descriptors: Descriptors,
    /// What it does about signals, and those that wait for it.
    pub signals: Signals,
    outcome: IrqSpinLock<Option<Outcome>>,
    ended: WaitQueue,
    task: Once<Weak<Task>>,
}

static NEXT_PID: AtomicU32 = AtomicU32::new(1);
static ALL: IrqSpinLock<BTreeMap<u32, Weak<Process>>> =
    IrqSpinLock::new("processes", BTreeMap::new());

impl Process {
    /// A process with a number of its own, that does not run yet.
    pub(crate) fn new(executable: Vec<u8>, descriptors: Descriptors) -> Arc<Self> {
        let process = Arc::new(Self {
            pid: NEXT_PID.fetch_add(1, Ordering::Relaxed),
            executable,
            descriptors,
            signals: Signals::new(),
            outcome: IrqSpinLock::new("process outcome", None),
            ended: WaitQueue::new("process exit"),
            task: Once::new(),
        });
        ALL.lock().insert(process.pid, Arc::downgrade(&process));
        process
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The path that it was started from.
    pub fn executable(&self) -> &[u8] {
        &self.executable
    }

    /// Says which task runs it, before it does.
    pub(crate) fn set_task(&self, task: &Arc<Task>) {
        self.task.call_once(|| Arc::downgrade(task));
    }

    /// The task that runs it; `None` before its start and after its end.
    pub fn task(&self) -> Option<Arc<Task>> {
        self.task.get().and_then(Weak::upgrade)
    }

    /// How it ended; `None` while it runs.
    pub fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock()
    }

    /// Says how it ended; the first word counts.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        self.outcome.lock().get_or_insert(outcome);
        self.ended.wake_all();
    }

    /// Sleeps until it has ended; how. Its pages and files are free by then.
    pub fn wait(&self) -> Outcome {
        self.ended.wait(|| self.outcome())
    }

    /// Sends it a signal. May be called from interrupt handlers.
    pub fn send(&self, signal: Signal) {
        if self.signals.add(signal)
            && let Some(task) = self.task()
        {
            task.interrupt();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        ALL.lock().remove(&self.pid);
    }
}

/// All processes that somebody still knows, by number.
pub fn processes() -> Vec<Arc<Process>> {
    ALL.lock().values().filter_map(Weak::upgrade).collect()
}
