//! [`Foreground`]: the processes that ^C on the console is for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Signal;
use base::sync::IrqSpinLock;
use drivers::console_input::{self, InterruptWatch};

use crate::process::Process;

/// How often ^C asks (SIGINT) before it forces (SIGKILL).
const PATIENCE: u32 = 3;

struct Group {
    processes: Vec<Arc<Process>>,
    interrupts: u32,
}

static GROUP: IrqSpinLock<Group> =
    IrqSpinLock::new("foreground", Group { processes: Vec::new(), interrupts: 0 });

/// While this exists, ^C sends SIGINT to its processes; the third one, SIGKILL.
#[derive(Debug)]
pub struct Foreground {
    _watch: InterruptWatch,
}

impl Foreground {
    /// Puts `processes` in front. One at a time.
    pub fn new(processes: Vec<Arc<Process>>) -> Self {
        *GROUP.lock() = Group { processes, interrupts: 0 };
        Self { _watch: InterruptWatch::start() }
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Dropped outside the lock: a process may own much.
        let processes = core::mem::take(&mut GROUP.lock().processes);
        drop(processes);
    }
}

/// Called from the console's interrupt handler.
fn on_interrupt() {
    let mut group = GROUP.lock();
    group.interrupts += 1;
    let signal = if group.interrupts < PATIENCE { Signal::SIGINT } else { Signal::SIGKILL };
    for process in &group.processes {
        process.send(signal);
    }
}

/// Takes over ^C.
pub(crate) fn init() {
    console_input::set_interrupt_hook(on_interrupt);
}
