//! What is off while a lock is held. The guard of the discipline is taken before the
//! lock and released after it.

use arch::cpu::interrupts;

use super::cpus::Recorded;
use super::held::Kind;
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
    #[inline(always)]
    fn enter() -> Self::Guard {
        preempt::disable_for_lock()
    }
}

/// Interrupts and preemption are off. For data that interrupt handlers touch too.
#[derive(Debug)]
pub struct IrqOff;

impl sealed::Sealed for IrqOff {}
impl Discipline for IrqOff {
    type Guard = IrqGuard;
    #[inline(always)]
    fn enter() -> Self::Guard {
        irq_off_for_lock()
    }
}

/// Interrupts are off until this is dropped.
#[must_use = "interrupts are enabled again when this is dropped"]
#[derive(Debug)]
pub struct IrqGuard {
    were_enabled: bool,
    recorded: Recorded,
    // Declared last: preemption comes back after interrupts.
    preempt: preempt::PreemptGuard,
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        self.recorded.end(Kind::Interrupts);
        interrupts::restore(self.were_enabled);
    }
}

impl IrqGuard {
    /// That preemption is off, too.
    #[inline(always)]
    pub fn preempt(&self) -> &preempt::PreemptGuard {
        &self.preempt
    }
}

/// Turns interrupts and preemption off.
#[cfg_attr(debug_assertions, track_caller)]
pub fn irq_off() -> IrqGuard {
    let mut guard = irq_off_for_lock();
    guard.recorded = Recorded::new(Kind::Interrupts);
    guard
}

/// As [`irq_off`], for a lock: the lock is recorded, and not this.
fn irq_off_for_lock() -> IrqGuard {
    let preempt = preempt::disable_for_lock();
    IrqGuard { were_enabled: interrupts::save_and_disable(), recorded: Recorded::NO, preempt }
}
