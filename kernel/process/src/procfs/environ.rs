//! `/proc/PID/environ`: the environment that a process was started with, each variable with a
//! zero byte behind it. A process that has ended has none.

use abi::Result;
use fs::pseudo::Text;

use crate::process::Process;

pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    if process.outcome().is_some() {
        return Ok(());
    }
    to.push(process.environment())
}
