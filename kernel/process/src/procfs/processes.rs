//! `/proc` itself: the numbers of all processes, and `self`.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt::Write;

use abi::{Errno, Result};
use arrayvec::ArrayString;
use fs::pseudo::{Directory, Node, Visit};
use fs::{Kind, LinkTarget};

use super::directory::ProcessDirectory;
use crate::thread::with_thread;
use crate::tree::{find, processes_from};

/// Room for a number in decimal.
pub(super) type Number = ArrayString<20>;

pub(super) fn number(pid: u32) -> Number {
    let mut text = Number::new();
    let _ = write!(text, "{pid}"); // there is room
    text
}

/// The process of a number, which is written in one way only.
fn process_of(name: &str) -> Option<Arc<crate::Process>> {
    let pid = name.parse().ok().filter(|pid| *number(*pid) == *name)?;
    find(pid)
}

/// Where `self` leads: to the caller's directory.
pub(super) fn own_number() -> Result<LinkTarget<'static>> {
    let pid = with_thread(|thread| thread.process.pid()).ok_or(Errno::ENOENT)?;
    Ok(LinkTarget::Text(Cow::Owned(number(pid).as_bytes().into())))
}

/// Where `thread-self` leads: to the directory of the caller's thread.
pub(super) fn own_thread() -> Result<LinkTarget<'static>> {
    let (pid, tid) =
        with_thread(|thread| (thread.process.pid(), thread.tid())).ok_or(Errno::ENOENT)?;
    let mut text = ArrayString::<48>::new();
    let _ = write!(text, "{pid}/task/{tid}"); // there is room
    Ok(LinkTarget::Text(Cow::Owned(text.as_bytes().into())))
}

/// A directory for each process.
pub(super) struct Processes;

impl Directory for Processes {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let directory = |process| Node::Directory(Arc::new(ProcessDirectory::new(&process)));
        Ok(process_of(name).map(directory))
    }

    /// The keys are the numbers.
    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        for process in processes_from(u32::try_from(from).unwrap_or(u32::MAX)) {
            let pid = process.pid();
            drop(process);
            if visit(pid.into(), &number(pid), Kind::Directory).is_break() {
                break;
            }
        }
        Ok(())
    }
}
