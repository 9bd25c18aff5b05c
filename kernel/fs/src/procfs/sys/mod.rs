//! `/proc/sys`: what can be read and set of the kernel (sysctl(8)), one file for each folder.

mod kernel;
mod random;
mod vm;

use alloc::sync::Arc;

use crate::pseudo::{Folder, Node};

/// Fills `/proc/sys`, and `/proc/sys/kernel`, which gets into it.
pub(super) fn fill(sys: &Folder, folder: &Arc<Folder>) {
    sys.put("kernel", Node::folder(folder));
    kernel::fill(folder);
    random::fill(&folder.put_folder("random"));
    vm::fill(&sys.put_folder("vm"));
}
