//! `/proc/PID/fdinfo`: a text for each open file of a process, by its number.

use alloc::format;
use alloc::sync::Arc;

use abi::fcntl::O_CLOEXEC;
use abi::{Errno, Result};
use fs::pseudo::{Directory, Node, Text, TextFile, Visit};
use fs::{Kind, OpenFile};

use super::descriptors::{list, open_number};
use super::directory::{Subject, gone};

/// The directory.
pub(super) struct DescriptorInfos(Subject);

impl DescriptorInfos {
    pub(super) fn new(subject: Subject) -> Self {
        Self(subject)
    }
}

impl Directory for DescriptorInfos {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let Some(number) = open_number(&self.0, name)? else { return Ok(None) };
        Ok(Some(Node::Text(Arc::new(DescriptorInfo { subject: self.0.clone(), number }))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        list(&self.0, from, Kind::Regular, visit)
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn mode(&self) -> u32 {
        0o555
    }
}

struct DescriptorInfo {
    subject: Subject,
    number: u32,
}

impl DescriptorInfo {
    fn file(&self) -> Result<Arc<OpenFile>> {
        let process = self.subject.inspected().map_err(gone)?;
        process.descriptors.get(self.number.into()).map_err(|_| Errno::ENOENT)
    }

    fn closes_on_exec(&self) -> Result<bool> {
        let process = self.subject.inspected().map_err(gone)?;
        process.descriptors.closes_on_exec(self.number.into()).map_err(|_| Errno::ENOENT)
    }
}

impl TextFile for DescriptorInfo {
    /// Where in the file one is, how it was opened, and which file it is. A file without a path is
    /// in no mount.
    fn show(&self, to: &mut Text) -> Result<()> {
        let file = self.file()?;
        let mount = file.path().map_or(0, |path| path.mount().number());
        let flags = file.flags() | if self.closes_on_exec()? { O_CLOEXEC } else { 0 };
        to.write(format_args!(
            "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{mount}\nino:\t{}\n",
            file.position(),
            flags,
            file.status().inode
        ))
    }

    fn mode(&self) -> u32 {
        0o444
    }

    fn is_current(&self) -> bool {
        self.file().is_ok()
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn a_descriptor_tells_where_it_is() {
    let arguments: [&[u8]; 1] = [b"/bin/spin"];
    let process = crate::exec::start(b"/bin/spin", &arguments, &[]).expect("a program");
    let root = fs::root().expect("a root");
    let by = fs::Credentials::ROOT;
    let file = fs::open(&by, &root, b"/bin/spin", 0, 0).expect("a file");
    file.seek(fs::Seek::Set(77)).expect("a position");
    let number = process.descriptors.reserve().expect("a number").fill(file, true);
    let path = format!("/proc/{}/fdinfo/{number}", process.pid());
    let text = super::tests::read(&path).expect("a text");
    assert!(text.starts_with("pos:\t77\nflags:\t02000000\nmnt_id:\t"), "{text}");
    process.descriptors.remove(number as u64).expect("a file");
    assert_eq!(super::tests::read(&path), Err(Errno::ENOENT));
    process.send(abi::Signal::SIGKILL);
    process.wait();
}
