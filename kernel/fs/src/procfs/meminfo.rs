//! `/proc/meminfo`: what memory is used for, in KiB.

use abi::Result;
use memory::frames::{self, FrameUse};

use crate::pseudo::Text;

/// Bytes of a frame in KiB.
const FRAME_KIB: u64 = 4;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let all = frames::statistics();
    let used_for = |wanted: &[FrameUse]| -> usize {
        let uses = frames::usage().filter(|(frame_use, _)| wanted.contains(frame_use));
        uses.map(|(_, frames)| frames).sum()
    };
    let shared = used_for(&[FrameUse::SharedMemory]);
    for (name, frames) in [
        ("MemTotal", all.total),
        ("MemFree", all.free),
        ("MemAvailable", all.free.saturating_sub(all.reserve)),
        ("Buffers", 0),
        ("Cached", shared + used_for(&[FrameUse::FileCache])),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("AnonPages", used_for(&[FrameUse::Anonymous])),
        ("Shmem", shared),
        ("Slab", used_for(&[FrameUse::Heap, FrameUse::HeapSingle])),
        ("KernelStack", used_for(&[FrameUse::KernelStack])),
        ("PageTables", used_for(&[FrameUse::UserTable])),
        ("VmallocUsed", used_for(&[FrameUse::Vmalloc])),
        ("Percpu", used_for(&[FrameUse::PerCpu])),
    ] {
        let kib = frames as u64 * FRAME_KIB;
        let blanks = 15_usize.saturating_sub(name.len());
        to.write(format_args!("{name}:{:blanks$}{kib:>8} kB\n", ""))?;
    }
    Ok(())
}
