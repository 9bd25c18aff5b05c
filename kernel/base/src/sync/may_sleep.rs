//! [`assert_may_sleep`]: the check of every function that may sleep, and [`Atomic`], which
//! says who made this CPU atomic.

use core::fmt;

use arch::cpu::{interrupts, local};

use super::cpus::this_cpu;
use super::held::Hold;

/// Checks that the caller may sleep, even if it will not have to (debug builds): no spin
/// lock is held, and neither preemption nor interrupts are off. Before there are tasks,
/// interrupts may be.
///
/// # Panics
/// If it may not; says who made it so.
#[inline(always)]
#[track_caller]
pub fn assert_may_sleep() {
    if cfg!(debug_assertions)
        && (local::preempt_count() != 0 || (!interrupts::enabled() && !local::current().is_null()))
    {
        sleeping_while_atomic();
    }
}

#[cold]
#[track_caller]
fn sleeping_while_atomic() -> ! {
    panic!("sleeping while atomic: {}", Atomic::now());
}

/// Why this CPU may not sleep. Prints the count, and in debug builds each lock and guard
/// with its place and the stacks of the locks.
#[derive(Clone, Copy, Debug)]
pub struct Atomic {
    count: u32,
    interrupts_on: bool,
    /// What is held: whoever prints this holds more.
    held: usize,
}

impl Atomic {
    /// As it is now; to be printed before anything of it changes.
    #[must_use]
    pub fn now() -> Self {
        Self {
            count: local::preempt_count(),
            interrupts_on: interrupts::enabled(),
            held: this_cpu().map_or(0, |cpu| cpu.held.iter().count()),
        }
    }
}

impl fmt::Display for Atomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.interrupts_on) {
            (0, true) => return f.write_str("it is not"),
            (0, false) => f.write_str("interrupts are off")?,
            (1, _) => f.write_str("preemption is off")?,
            (count, _) => write!(f, "preemption is off ({count} times)")?,
        }
        let Some(cpu) = this_cpu() else { return Ok(()) };
        let holds = || {
            let now = cpu.held.iter().count();
            cpu.held.iter().skip(now.saturating_sub(self.held))
        };
        for hold in holds() {
            write!(f, "; {hold}")?;
        }
        for hold in holds().filter(Hold::has_trace) {
            write!(f, "\n  {hold}, called by\n{}", hold.trace)?;
        }
        Ok(())
    }
}
