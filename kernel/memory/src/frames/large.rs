//! [`LargeFrame`]: what a 2 MiB page maps.

use core::mem::ManuallyDrop;

use arch::paging::PhysAddr;

use super::allocator::{Effort, statistics, take_run};
use super::owner::clear;
use super::release::release_frames;
use super::usage::FrameUse;
use crate::OutOfMemory;

/// Frames in a [`LargeFrame`].
pub const LARGE_FRAMES: usize = 512;

/// 512 frames in a row, naturally aligned, each with a reference of its own: so a mapping of
/// them can be split into small pages without a change of any count.
#[derive(Debug)]
pub struct LargeFrame(PhysAddr);

impl LargeFrame {
    /// 2 MiB whose bytes are all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`], also when memory is short: less than an eighth is free. Single
    /// frames are then what is left, and better used.
    pub fn zeroed(frame_use: FrameUse) -> Result<Self, OutOfMemory> {
        let statistics = statistics();
        if statistics.free < statistics.total / 8 + LARGE_FRAMES {
            return Err(OutOfMemory);
        }
        let start = take_run(LARGE_FRAMES, LARGE_FRAMES, u64::MAX, frame_use, Effort::Glance)?;
        clear(start, LARGE_FRAMES);
        Ok(Self(start))
    }

    /// Where the first byte is.
    pub fn address(&self) -> PhysAddr {
        self.0
    }

    /// Its address; the references to all 512 frames are given up and held by it.
    pub fn into_address(self) -> PhysAddr {
        ManuallyDrop::new(self).0
    }
}

impl Drop for LargeFrame {
    #[inline(always)] // so that a double free names who drops
    fn drop(&mut self) {
        release_frames(self.0, LARGE_FRAMES);
    }
}
