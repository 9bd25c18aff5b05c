//! `/proc/meminfo`: what memory is used for, in KiB.

use abi::Result;
use memory::frames::FrameUse;

use super::memory::{frames_for, memory_use};
use crate::pseudo::Text;

/// Bytes of a frame in KiB.
const FRAME_KIB: u64 = 4;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let all = memory_use();
    let slab = frames_for(&[FrameUse::Heap, FrameUse::HeapSingle]);
    for (name, frames) in [
        ("MemTotal", all.total),
        ("MemFree", all.free),
        ("MemAvailable", all.available),
        ("Buffers", 0),
        ("Cached", all.files + all.shared),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", all.dirty),
        ("Writeback", all.written_back),
        ("AnonPages", frames_for(&[FrameUse::Anonymous])),
        ("Shmem", all.shared),
        ("Slab", slab),
        ("SUnreclaim", slab),
        ("KernelStack", frames_for(&[FrameUse::KernelStack])),
        ("PageTables", frames_for(&[FrameUse::UserTable])),
        ("VmallocUsed", frames_for(&[FrameUse::Vmalloc])),
        ("Percpu", frames_for(&[FrameUse::PerCpu])),
    ] {
        let kib = frames as u64 * FRAME_KIB;
        let blanks = 15_usize.saturating_sub(name.len());
        to.write(format_args!("{name}:{:blanks$}{kib:>8} kB\n", ""))?;
    }
    Ok(())
}
