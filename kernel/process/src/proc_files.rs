//! What there is of `/proc` (proc(5)): `meminfo`, and `maps` and `statm` of each process, the
//! caller's as `self`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::Result;
use arch::paging::PAGE_SIZE;
use fs::Text;
use memory::frames::{self, FrameUse};
use vm::AddressSpace;

use crate::thread::with_thread;
use crate::tree::find;

/// The text of a file of `/proc`; `None` for a path without one.
pub(crate) fn generate(path: &[u8]) -> Option<Result<Vec<u8>>> {
    let path = core::str::from_utf8(path.strip_prefix(b"/proc/")?).ok()?;
    if path == "meminfo" {
        return Some(Text::of(format_args!("{MemInfo}")));
    }
    let (process, name) = path.split_once('/')?;
    if !matches!(name, "maps" | "statm") {
        return None;
    }
    let space = match process {
        "self" => with_thread(|thread| thread.space.clone())?,
        // A number is written in one way only.
        number => {
            let pid: u32 = number.parse().ok().filter(|_| !number.starts_with(['+', '0']))?;
            match find(pid)?.space() {
                Some(space) => space,
                // It has ended, and has no memory any more.
                None => return Some(Ok(Vec::new())),
            }
        }
    };
    Some(match name {
        "maps" => Text::of(format_args!("{}", space.maps())),
        _ => statm(&space),
    })
}

/// Sizes in pages: all, resident, shared (not counted), text, 0, data and stack, 0.
fn statm(space: &Arc<AddressSpace>) -> Result<Vec<u8>> {
    let (mut size, mut text, mut data) = (0, 0, 0);
    space.for_each_vma(|vma| {
        let pages = (vma.end - vma.start) / PAGE_SIZE;
        size += pages;
        if vma.access.execute {
            text += pages;
        } else if vma.access.write && !vma.is_shared() {
            data += pages;
        }
    });
    Text::of(format_args!("{size} {} 0 {text} 0 {data} 0\n", space.resident_pages()))
}

struct MemInfo;

impl fmt::Display for MemInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = frames::statistics();
        let used_for = |wanted: &[FrameUse]| -> usize {
            let uses = frames::usage().filter(|(frame_use, _)| wanted.contains(frame_use));
            uses.map(|(_, frames)| frames).sum()
        };
        let shared = used_for(&[FrameUse::SharedMemory]);
        for (name, pages) in [
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
            let kib = pages as u64 * PAGE_SIZE / 1024;
            let blanks = 15 - name.len();
            writeln!(f, "{name}:{:blanks$}{kib:>8} kB", "")?;
        }
        Ok(())
    }
}

#[base::kernel_test]
fn paths_lead_to_texts() {
    let text = |path: &[u8]| generate(path).map(|text| text.expect("memory"));
    let info = text(b"/proc/meminfo").expect("there is one");
    assert!(info.starts_with(b"MemTotal:       "));
    let sized = info.split(|&byte| byte == b'\n').filter(|line| line.ends_with(b" kB"));
    assert_eq!(sized.count(), 14);
    for path in
        ["/proc", "/proc/", "/proc/self/maps", "/proc/0/maps", "/proc/x/maps", "/proc/4000000/maps"]
    {
        assert_eq!(text(path.as_bytes()), None, "{path}");
    }
}
