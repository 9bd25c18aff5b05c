//! procfs (proc(5)): what the kernel knows of processes, and some of the machine.
//!
//! Here stands what floors up to this one know, one file for each file or two. What is about
//! processes comes from above, into [`root`]: `kernel/process/src/procfs`.

mod filesystems;
mod meminfo;
mod mounts;
mod uptime;

use alloc::sync::Arc;

use spin::Once;

use crate::pseudo::{Folder, Manners, Node, PseudoKind};
use crate::vfs::register;

static KIND: PseudoKind = PseudoKind::new("proc", "/proc", Manners::Proc, root);

/// The root directory, to which any floor may add.
pub fn root() -> &'static Arc<Folder> {
    static ROOT: Once<Arc<Folder>> = Once::new();
    ROOT.call_once(|| Folder::with_mode(0o555))
}

/// Makes the file system known, with what this floor has of it. Call once.
pub(crate) fn init() {
    let root = root();
    root.put("filesystems", Node::text(filesystems::show));
    root.put("meminfo", Node::text(meminfo::show));
    root.put("mounts", Node::text(mounts::show));
    root.put("uptime", Node::text(uptime::show));
    register(&KIND);
}

pub use mounts::show as show_mounts;
