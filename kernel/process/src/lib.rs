//! Floor 10: processes.
//!
//! A [`Process`] is a program that runs: descriptors, signal actions, how it ended. Its one
//! [`Thread`] is what makes a kernel task a user program's: address space, thread pointer,
//! signal mask. [`exec::start`] makes a process of an ELF file, [`fork::fork`] one of another
//! process; [`tree`] knows all, and who is whose child. [`trap`] says what happens when user
//! code faults, [`signal`] what when it is sent a signal, [`oom`] what when there is no
//! memory. [`console`] is the file behind descriptors 0, 1 and 2, [`Foreground`] the job that
//! ^C there is for, [`procfs`] what `/proc` says of processes.
//!
//! Start-up: [`init`], after the drivers and before the first program.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

base::module!();

use memory::OutOfMemory;

pub mod console;
pub mod exec;
pub mod fds;
mod foreground;
pub mod fork;
#[cfg(not(test))]
mod leak_tests;
pub mod limits;
mod oom;
mod outcome;
mod places;
mod process;
mod procfs;
pub mod rseq;
pub mod signal;
mod terminals;
mod thread;
mod trap;
mod tree;

pub use foreground::Foreground;
pub use outcome::{Cause, Outcome};
pub use places::Places;
pub use process::Process;
pub use thread::{Thread, exit, with_thread};
pub use tree::{Children, find, max_processes, processes};

/// Takes over faults of user code and ^C, and puts processes into `/proc` and terminals behind
/// their nodes. Call once.
///
/// # Errors
/// [`OutOfMemory`]: ^C does not reach programs.
pub fn init() -> Result<(), OutOfMemory> {
    trap::init();
    procfs::init();
    terminals::init();
    foreground::init()
}
