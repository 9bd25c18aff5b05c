//! `/proc/PID/fd`: a link for each open file of a process, by its number.

use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use core::fmt::Write;

use abi::{Errno, Result};
use arrayvec::ArrayString;
use fs::pseudo::{Directory, Link, Node, Visit};
use fs::{Kind, LinkTarget, OpenFile};

use super::directory::Subject;

/// The directory.
pub(super) struct Descriptors(Subject);

impl Descriptors {
    pub(super) fn new(subject: Subject) -> Self {
        Self(subject)
    }
}

impl Directory for Descriptors {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let process = self.0.process().map_err(|_| Errno::ENOENT)?;
        let number = name.parse::<u32>().ok().filter(|number| format!("{number}") == name);
        let open = |number: &u32| process.descriptors.get((*number).into()).is_ok();
        let Some(number) = number.filter(open) else { return Ok(None) };
        Ok(Some(Node::Link(Arc::new(Descriptor { subject: self.0.clone(), number }))))
    }

    /// The keys are the numbers.
    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let process = self.0.process().map_err(|_| Errno::ENOENT)?;
        let mut next = usize::try_from(from).unwrap_or(usize::MAX);
        while let Some(number) = process.descriptors.next_from(next) {
            let mut name = ArrayString::<20>::new();
            let _ = write!(name, "{number}"); // there is room
            if visit(number as u64, &name, Kind::Symlink).is_break() {
                break;
            }
            next = number + 1;
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn mode(&self) -> u32 {
        0o500
    }
}

/// A link.
struct Descriptor {
    subject: Subject,
    number: u32,
}

impl Descriptor {
    fn file(&self) -> Result<Arc<OpenFile>> {
        let process = self.subject.process().map_err(|_| Errno::ENOENT)?;
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
