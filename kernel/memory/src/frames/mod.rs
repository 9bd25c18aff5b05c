//! Physical frames of 4 KiB.
//!
//! What is free is in bitmaps ([`bitmap::FrameBitmap`], one for each of the [`zones`]) under one
//! lock, in [`allocator`], with a [`cache`] of free frames for each CPU in front; and for each
//! frame of RAM a few bytes of [`metadata`]: what it is for ([`FrameUse`]) and how many hold
//! it. What the rest of the kernel has are references that count: [`Frame`], [`FrameRun`] and
//! [`LargeFrame`]; the last one that is dropped frees the frame. A page-table entry that maps
//! a frame holds a reference, too, given up as an address ([`Frame::into_address`],
//! [`shared`]).
//!
//! Frames on behalf of user programs are refused while only the kernel's reserve is left
//! ([`FrameUse::is_for_user`]), so that the kernel can still act when a program has eaten
//! all there was.

mod allocator;
mod allowance;
mod audit;
mod cache;
mod flagged;
mod init;
mod large;
mod metadata;
mod owner;
#[cfg_attr(not(debug_assertions), expect(dead_code, reason = "debug builds alone poison"))]
mod poison;
mod release;
mod shared;
#[cfg(not(test))]
mod tests;
mod usage;
mod zones;

pub use allocator::{
    Statistics, ZoneStatistics, cached_frames, frames_for, free_unowned, statistics, total, usage,
    zones,
};
pub(crate) use allocator::{drain_caches, has_caches, use_all_memory, use_caches};
pub use allowance::{Allowance, check_user_may_allocate, check_user_may_take};
pub use audit::{Audit, Disorder, audit, audit_patiently};
pub use flagged::FlaggedFrame;
pub(crate) use init::init;
pub use init::{Region, RegionKind, regions, top_of_ram};
pub use large::{LARGE_FRAMES, LargeFrame};
pub use metadata::{METADATA_BYTES, metadata_frames};
pub(crate) use metadata::{is_used_for, use_of};
pub use owner::{Frame, FrameRun};
pub(crate) use poison::PATTERN;
pub use shared::{
    is_shared_by_many, mapping, reference_count, release_range, share_address, share_range,
    zero_page,
};
pub use usage::FrameUse;
