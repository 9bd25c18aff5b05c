//! What is free, and who gets it.
//!
//! Files: `blocks.rs` blocks are taken, `windows.rs` in advance, `free.rs` given back,
//! `inodes.rs` inodes both.

mod blocks;
mod free;
mod inodes;
mod windows;

pub(crate) use blocks::{Goal, Wanted};
pub(crate) use windows::{LARGEST, SMALLEST, Windows};
