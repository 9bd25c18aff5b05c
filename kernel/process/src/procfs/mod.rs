//! What `/proc` has about processes (proc(5)), put into the root of [`fs::procfs`]: a directory
//! for each by its number, and `self`. One file here for each file there.
//!
//! | file | what |
//! |---|---|
//! | `processes.rs` | the numbers in `/proc`, `self` and `thread-self` |
//! | `loadavg.rs`, `sys.rs` | what else of `/proc` needs processes |
//! | `directory.rs` | the directory of a process, with the list of its files |
//! | `maps.rs`, `statm.rs`, `stat.rs`, `status.rs`, `cmdline.rs`, `comm.rs`, `environ.rs`, `limits.rs`, `oom_score.rs` | texts |
//! | `links.rs` | `cwd`, `exe` and `root` |
//! | `descriptors.rs`, `descriptor_info.rs` | `fd` and `fdinfo` |
//! | `threads.rs` | `task` |

mod cmdline;
mod comm;
mod descriptor_info;
mod descriptors;
mod directory;
mod environ;
mod limits;
mod links;
mod loadavg;
mod maps;
mod oom_score;
mod processes;
mod stat;
mod statm;
mod status;
mod sys;
#[cfg(not(test))]
mod tests;
mod threads;

use alloc::sync::Arc;

use fs::pseudo::Node;

use processes::{Processes, own_number, own_thread};

/// Puts all of it into procfs. Call once.
pub(crate) fn init() {
    let root = fs::procfs::root();
    root.put("self", Node::link(own_number));
    root.put("thread-self", Node::link(own_thread));
    root.put("loadavg", Node::text(loadavg::show));
    sys::fill(fs::procfs::sys_kernel());
    root.compute(Arc::new(Processes));
}
