//! [`Foreground`]: the processes that ^C on the console is for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Signal;
use base::sync::IrqSpinLock;
use drivers::console_input;
use memory::OutOfMemory;

use crate::process::Process;

/// How often ^C asks (SIGINT) before it forces (SIGKILL).
const PATIENCE: u32 = 3;

struct Group {
    processes: Vec<Arc<Process>>,
    interrupts: u32,
}

static GROUP: IrqSpinLock<Group> =
    IrqSpinLock::new("foreground", Group { processes: Vec::new(), interrupts: 0 });

/// While this exists, ^C sends SIGINT to its processes; the third one, SIGKILL. Whoever
/// makes one also watches ^C (`console_input::InterruptWatch`), or it is a byte like others.
#[derive(Debug)]
pub struct Foreground {
    _one_at_a_time: (),
}

impl Foreground {
    /// A group without processes. One at a time.
    pub fn new() -> Self {
        *GROUP.lock() = Group { processes: Vec::new(), interrupts: 0 };
        Self { _one_at_a_time: () }
    }

    /// Adds a process. It is sent the ^C that came before, too.
    ///
    /// # Errors
    /// [`OutOfMemory`]; it is not in front then.
    pub fn add(&self, process: &Arc<Process>) -> Result<(), OutOfMemory> {
        let interrupted = {
            let mut group = GROUP.lock();
            group.processes.try_reserve(1).map_err(|_| OutOfMemory)?;
            group.processes.push(process.clone());
            group.interrupts > 0
        };
        if interrupted {
            process.send(Signal::SIGINT);
        }
        Ok(())
    }

    /// Whether ^C has come since the group was made.
    pub fn is_interrupted(&self) -> bool {
        GROUP.lock().interrupts > 0
    }
}

impl Default for Foreground {
    fn default() -> Self {
        Self::new()
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
