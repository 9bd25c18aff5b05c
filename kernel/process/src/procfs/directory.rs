//! `/proc/PID`: the directory of a process. It and its files are there until the process is
//! reaped; who has one open longer gets `ESRCH` from it.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use fs::pseudo::{Directory, Link, Node, Text, TextFile, Visit};
use fs::{Kind, LinkTarget};

use super::descriptors::Descriptors;
use super::{cmdline, comm, links, maps, stat, statm, status};
use crate::process::Process;
use crate::tree::find;

/// Writes a text about a process.
type Show = fn(&Process, &mut Text) -> Result<()>;
/// Where a link of a process leads.
type Target = fn(&Process) -> Result<LinkTarget<'static>>;

/// What a file is.
enum File {
    Text(Show),
    Link(Target),
    Descriptors,
}

/// The files, in the order in which they are listed.
const FILES: [(&str, File); 11] = [
    ("cmdline", File::Text(cmdline::show)),
    ("comm", File::Text(comm::show)),
    ("cwd", File::Link(links::directory)),
    ("exe", File::Link(links::program)),
    ("fd", File::Descriptors),
    ("maps", File::Text(maps::show)),
    ("mounts", File::Text(|_, to| fs::procfs::show_mounts(to))),
    ("root", File::Link(links::root)),
    ("stat", File::Text(stat::show)),
    ("statm", File::Text(statm::show)),
    ("status", File::Text(status::show)),
];

/// The process that a file is about.
#[derive(Clone)]
pub(super) struct Subject {
    pid: u32,
    process: Weak<Process>,
}

impl Subject {
    /// The process, unless it was reaped.
    ///
    /// # Errors
    /// `ESRCH`.
    pub(super) fn process(&self) -> Result<Arc<Process>> {
        // Others may keep it longer than the table.
        let found = find(self.pid).filter(|found| Arc::as_ptr(found) == self.process.as_ptr());
        found.ok_or(Errno::ESRCH)
    }

    pub(super) fn is_current(&self) -> bool {
        self.process().is_ok()
    }
}

/// The directory.
pub(super) struct ProcessDirectory(Subject);

impl ProcessDirectory {
    pub(super) fn new(process: &Arc<Process>) -> Self {
        Self(Subject { pid: process.pid(), process: Arc::downgrade(process) })
    }
}

impl Directory for ProcessDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let Some((_, file)) = FILES.iter().find(|(file, _)| *file == name) else {
            return Ok(None);
        };
        self.0.process().map_err(|_| Errno::ENOENT)?;
        let subject = self.0.clone();
        Ok(Some(match *file {
            File::Text(show) => Node::Text(Arc::new(ProcessText { subject, show })),
            File::Link(target) => Node::Link(Arc::new(ProcessLink { subject, target })),
            File::Descriptors => Node::Directory(Arc::new(Descriptors::new(subject))),
        }))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        self.0.process().map_err(|_| Errno::ENOENT)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for (key, (name, file)) in (0..).zip(&FILES).skip(from) {
            let kind = match file {
                File::Text(_) => Kind::Regular,
                File::Link(_) => Kind::Symlink,
                File::Descriptors => Kind::Directory,
            };
            if visit(key, name, kind).is_break() {
                break;
            }
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

struct ProcessText {
    subject: Subject,
    show: Show,
}

impl TextFile for ProcessText {
    fn show(&self, to: &mut Text) -> Result<()> {
        (self.show)(&*self.subject.process()?, to)
    }

    fn is_current(&self) -> bool {
        self.subject.is_current()
    }
}

struct ProcessLink {
    subject: Subject,
    target: Target,
}

impl Link for ProcessLink {
    fn target(&self) -> Result<LinkTarget<'static>> {
        let process = self.subject.process().map_err(|_| Errno::ENOENT)?;
        (self.target)(&process)
    }

    fn is_current(&self) -> bool {
        self.subject.is_current()
    }
}
