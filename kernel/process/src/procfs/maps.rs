//! `/proc/PID/maps`: what lies where in the memory of a process.

use abi::Result;
use fs::pseudo::Text;

use crate::process::Process;

/// One line for each mapping; none for a process that has ended.
pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    match process.space() {
        Some(space) => to.write(format_args!("{}", space.maps())),
        None => Ok(()),
    }
}
