//! Calls on mounts: mount, umount2.

use alloc::vec::Vec;

use abi::mount::{
    MNT_FORCE, MS_MGC_MSK, MS_MGC_VAL, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID,
    MS_RDONLY, MS_RELATIME, MS_SILENT, MS_STRICTATIME, UMOUNT_NOFOLLOW,
};
use abi::{Errno, Result};
use fs::{LastLink, MountRequest};
use memory::user::read_c_string;

use crate::call::Call;
use crate::paths::look_up;

/// Longest source, kind and options: a page, as on Linux.
const LONGEST: usize = 4096;

/// What a mount can be. That no program gets other rights by its file, that no device is reached
/// through a file, and that no file has a time of its last use is so in any case.
const FLAGS: u32 = MS_RDONLY
    | MS_NOEXEC
    | MS_NOSUID
    | MS_NODEV
    | MS_SILENT
    | MS_NOATIME
    | MS_NODIRATIME
    | MS_RELATIME
    | MS_STRICTATIME;

/// A text that may be left out.
fn optional_text(address: u64) -> Result<Vec<u8>> {
    if address == 0 {
        return Ok(Vec::new());
    }
    memory::frames::check_user_may_allocate()?;
    read_c_string(address, LONGEST)?.ok_or(Errno::EINVAL)
}

/// mount(2): new mounts. Changing one, moving one, and binding a directory elsewhere is refused.
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
    if flags & !FLAGS != 0 || kind.is_empty() {
        return Err(Errno::EINVAL);
    }
    let request = MountRequest {
        source: if source.is_empty() { b"none" } else { &source },
        read_only: flags & MS_RDONLY != 0,
        no_exec: flags & MS_NOEXEC != 0,
        options: &options,
    };
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
    fs::unmount(look_up(call, target, last)?)?;
    Ok(0)
}
