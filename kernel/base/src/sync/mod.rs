//! Locks that spin. What a lock forbids while it is held is part of its type: see
//! [`discipline`]; the locks themselves are in [`spin`]. Locks that sleep are on
//! floor 4.

pub mod discipline;
pub mod spin;

pub use discipline::{Discipline, IrqOff, PreemptOff};
pub use spin::{Guard, IrqSpinLock, Lock, SpinLock};
