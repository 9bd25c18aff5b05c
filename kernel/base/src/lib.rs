//! Floor 2: what every kernel crate stands on.
//!
//! Locks whose type names the IRQ discipline ([`sync`]), per-CPU data ([`percpu`]) and
//! the preemption count ([`preempt`]), the CPUs and what they ask of each other ([`smp`],
//! [`cpu_set`]); the log ([`log_sink`], [`modules`]) and the console
//! ([`console`]); what happens on a trap ([`trap`]), an interrupt ([`irq`]) and a panic
//! ([`panic`], which stops the others by [`nmi`]), and what is done about a CPU
//! that is stuck ([`watchdog`]); with backtraces ([`backtrace`]) in words ([`symbols`]); the clock
//! ([`time`]); registers of devices by type ([`registers`]), and what is called at boot
//! ([`initcall`]); claimed I/O ports ([`io_ports`]); boxes that may not be had ([`fallible`]);
//! kernel tests ([`ktest`]); the way out of QEMU ([`exit`]); ways to crash on
//! purpose ([`crash`]).
#![no_std]

extern crate alloc;
// `#[kernel_test]` names this crate by its path from outside.
extern crate self as base;

module!();

pub mod backtrace;
pub mod console;
pub mod cpu_set;
pub mod crash;
pub mod entry;
pub mod exit;
pub mod fallible;
pub mod initcall;
pub mod io_ports;
pub mod irq;
pub mod ktest;
pub mod log_ring;
pub mod log_sink;
pub mod modules;
pub mod nmi;
pub mod panic;
pub mod percpu;
pub mod preempt;
pub mod registers;
pub mod smp;
pub mod symbols;
pub mod sync;
pub mod time;
pub mod trap;
pub mod watchdog;

pub use macros::kernel_test;
