//! `/proc/PID/task`: a directory for each thread of a process: for its only one.

use abi::{Errno, Result};
use alloc::sync::Arc;
use fs::Kind;
use fs::pseudo::{Directory, Node, Visit};

use super::directory::{ProcessDirectory, Subject};
use super::processes::number;

/// The directory. The only thread has the number of its process.
pub(super) struct Threads(Subject);

impl Threads {
    pub(super) fn new(subject: Subject) -> Self {
        Self(subject)
    }
}

impl Directory for Threads {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        self.0.process().map_err(|_| Errno::ENOENT)?;
        let is_it = *number(self.0.pid()) == *name;
        let directory = || Node::Directory(Arc::new(ProcessDirectory::of_thread(self.0.clone())));
        Ok(is_it.then(directory))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        self.0.process().map_err(|_| Errno::ENOENT)?;
        if from == 0 {
            let _ = visit(0, &number(self.0.pid()), Kind::Directory); // the last one anyway
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn mode(&self) -> u32 {
        0o555
    }
}
