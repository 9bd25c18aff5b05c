//! Calls on mounts: mount, umount2.

use alloc::vec::Vec;

use abi::mount::{
    MNT_FORCE, MS_BIND, MS_MGC_MSK, MS_MGC_VAL, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC,
    MS_NOSUID, MS_RDONLY, MS_RELATIME, MS_REMOUNT, MS_SILENT, MS_STRICTATIME, UMOUNT_NOFOLLOW,
};
use abi::{Errno, Result};
use fs::{LastLink, MountFlags, MountRequest, Path};
use memory::user::read_c_string;

use crate::call::Call;
use crate::paths::{credentials, look_up};

/// Longest source, kind and options: a page, as on Linux.
const LONGEST: usize = 4096;

/// What a mount can be. That no program gets other rights by its file is so in any case.
const FLAGS: [(u32, MountFlags); 9] = [
    (MS_RDONLY, MountFlags::READ_ONLY),
    (MS_NOSUID, MountFlags::NO_SUID),
    (MS_NODEV, MountFlags::NO_DEV),
    (MS_NOEXEC, MountFlags::NO_EXEC),
    (MS_NOATIME, MountFlags::NO_ATIME),
    (MS_NODIRATIME, MountFlags::NO_DIRATIME),
    (MS_STRICTATIME, MountFlags::STRICT_ATIME),
    // As it is if nothing is said.
    (MS_RELATIME, MountFlags::empty()),
    (MS_SILENT, MountFlags::empty()),
];

/// The flags of a mount as `MS_*` say them.
///
/// # Errors
/// `EINVAL` for what is not known.
fn flags_of(flags: u32) -> Result<MountFlags> {
    let mut left = flags;
    let mut mount = MountFlags::empty();
    for (bit, flag) in FLAGS {
        if flags & bit != 0 {
            mount |= flag;
        }
        left &= !bit;
    }
    if mount.contains(MountFlags::STRICT_ATIME) {
        mount.remove(MountFlags::NO_ATIME);
    }
    if left == 0 { Ok(mount) } else { Err(Errno::EINVAL) }
}

/// Changes the mount that begins at `place`.
fn remount(place: &Path, flags: u32, options: &[u8]) -> Result<()> {
    let only_mount = flags & MS_BIND != 0;
    let mut new = flags_of(flags & !(MS_REMOUNT | MS_BIND))?;
    // What is noted of reads stays, unless something is said of that.
    if flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME) == 0 {
        new |= place.mount().own_flags() & MountFlags::TIMES;
    }
    fs::remount(place, new, options, only_mount)
}

/// A text that may be left out.
fn optional_text(address: u64) -> Result<Vec<u8>> {
    if address == 0 {
        return Ok(Vec::new());
    }
    memory::frames::check_user_may_allocate()?;
    read_c_string(address, LONGEST)?.ok_or(Errno::EINVAL)
}

/// mount(2): new mounts, and how one is mounted. Moving one and binding a directory elsewhere is
/// refused.
pub(crate) fn mount(call: &Call<'_>) -> Result<usize> {
    let [source, target, kind, flags, options, ..] = call.args;
    let mut flags = flags as u32;
    // What it had to be before Linux 2.4.
    if flags & MS_MGC_MSK == MS_MGC_VAL {
        flags &= !MS_MGC_MSK;
    }
    let kind = optional_text(kind)?;
    let source = optional_text(source)?;
    let options = optional_text(options)?;
    let place = look_up(call, target, LastLink::Follow)?;
    if !credentials(call).is_privileged() {
        return Err(Errno::EPERM);
    }
    if flags & MS_REMOUNT != 0 {
        remount(&place, flags, &options)?;
        return Ok(0);
    }
    let flags = flags_of(flags)?;
    if kind.is_empty() {
        return Err(Errno::EINVAL);
    }
    let source = if source.is_empty() { b"none" } else { source.as_slice() };
    let request = MountRequest { source, flags, options: &options };
    fs::mount(fs::find_file_system(&kind)?, place, &request)?;
    Ok(0)
}

/// umount2(2). No mount is taken away while it is used, so `MNT_DETACH` and `MNT_EXPIRE` are
/// refused; there is nothing that `MNT_FORCE` would have to end.
pub(crate) fn umount2(call: &Call<'_>) -> Result<usize> {
    let [target, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(MNT_FORCE | UMOUNT_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let last = if flags & UMOUNT_NOFOLLOW != 0 { LastLink::Keep } else { LastLink::Follow };
    let place = look_up(call, target, last)?;
    if !credentials(call).is_privileged() {
        return Err(Errno::EPERM);
    }
    fs::unmount(place)?;
    Ok(0)
}
