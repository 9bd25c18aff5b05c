//! What is free, and who gets it.
//!
//! Files: `blocks.rs` blocks are taken, `free.rs` given back, `inodes.rs` inodes both.

mod blocks;
mod free;
mod inodes;

pub(crate) use blocks::{Goal, Wanted};
