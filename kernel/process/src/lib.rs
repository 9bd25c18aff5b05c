//! Floor 10: processes.
//!
//! A [`Process`] is a program that runs: descriptors, signal actions, how it ended. Its one
//! [`Thread`] is what makes a kernel task a user program's: address space, thread pointer,
//! signal mask. [`exec::start`] makes a process of an ELF file; [`trap`] says what happens
//! when user code faults, [`signal`] what when it is sent a signal; [`console`] is the file
//! behind descriptors 0, 1 and 2.
//!
//! Start-up: [`init`], after the drivers and before the first program.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

pub mod console;
pub mod exec;
pub mod fds;
mod foreground;
#[cfg(not(test))]
mod leak_tests;
mod outcome;
mod process;
pub mod rseq;
pub mod signal;
mod thread;
mod trap;

pub use foreground::Foreground;
pub use outcome::{Cause, Outcome};
pub use process::{Process, processes};
pub use thread::{Thread, exit, with_thread};

/// Takes over faults of user code, and ^C. Call once.
pub fn init() {
    trap::init();
    foreground::init();
}
