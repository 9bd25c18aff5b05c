//! What `/proc` has about processes (proc(5)), put into the root of [`fs::procfs`]: a directory
//! for each by its number, and `self`. One file here for each file there.
//!
//! | file | what |
//! |---|---|
//! | `processes.rs` | the numbers in `/proc`, and `self` |
//! | `directory.rs` | the directory of a process, with the list of its files |
//! | `maps.rs`, `statm.rs`, `stat.rs`, `status.rs`, `cmdline.rs`, `comm.rs` | texts |
//! | `links.rs` | `cwd`, `exe` and `root` |
//! | `descriptors.rs` | `fd` |

mod cmdline;
mod comm;
mod descriptors;
mod directory;
mod links;
mod maps;
mod processes;
mod stat;
mod statm;
mod status;
#[cfg(not(test))]
mod tests;

use alloc::sync::Arc;

use fs::pseudo::Node;

use processes::{Processes, own_number};

/// Puts all of it into procfs. Call once.
pub(crate) fn init() {
    let root = fs::procfs::root();
    root.put("self", Node::link(own_number));
    root.compute(Arc::new(Processes));
}
