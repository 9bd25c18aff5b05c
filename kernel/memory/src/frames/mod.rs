//! Physical frames of 4 KiB.
//!
//! The truth is a bitmap ([`bitmap::FrameBitmap`]) under one lock, in [`allocator`].
//! What the rest of the kernel holds are owners that free on drop: [`Frame`] and
//! [`FrameRun`]. Frames for user programs are refused while only the kernel's reserve is
//! left ([`Purpose::User`]), so that the kernel can still act when a program has eaten
//! all there was.

mod allocator;
mod init;
mod owner;

pub use allocator::{Purpose, Statistics, check_user_may_allocate, free_unowned, statistics};
pub(crate) use init::init;
pub use init::{Region, RegionKind, regions, top_of_ram};
pub use owner::{Frame, FrameRun};
