//! `/proc/PID/fd`: a link for each open file of a process, by its number.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use abi::{Errno, Result};
use fs::pseudo::{Directory, Link, Node, Visit};
use fs::{Kind, LinkTarget, OpenFile};

use super::directory::{Subject, gone};
use super::processes::number;

/// The directory.
pub(super) struct Descriptors(Subject);

impl Descriptors {
    pub(super) fn new(subject: Subject) -> Self {
        Self(subject)
    }
}

impl Directory for Descriptors {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let Some(number) = open_number(&self.0, name)? else { return Ok(None) };
        Ok(Some(Node::Link(Arc::new(Descriptor { subject: self.0.clone(), number }))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        list(&self.0, from, Kind::Symlink, visit)
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn mode(&self) -> u32 {
        0o500
    }
}

/// The number that `name` is, of an open file.
pub(super) fn open_number(subject: &Subject, name: &str) -> Result<Option<u32>> {
    let process = subject.inspected().map_err(gone)?;
    let number = name.parse::<u32>().ok().filter(|pid| *number(*pid) == *name);
    let open = |number: &u32| process.descriptors.get((*number).into()).is_ok();
    Ok(number.filter(open))
}

/// Visits the open files from number `from` on: the keys are the numbers.
pub(super) fn list(subject: &Subject, from: u64, kind: Kind, visit: &mut Visit<'_>) -> Result<()> {
    let process = subject.inspected().map_err(gone)?;
    let mut next = usize::try_from(from).unwrap_or(usize::MAX);
    while let Some(found) = process.descriptors.next_from(next) {
        // There are fewer than u32 has numbers.
        if visit(found as u64, &number(found as u32), kind).is_break() {
            break;
        }
        next = found + 1;
    }
    Ok(())
}

/// A link.
struct Descriptor {
    subject: Subject,
    number: u32,
}

impl Descriptor {
    fn file(&self) -> Result<Arc<OpenFile>> {
        let process = self.subject.inspected().map_err(gone)?;
        process.descriptors.get(self.number.into()).map_err(|_| Errno::ENOENT)
    }
}

impl Link for Descriptor {
    /// To the file; of one without a path, words that say what it is.
    fn target(&self) -> Result<LinkTarget<'static>> {
        let file = self.file()?;
        match file.path() {
            Some(path) => Ok(LinkTarget::File(path.clone())),
            None => Ok(LinkTarget::Text(Cow::Borrowed(file.file().label().as_bytes()))),
        }
    }

    fn is_current(&self) -> bool {
        self.file().is_ok()
    }
}
