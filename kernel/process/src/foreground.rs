//! [`Foreground`]: the job that ^C on the console is for, and that may read from it.
//!
//! A job is a process that the shell started, with all its descendants: they share its
//! number. When the shell goes on, what is left of the job runs in the background, where ^C
//! does not reach it and a read of the console fails; the shell's `ps` and `kill` are there
//! for it.

use base::sync::IrqSpinLock;
use drivers::console_input;
use memory::OutOfMemory;
use task::{Policy, WaitQueue};

use abi::Signal;

use crate::tree::processes;

/// How often ^C asks (SIGINT) before it forces (SIGKILL).
const PATIENCE: u32 = 3;
/// The task that sends the signals comes before all programs, however many there are.
const PRIORITY: u8 = 50;

struct Group {
    /// The job in front; 0 for none.
    job: u64,
    last_job: u64,
    /// ^C typed since it is in front, and those that its processes were told of.
    interrupts: u32,
    told: u32,
}

static GROUP: IrqSpinLock<Group> =
    IrqSpinLock::new("foreground", Group { job: 0, last_job: 0, interrupts: 0, told: 0 });

/// Where the task waits for ^C.
static INTERRUPTED: WaitQueue = WaitQueue::new("^C for programs");

/// While this exists, ^C sends SIGINT to its job; the third one, SIGKILL. Whoever makes one
/// also watches ^C (`console_input::InterruptWatch`), or it is a byte like others.
#[derive(Debug)]
pub struct Foreground {
    _one_at_a_time: (),
}

impl Foreground {
    /// A job without processes: those that are started while this exists, and their
    /// descendants. One at a time.
    pub fn new() -> Self {
        let mut group = GROUP.lock();
        group.last_job += 1;
        *group = Group { job: group.last_job, interrupts: 0, told: 0, ..*group };
        Self { _one_at_a_time: () }
    }

    /// Whether ^C has come since this was made. A process that is started meanwhile may
    /// miss it.
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
        GROUP.lock().job = 0;
        // Who still reads there is to stop.
        console_input::readers().wake_all();
    }
}

/// The job in front, 0 for none.
pub(crate) fn job() -> u64 {
    GROUP.lock().job
}

/// Called from the console's interrupt handler.
fn on_interrupt() {
    GROUP.lock().interrupts += 1;
    INTERRUPTED.wake_one();
}

/// The next ^C that the job was not told of.
fn next_interrupt() -> Option<(u64, Signal)> {
    let mut group = GROUP.lock();
    if group.told == group.interrupts || group.job == 0 {
        return None;
    }
    group.told = group.interrupts;
    let signal = if group.told < PATIENCE { Signal::SIGINT } else { Signal::SIGKILL };
    Some((group.job, signal))
}

/// Takes over ^C. A task sends the signals: in an interrupt handler the last reference to a
/// process or a task could not be dropped.
///
/// # Errors
/// [`OutOfMemory`].
pub(crate) fn init() -> Result<(), OutOfMemory> {
    let task = task::spawn("foreground", || {
        loop {
            let (job, signal) = INTERRUPTED.wait(next_interrupt);
            for process in processes().filter(|process| process.job() == job) {
                process.send_as(signal, true);
            }
        }
    })?;
    task.set_policy(Policy::Fifo { priority: PRIORITY });
    console_input::set_interrupt_hook(on_interrupt);
    Ok(())
}
