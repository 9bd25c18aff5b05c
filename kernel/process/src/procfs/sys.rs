//! `/proc/sys/kernel`: how many processes there may be. The numbers are the kernel's own.

use fs::pseudo::{Folder, Node};

use crate::tree::{MAX_PID, max_processes};

pub(super) fn fill(folder: &Folder) {
    // One more than the highest, as Linux counts.
    folder.put("pid_max", Node::text(|to| to.write(format_args!("{}\n", MAX_PID + 1))));
    folder.put("threads-max", Node::text(|to| to.write(format_args!("{}\n", max_processes()))));
}
