//! `/proc/filesystems`: the kinds of file system that can be mounted, with `nodev` before those
//! that need no block device.

use abi::Result;

use crate::pseudo::Text;
use crate::vfs::file_systems;

pub(super) fn show(to: &mut Text) -> Result<()> {
    for kind in file_systems() {
        let nodev = if kind.needs_device() { "" } else { "nodev" };
        to.write(format_args!("{nodev}\t{}\n", kind.name()))?;
    }
    Ok(())
}
