//! Floor 0: the Linux ABI: errno, constants, structs, initial stack.
//!
//! The values come from `linux-raw-sys`, which is generated from Linux's own
//! headers; this crate gives them types and names.
//!
//! - [`Errno`] and [`Result`]: how a system call fails.
//! - [`nr`]: system-call numbers; [`syscall_name`] for the log.
//! - [`signal`], [`wait_status`]: signals and how a process ended.
//! - [`stack_image`]: argc, argv, envp and auxv of a new program as bytes.
//! - `auxv`, `fcntl`, `mman`, `stat` and so on: constants and structs by topic.
//!
//! Used by every floor that serves a system call (`kernel/process`,
//! `kernel/syscall`, `kernel/fs`, `kernel/vm`).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod errno;
mod groups;
pub mod nr;
pub mod signal;
pub mod stack_image;
pub mod wait_status;

pub use errno::{Errno, Result, to_return};
pub use groups::*;
pub use nr::syscall_name;
pub use signal::Signal;
