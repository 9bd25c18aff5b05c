//! `/sys/devices/system/node`: memory by its distance from CPUs. All of it counts as one node,
//! as on a Linux without tables about that.

use abi::Result;
use base::smp;
use memory::frames::{self, FrameUse};

use crate::pseudo::{Folder, Node, Text};

/// KiB of a frame.
const FRAME_KIB: usize = 4;

/// Puts all of it into the folder.
pub(super) fn add(folder: &Folder) {
    for name in ["has_cpu", "has_memory", "online", "possible"] {
        folder.put(name, Node::text(|to| to.push(b"0\n")));
    }
    let node = folder.put_folder("node0");
    node.put("cpulist", Node::text(|to| to.write(format_args!("{}\n", smp::online()))));
    node.put("cpumap", Node::text(|to| to.write(format_args!("{:x}\n", smp::online().bits()))));
    node.put("distance", Node::text(|to| to.push(b"10\n")));
    node.put("meminfo", Node::text(meminfo));
}

fn meminfo(to: &mut Text) -> Result<()> {
    let all = frames::statistics();
    for (name, frames) in [
        ("MemTotal", all.total),
        ("MemFree", all.free),
        ("MemUsed", all.total - all.free),
        ("AnonPages", frames::frames_for(FrameUse::Anonymous)),
        ("Shmem", frames::frames_for(FrameUse::SharedMemory)),
        ("KernelStack", frames::frames_for(FrameUse::KernelStack)),
        ("PageTables", frames::frames_for(FrameUse::UserTable)),
    ] {
        let blanks = 15_usize.saturating_sub(name.len());
        let kib = frames * FRAME_KIB;
        to.write(format_args!("Node 0 {name}:{:blanks$}{kib:>8} kB\n", ""))?;
    }
    Ok(())
}
