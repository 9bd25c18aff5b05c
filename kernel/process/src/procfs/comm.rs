//! `/proc/PID/comm`: what the thread of a process is called.

use abi::Result;
use fs::pseudo::Text;

use crate::process::Process;

pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    to.write(format_args!("{}\n", process.name()))
}
