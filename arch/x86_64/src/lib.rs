//! Floor 1: x86_64 mechanism without policy.
//!
//! How the CPU boots ([`boot`]), what it is ([`cpu`]), how it enters the kernel
//! ([`trap`]) and maps memory ([`paging`]), its interrupt controllers ([`irqchip`]) and
//! timers ([`timer`]), copies to and from user memory ([`user_copy`]), and walks of the
//! stack ([`unwind`]). What to do about a trap or a system call is decided above: the
//! functions in [`hooks`] are the only upward calls.
#![no_std]

extern crate alloc;

pub mod boot;
pub mod cpu;
pub mod hooks;
pub mod irqchip;
pub mod paging;
pub mod port;
pub mod timer;
pub mod trap;
pub mod unwind;
pub mod user_copy;
