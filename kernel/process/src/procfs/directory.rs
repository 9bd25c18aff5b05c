//! `/proc/PID`: the directory of a process. It and its files are there until the process is
//! reaped; who has one open longer gets `ESRCH` from it.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use fs::pseudo::{Directory, Link, Node, Text, TextFile, Visit};
use fs::{Credentials, Kind, LinkTarget};

use super::descriptor_info::DescriptorInfos;
use super::descriptors::Descriptors;
use super::threads::Threads;
use super::{cmdline, comm, environ, limits, links, maps, oom_score, stat, statm, status};
use crate::process::Process;
use crate::thread::{Thread, with_thread};
use crate::tree::find;

/// Writes a text about a process.
type Show = fn(&Process, &mut Text) -> Result<()>;
/// Where a link of a process leads.
type Target = fn(&Process) -> Result<LinkTarget<'static>>;

/// What a file is.
enum File {
    Text(Show),
    /// Only for those who may inspect the process.
    OwnText(Show),
    Link(Target),
    Descriptors,
    DescriptorInfos,
    Threads,
}

/// The files of a process, in the order in which they are listed; those of a thread are all but
/// the last.
const FILES: [(&str, File); 17] = [
    ("cmdline", File::Text(cmdline::show)),
    ("comm", File::Text(comm::show)),
    ("cwd", File::Link(links::directory)),
    ("environ", File::OwnText(environ::show)),
    ("exe", File::Link(links::program)),
    ("fd", File::Descriptors),
    ("fdinfo", File::DescriptorInfos),
    ("limits", File::Text(limits::show)),
    ("maps", File::OwnText(maps::show)),
    ("mountinfo", File::Text(|_, to| fs::procfs::show_mountinfo(to))),
    ("mounts", File::Text(|_, to| fs::procfs::show_mounts(to))),
    ("oom_score", File::Text(oom_score::show)),
    ("root", File::Link(links::root)),
    ("stat", File::Text(stat::show)),
    ("statm", File::Text(statm::show)),
    ("status", File::Text(status::show)),
    ("task", File::Threads),
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

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The process, for those who may inspect it.
    ///
    /// # Errors
    /// `ESRCH`, `EACCES`.
    pub(super) fn inspected(&self) -> Result<Arc<Process>> {
        let process = self.process()?;
        let may =
            |thread: &Thread| may_inspect(thread.process.credentials(), process.credentials());
        // The kernel may.
        if with_thread(may).unwrap_or(true) { Ok(process) } else { Err(Errno::EACCES) }
    }

    pub(super) fn is_current(&self) -> bool {
        self.process().is_ok()
    }
}

/// Whether somebody may see what memory and files hold of a process of somebody's: their own, as
/// ptrace(2) has it.
fn may_inspect(by: &Credentials, of: &Credentials) -> bool {
    by.is_privileged() || (by.uid, by.gid) == (of.uid, of.gid)
}

#[base::kernel_test]
fn only_root_and_the_owner_inspect_a_process() {
    let user = |uid, gid| Credentials { uid, gid, groups: None };
    assert!(may_inspect(&Credentials::ROOT, &user(5, 5)));
    assert!(may_inspect(&user(5, 5), &user(5, 5)));
    assert!(!may_inspect(&user(5, 5), &user(5, 6)));
    assert!(!may_inspect(&user(5, 5), &user(6, 5)));
    assert!(!may_inspect(&user(5, 5), &Credentials::ROOT));
}

/// The directory of a process, or of its thread.
pub(super) struct ProcessDirectory {
    subject: Subject,
    /// How many of [`FILES`] it has.
    files: usize,
}

impl ProcessDirectory {
    pub(super) fn new(process: &Arc<Process>) -> Self {
        let subject = Subject { pid: process.pid(), process: Arc::downgrade(process) };
        Self { subject, files: FILES.len() }
    }

    pub(super) fn of_thread(subject: Subject) -> Self {
        Self { subject, files: FILES.len() - 1 }
    }
}

impl Directory for ProcessDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        // Who has the directory of a process open is told what the names in it are about; in that
        // of a thread there are none any more (as on Linux).
        let is_process = self.files == FILES.len();
        self.subject.process().map_err(|error| if is_process { error } else { gone(error) })?;
        let mut files = FILES.iter().take(self.files);
        let Some((_, file)) = files.find(|(file, _)| *file == name) else {
            return Ok(None);
        };
        let subject = self.subject.clone();
        Ok(Some(match *file {
            File::Text(show) => Node::Text(Arc::new(ProcessText { subject, show, own: false })),
            File::OwnText(show) => Node::Text(Arc::new(ProcessText { subject, show, own: true })),
            File::Link(target) => Node::Link(Arc::new(ProcessLink { subject, target })),
            File::Descriptors => Node::Directory(Arc::new(Descriptors::new(subject))),
            File::DescriptorInfos => Node::Directory(Arc::new(DescriptorInfos::new(subject))),
            File::Threads => Node::Directory(Arc::new(Threads::new(subject))),
        }))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        self.subject.process().map_err(|_| Errno::ENOENT)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for (key, (name, file)) in (0..).zip(&FILES).take(self.files).skip(from) {
            let kind = match file {
                File::Text(_) | File::OwnText(_) => Kind::Regular,
                File::Link(_) => Kind::Symlink,
                File::Descriptors | File::DescriptorInfos | File::Threads => Kind::Directory,
            };
            if visit(key, name, kind).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.subject.is_current()
    }

    fn mode(&self) -> u32 {
        0o555
    }
}

/// As a name says that its process has gone.
pub(super) fn gone(error: Errno) -> Errno {
    if error == Errno::ESRCH { Errno::ENOENT } else { error }
}

struct ProcessText {
    subject: Subject,
    show: Show,
    own: bool,
}

impl TextFile for ProcessText {
    fn show(&self, to: &mut Text) -> Result<()> {
        let process = if self.own { self.subject.inspected() } else { self.subject.process() };
        (self.show)(&*process?, to)
    }

    fn mode(&self) -> u32 {
        if self.own { 0o400 } else { 0o444 }
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
        let process = self.subject.inspected().map_err(gone)?;
        (self.target)(&process)
    }

    fn is_current(&self) -> bool {
        self.subject.is_current()
    }
}
