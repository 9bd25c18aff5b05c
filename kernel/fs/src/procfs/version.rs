//! `/proc/version`: what system this is.

use abi::Result;

use crate::pseudo::Text;
use crate::system::{RELEASE, SYSTEM, VERSION};

pub(super) fn show(to: &mut Text) -> Result<()> {
    to.write(format_args!("{SYSTEM} version {RELEASE} ({VERSION}) #1 SMP PREEMPT\n"))
}
