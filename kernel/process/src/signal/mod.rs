//! Signals (signal(7)): what a process does about them ([`Signals`]), what a thread blocks
//! ([`ThreadSignals`]), and how one is delivered ([`deliver`]): on the way back to user
//! mode, by its default action or by a call of the program's handler with a frame on its
//! stack ([`frame`]).
//!
//! Stopping and queueing are not there yet: a signal sent twice before it is delivered
//! comes once, also a real-time one.

mod deliver;
mod frame;
mod state;

pub use deliver::{deliver_pending, force};
pub use frame::sigreturn;
pub use state::{Action, SignalSets, SignalStack, Signals, ThreadSignals};
