//! `/proc/PID/mountinfo`: what is mounted where, with the numbers of mounts and of their parents.

use abi::Result;

use super::mounts::push_escaped;
use crate::pseudo::Text;
use crate::vfs::mounts;

/// Writes a line for each mount (proc_pid_mountinfo(5)): its number, that of the mount that it
/// stands in, the device, what of the file system is mounted (all), where, the options, and
/// behind a dash the kind, the source, and the file system's own options.
///
/// # Errors
/// As [`Text::result`].
pub fn show(to: &mut Text) -> Result<()> {
    for mount in mounts()? {
        let (number, device) = (mount.number(), mount.superblock().device());
        // The root stands in itself, as far as anybody can tell.
        let parent = mount.place().map_or(number, |place| place.mount().number());
        to.write(format_args!("{number} {parent} {}:{} / ", device.major, device.minor))?;
        push_escaped(to, &mount.text()?)?;
        to.write(format_args!(" {} - {} ", mount.own_flags(), mount.superblock().kind()))?;
        push_escaped(to, mount.source())?;
        let own = if mount.superblock().is_read_only() { "ro" } else { "rw" };
        to.write(format_args!(" {own}\n"))?;
    }
    Ok(())
}
