//! `/proc/PID/cwd`, `exe` and `root`: the working directory, the program, and where absolute
//! paths begin. They lead to the files themselves, whatever those are called by now.

use abi::{Errno, Result};
use fs::LinkTarget;

use crate::process::Process;

pub(super) fn directory(process: &Process) -> Result<LinkTarget<'static>> {
    process.places.directory().map(LinkTarget::File)
}

pub(super) fn program(process: &Process) -> Result<LinkTarget<'static>> {
    process.places.program().map(LinkTarget::File).ok_or(Errno::ENOENT)
}

pub(super) fn root(process: &Process) -> Result<LinkTarget<'static>> {
    process.places.directory()?; // gone when the process has ended
    fs::root().map(LinkTarget::File)
}
