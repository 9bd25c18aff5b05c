//! `/proc/PID/oom_score`: how likely a process is to be killed when memory is short: by what it
//! has of the memory, as the OOM killer chooses (`oom.rs`), on Linux's scale.

use abi::Result;
use fs::pseudo::Text;
use memory::frames;

use crate::process::Process;

/// Linux's scale reaches from 666, a process without memory, to 1332, one with all of it; 0 is one
/// that is not chosen.
pub(super) fn show(process: &Process, to: &mut Text) -> Result<()> {
    let pages: usize = process.memory_pages().iter().sum();
    let share = pages * 1000 / frames::total().max(1);
    let score = if process.outcome().is_some() { 0 } else { (1000 + share) * 2 / 3 };
    to.write(format_args!("{score}\n"))
}
