//! [`AdminQueue`]: commands about the controller itself, each of which a task waits for.

use base::sync::IrqSpinLock;
use memory::OutOfMemory;
use nvme_protocol::{Command, Completion};
use task::{WaitOptions, WaitQueue};

use super::error::NvmeError;
use super::registers::Hardware;
use super::rings::Rings;

/// Entries of the admin queues.
pub(super) const ENTRIES: u16 = 16;
/// Commands at the same time.
const SLOTS: usize = ENTRIES as usize - 1;
/// Nanoseconds between looks for an answer whose interrupt does not come.
const LOOK_NS: u64 = 100_000_000;

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Free,
    Waits,
    /// Who waited has given up: the slot is not free before the answer comes.
    Abandoned,
    Answered(Completion),
}

struct State {
    rings: Rings,
    slots: [Slot; SLOTS],
    /// The controller does not take commands.
    stopped: bool,
}

/// The admin queues of a controller.
pub(super) struct AdminQueue {
    state: IrqSpinLock<State>,
    answered: WaitQueue,
}

impl State {
    /// Takes all answers. Whether there were any.
    fn take_answers(&mut self) -> bool {
        let mut any = false;
        while let Ok(Some(answer)) = self.rings.pop() {
            any = true;
            match self.slots.get_mut(usize::from(answer.id())) {
                Some(slot @ Slot::Waits) => *slot = Slot::Answered(answer),
                Some(slot @ Slot::Abandoned) => *slot = Slot::Free,
                // An answer to nothing is not worth more than that.
                Some(Slot::Free | Slot::Answered(_)) | None => {}
            }
        }
        if any {
            self.rings.acknowledge();
        }
        any
    }
}

impl AdminQueue {
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(hardware: &Hardware) -> Result<Self, OutOfMemory> {
        let rings = Rings::new(hardware, 0, ENTRIES)?;
        let state = State { rings, slots: [Slot::Free; SLOTS], stopped: true };
        Ok(Self {
            state: IrqSpinLock::new("NVMe admin queue", state),
            answered: WaitQueue::new("an NVMe controller"),
        })
    }

    /// Where the queues are in memory.
    pub(super) fn addresses(&self) -> (u64, u64) {
        self.state.lock().rings.addresses()
    }

    /// The controller does not take commands any more; who waits for one gets an error.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.answered.wake_all();
    }

    /// Begins anew with a controller that was just reset, and has no queue in use.
    pub(super) fn start(&self) {
        let mut state = self.state.lock();
        state.rings.reset();
        // What was abandoned will not be answered any more.
        state.slots.iter_mut().filter(|slot| **slot == Slot::Abandoned).for_each(|slot| {
            *slot = Slot::Free;
        });
        state.stopped = false;
    }

    /// In an interrupt handler: takes answers. Whether there were any.
    pub(super) fn on_interrupt(&self) -> bool {
        let any = self.state.lock().take_answers();
        if any {
            self.answered.wake_all();
        }
        any
    }

    /// Has the controller carry out a command, and waits up to `patience` nanoseconds.
    ///
    /// # Errors
    /// `Refused`, `TimedOut`; `Gone` if it does not take commands; `OutOfMemory` if it has too
    /// many already.
    pub(super) fn execute(&self, command: Command, patience: u64) -> Result<Completion, NvmeError> {
        let slot = self.submit(command)?;
        let end = base::time::now_ns().saturating_add(patience);
        loop {
            let now = base::time::now_ns();
            let options = WaitOptions::until(now.saturating_add(LOOK_NS).min(end));
            let outcome = self.answered.wait_with(options, || self.outcome(slot));
            match outcome {
                Ok(result) => return result.and_then(succeeded),
                Err(_) if base::time::now_ns() < end => {}
                Err(_) => return Err(self.abandon(slot)),
            }
        }
    }

    fn submit(&self, command: Command) -> Result<usize, NvmeError> {
        let mut state = self.state.lock();
        if state.stopped {
            return Err(NvmeError::Gone);
        }
        let free = state.slots.iter().position(|slot| *slot == Slot::Free);
        let slot = free.ok_or(NvmeError::OutOfMemory)?;
        if !state.rings.push(&command.with_id(slot as u16)) {
            return Err(NvmeError::OutOfMemory);
        }
        state.rings.ring();
        if let Some(slot) = state.slots.get_mut(slot) {
            *slot = Slot::Waits;
        }
        Ok(slot)
    }

    /// How the command in `slot` ended, if it has: it is looked for, in case that the interrupt
    /// does not come.
    fn outcome(&self, slot: usize) -> Option<Result<Completion, NvmeError>> {
        let mut state = self.state.lock();
        state.take_answers();
        let stopped = state.stopped;
        let slot = state.slots.get_mut(slot)?;
        let outcome = match *slot {
            Slot::Answered(answer) => Ok(answer),
            _ if stopped => Err(NvmeError::Gone),
            _ => return None,
        };
        *slot = Slot::Free;
        Some(outcome)
    }

    fn abandon(&self, slot: usize) -> NvmeError {
        if let Some(slot) = self.state.lock().slots.get_mut(slot) {
            *slot = if let Slot::Answered(_) = *slot { Slot::Free } else { Slot::Abandoned };
        }
        NvmeError::TimedOut
    }
}

fn succeeded(answer: Completion) -> Result<Completion, NvmeError> {
    let status = answer.status();
    if status.is_success() { Ok(answer) } else { Err(NvmeError::Refused(status)) }
}
