//! What is off while a lock is held. The guard of the discipline is taken before the
//! lock and released after it.

use arch::cpu::interrupts;

use crate::preempt;

mod sealed {
    pub trait Sealed {}
}

/// A state of this CPU that a lock needs while it is held.
pub trait Discipline: sealed::Sealed {
    /// Entered before the lock is taken, left when dropped.
    type Guard;
    /// Enters the state.
    fn enter() -> Self::Guard;
}

/// Preemption is off. For data that no interrupt handler touches.
#[derive(Debug)]
pub struct PreemptOff;

impl sealed::Sealed for PreemptOff {}
impl Discipline for PreemptOff {
    type Guard = preempt::PreemptGuard;
    fn enter() -> Self::Guard {
        preempt::disable()
    }
}

/// Interrupts and preemption are off. For data that interrupt handlers touch too.
#[derive(Debug)]
pub struct IrqOff;

impl sealed::Sealed for IrqOff {}
impl Discipline for IrqOff {
    type Guard = IrqGuard;
    fn enter() -> Self::Guard {
        irq_off()
    }
}

/// Interrupts are off until this is dropped.
#[must_use = "interrupts are enabled again when this is dropped"]
#[derive(Debug)]
pub struct IrqGuard {
    were_enabled: bool,
    // Declared last: preemption comes back after interrupts.
    _preempt: preempt::PreemptGuard,
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        interrupts::restore(self.were_enabled);
    }
}

/// Turns interrupts and preemption off.
pub fn irq_off() -> IrqGuard {
    let preempt = preempt::disable();
    IrqGuard { were_enabled: interrupts::save_and_disable(), _preempt: preempt }
}
