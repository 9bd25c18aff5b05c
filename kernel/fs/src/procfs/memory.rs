//! How many frames are used for what, as `/proc/meminfo`, `/proc/vmstat` and sysinfo(2) tell it.

use memory::frames::{self, FrameUse};
use vm::cache;

/// Frames, each a page of 4 KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryUse {
    /// All that there are.
    pub total: usize,
    /// Free ones.
    pub free: usize,
    /// Those that programs could have: free ones but for the reserve, and clean pages of files.
    pub available: usize,
    /// Pages of files on devices.
    pub files: usize,
    /// Memory that programs share, and what tmpfs holds.
    pub shared: usize,
    /// Pages of files that are newer than what is stored.
    pub dirty: usize,
    /// Pages of files that are being stored.
    pub written_back: usize,
}

/// Frames for any of these uses.
pub(super) fn frames_for(wanted: &[FrameUse]) -> usize {
    wanted.iter().map(|frame_use| frames::frames_for(*frame_use)).sum()
}

/// What memory is used for now. The numbers are of moments close to each other.
pub fn memory_use() -> MemoryUse {
    let all = frames::statistics();
    let in_memory = cache::pages_in_memory();
    let files = cache::cached_pages().saturating_sub(in_memory);
    let (dirty, written_back) = (cache::dirty(), cache::written_back());
    let clean = files.saturating_sub(cache::dirty_pages());
    MemoryUse {
        total: all.total,
        free: all.free,
        available: (all.free.saturating_sub(all.reserve) + clean).min(all.total),
        files,
        shared: frames_for(&[FrameUse::SharedMemory]) + in_memory,
        dirty,
        written_back,
    }
}
