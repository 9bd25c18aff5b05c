//! `/proc/vmstat`: memory in pages, and what went to disks and came from them, in KiB.

use abi::Result;
use device::block::volumes;
use memory::frames::FrameUse;

use super::memory::{frames_for, memory_use};
use crate::pseudo::Text;

/// KiB of a page.
const PAGE_KIB: usize = 4;

/// KiB read from disks and written to them.
fn transferred() -> (u64, u64) {
    let volumes = volumes();
    let whole = volumes.iter().filter(|volume| volume.partition().is_none());
    whole.fold((0, 0), |(read, written), volume| {
        let (more_read, more_written) = volume.statistics().bytes();
        (read + more_read / 1024, written + more_written / 1024)
    })
}

pub(super) fn show(to: &mut Text) -> Result<()> {
    let all = memory_use();
    let (read, written) = transferred();
    for (name, value) in [
        ("nr_free_pages", all.free as u64),
        ("nr_anon_pages", frames_for(&[FrameUse::Anonymous]) as u64),
        ("nr_file_pages", (all.files + all.shared) as u64),
        ("nr_dirty", all.dirty as u64),
        ("nr_writeback", all.written_back as u64),
        ("nr_shmem", all.shared as u64),
        ("nr_page_table_pages", frames_for(&[FrameUse::UserTable]) as u64),
        ("nr_kernel_stack", (frames_for(&[FrameUse::KernelStack]) * PAGE_KIB) as u64),
        ("pgpgin", read),
        ("pgpgout", written),
        ("pswpin", 0),
        ("pswpout", 0),
    ] {
        to.write(format_args!("{name} {value}\n"))?;
    }
    Ok(())
}
