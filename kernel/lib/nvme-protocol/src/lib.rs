//! Floor 0: what a driver and an NVMe controller say to each other (NVM Express Base
//! Specification 1.4; section numbers in this crate are its).
//!
//! A driver writes [`Command`]s of 64 bytes into a submission ring and the controller answers
//! with [`Completion`]s of 16 bytes in a completion ring; where each stands is [`SubmissionRing`]
//! and [`CompletionRing`]. Nothing here touches memory or a device, so that all of it runs on
//! the host, and no answer makes it panic.
//!
//! | file | what |
//! |---|---|
//! | `registers.rs` | what the registers of a controller say: [`Capabilities`], [`Configuration`] |
//! | `command.rs` | [`Command`]s |
//! | `completion.rs` | [`Completion`] and [`Status`] |
//! | `ring.rs` | the rings' positions, and the phase of an answer |
//! | `identify.rs` | [`Controller`] and [`Namespace`]: what a controller says of itself |
//! | `pages.rs` | the pages of a transfer (PRP) |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod bytes;
mod command;
mod completion;
mod identify;
mod pages;
mod registers;
mod ring;
#[cfg(test)]
mod tests;

pub use command::{Command, Data, Identify, RANGE_BYTES, deallocate_range};
pub use completion::{Completion, Status};
pub use identify::{
    Controller, Format, IDENTIFY_BYTES, Namespace, foreign_command_set, namespace_list,
};
pub use pages::{PAGE, Pages, pages};
pub use registers::{Capabilities, Configuration, ControllerStatus, Shutdown, Version};
pub use ring::{CompletionRing, SubmissionRing};
