//! Floor 0: ATA commands, and the structures by which an AHCI controller is given them.
//!
//! A [`Command`] (ATA Command Set 4, ACS-4) becomes a frame of 20 bytes (Serial ATA 3.1, section
//! 10.3.4) in a command table, with a list of the memory for its data; a command header points
//! to the table (Serial ATA AHCI 1.3.1, section 4.2). Nothing here touches memory or a device,
//! so that all of it runs on the host, and no answer makes it panic.
//!
//! | file | what |
//! |---|---|
//! | `command.rs` | [`Command`]s and their frames |
//! | `header.rs` | command headers and memory descriptors of AHCI |
//! | `identify.rs` | [`Identify`]: what a disk says of itself |
//! | `status.rs` | [`TaskFile`], [`Signature`], [`QueuedError`]: what comes back |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod command;
mod header;
mod identify;
mod status;
#[cfg(test)]
mod tests;

pub use command::{Command, MAX_BLOCKS, MAX_TRIM_BLOCKS, TRIM_BYTES, trim_ranges};
pub use header::{CommandHeader, MAX_DESCRIPTOR_BYTES, descriptor};
pub use identify::{IDENTIFY_BYTES, Identify, Text};
pub use status::{QueuedError, Signature, TaskFile};
