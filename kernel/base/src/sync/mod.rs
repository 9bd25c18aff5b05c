//! Locks that spin, and the checker for all locks.
//!
//! - [`spin`]: the locks. What a lock forbids while it is held is part of its type: see
//!   [`discipline`]. Locks that sleep are on floor 4.
//! - [`class`]: a lock's class is its name. [`statistics`] for each class.
//! - Debug builds check all locks, as Linux's lockdep does: [`checker`] is what a lock calls,
//!   [`order`] has the rules, [`report`] the words; [`held`] and [`cpus`] are what tasks and CPUs
//!   hold, [`trace`] where they took it; [`watch`] tells of long holds. [`sleeping`] is the door for
//!   floor 4's locks, [`may_sleep`] the check of all that sleeps.

#[expect(clippy::result_large_err, reason = "nothing can be allocated here, and errors end it all")]
mod checker;
mod class;
pub mod cpus;
pub mod discipline;
pub mod held;
pub mod may_sleep;
#[expect(clippy::result_large_err, reason = "as for `checker`")]
mod order;
pub mod planted;
mod report;
pub mod sleeping;
pub mod spin;
pub mod statistics;
mod trace;
mod watch;

pub use class::Tag;
pub use discipline::{Discipline, IrqOff, PreemptOff};
pub use held::HeldLocks;
pub use may_sleep::{Atomic, assert_may_sleep};
pub use spin::{Guard, IrqSpinLock, Lock, SpinLock};
pub use trace::Trace;
