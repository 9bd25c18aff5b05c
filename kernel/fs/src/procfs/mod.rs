//! procfs (proc(5)): what the kernel knows of processes, and some of the machine.
//!
//! Here stands what floors up to this one know, one file for each file or two. What is about
//! processes comes from above, into [`root`]: `kernel/process/src/procfs`.

mod cpu_flags;
mod cpuinfo;
mod disks;
mod filesystems;
mod interrupts;
mod meminfo;
mod memory;
mod mountinfo;
mod mounts;
mod stat;
mod sys;
mod uptime;
mod version;
mod vmstat;

use alloc::borrow::Cow;
use alloc::sync::Arc;

use abi::Result;
use spin::Once;

use crate::pseudo::{Folder, Manners, Node, PseudoKind, Text};
use crate::vfs::{LinkTarget, register};

static KIND: PseudoKind = PseudoKind::new("proc", "/proc", Manners::Proc, root);

/// The root directory, to which any floor may add.
pub fn root() -> &'static Arc<Folder> {
    static ROOT: Once<Arc<Folder>> = Once::new();
    ROOT.call_once(|| Folder::with_mode(0o555))
}

/// `/proc/sys`, to which any floor may add.
pub fn sys() -> &'static Arc<Folder> {
    static SYS: Once<Arc<Folder>> = Once::new();
    SYS.call_once(Folder::new)
}

/// `/proc/sys/kernel`, to which any floor may add.
pub fn sys_kernel() -> &'static Arc<Folder> {
    static KERNEL: Once<Arc<Folder>> = Once::new();
    KERNEL.call_once(Folder::new)
}

/// Shows what the boot loader gave the kernel to read. Call once.
pub fn set_command_line(line: &'static str) {
    root().put("cmdline", Node::text(move |to| to.write(format_args!("{line}\n"))));
}

/// Makes the file system known, with what this floor has of it. Call once.
pub(crate) fn init() {
    let root = root();
    for (name, show) in [
        ("cpuinfo", cpuinfo::show as fn(&mut Text) -> Result<()>),
        ("diskstats", disks::statistics),
        ("filesystems", filesystems::show),
        ("interrupts", interrupts::show),
        ("locks", crate::locks::show),
        ("meminfo", meminfo::show),
        ("partitions", disks::partitions),
        ("stat", stat::show),
        ("swaps", disks::swaps),
        ("uptime", uptime::show),
        ("version", version::show),
        ("vmstat", vmstat::show),
    ] {
        root.put(name, Node::text(show));
    }
    root.put("mounts", Node::link(|| Ok(LinkTarget::Text(Cow::Borrowed(b"self/mounts")))));
    root.put("sys", Node::folder(sys()));
    sys::fill(sys(), sys_kernel());
    register(&KIND);
}

pub use memory::{MemoryUse, memory_use};
pub use mountinfo::show as show_mountinfo;
pub use mounts::show as show_mounts;
