//! Calls about what files are like: access, chmod, chown, utimensat and its elders, truncate,
//! statx, statfs, umask.

use abi::fcntl::{
    AT_EACCESS, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, F_OK,
};
use abi::stat::{
    STATX__RESERVED, STATX_ATTR_APPEND, STATX_ATTR_IMMUTABLE, STATX_ATTR_MOUNT_ROOT,
    STATX_BASIC_STATS, statfs as UserStatfs, statx as UserStatx, statx_timestamp,
};
use abi::time::{Timespec, Timeval};
use abi::{Errno, Result};
use fs::{Access, FileFlags, LastLink, MountFlags, Path, Time, TimeChange};
use memory::user::{UserSlice, UserValue};

use crate::call::{Call, read_optional};
use crate::io::is_more_than_a_path;
use crate::paths::{BLOCK, HERE, credentials, path_at, path_of, start_of};

/// `UTIME_NOW` and `UTIME_OMIT` of utimensat(2).
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;
/// `ST_VALID` and `ST_RELATIME` of statfs(2), and what else it tells of a mount.
const ST_VALID: i64 = 0x20;
const ST_RELATIME: i64 = 0x1000;
const ST_FLAGS: [(MountFlags, i64); 6] = [
    (MountFlags::READ_ONLY, 1),
    (MountFlags::NO_SUID, 2),
    (MountFlags::NO_DEV, 4),
    (MountFlags::NO_EXEC, 8),
    (MountFlags::NO_ATIME, 0x400),
    (MountFlags::NO_DIRATIME, 0x800),
];

/// The file at a path that begins at a directory; with an empty path and `AT_EMPTY_PATH` what the
/// descriptor of the directory stands for, whatever that is.
fn file_at(call: &Call<'_>, directory: u64, path: u64, flags: u32) -> Result<Path> {
    let path = if path == 0 && flags & AT_EMPTY_PATH != 0 {
        alloc::vec::Vec::new()
    } else {
        path_at(path)?
    };
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        // Nothing can be changed of files that have no path.
        return path_of(call, directory, Errno::EPERM);
    }
    let last = match flags & AT_SYMLINK_NOFOLLOW {
        0 => LastLink::Follow,
        _ => LastLink::Keep,
    };
    fs::lookup(credentials(call), &start_of(call, directory, &path)?, &path, last)
}

/// The path of an open file, of which more was opened than that.
///
/// # Errors
/// `EBADF`; `EPERM` for a file that has no path.
fn opened_path(call: &Call<'_>, descriptor: u64) -> Result<Path> {
    let file = call.thread.process.descriptors.get(descriptor)?;
    if !is_more_than_a_path(&file) {
        return Err(Errno::EBADF);
    }
    file.path().cloned().ok_or(Errno::EPERM)
}

fn check_access(
    call: &Call<'_>,
    directory: u64,
    path: u64,
    mode: u64,
    flags: u32,
) -> Result<usize> {
    let mode = mode as u32;
    if mode & !7 != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = file_at(call, directory, path, flags)?;
    if mode != F_OK {
        file.check(credentials(call), Access::from_bits_truncate(mode))?;
    }
    Ok(0)
}

/// access(2).
pub(crate) fn access(call: &Call<'_>) -> Result<usize> {
    let [path, mode, ..] = call.args;
    check_access(call, HERE, path, mode, 0)
}

/// faccessat(2) without its flags, as the kernel has it.
pub(crate) fn faccessat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, ..] = call.args;
    check_access(call, directory, path, mode, 0)
}

/// faccessat2(2).
pub(crate) fn faccessat2(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, flags, ..] = call.args;
    check_access(call, directory, path, mode, flags as u32)
}

fn change_mode(call: &Call<'_>, file: &Path, mode: u64) -> Result<usize> {
    file.change_mode(credentials(call), mode as u32)?;
    Ok(0)
}

/// chmod(2).
pub(crate) fn chmod(call: &Call<'_>) -> Result<usize> {
    let [path, mode, ..] = call.args;
    change_mode(call, &file_at(call, HERE, path, 0)?, mode)
}

/// fchmod(2).
pub(crate) fn fchmod(call: &Call<'_>) -> Result<usize> {
    let [fd, mode, ..] = call.args;
    change_mode(call, &opened_path(call, fd)?, mode)
}

/// fchmodat(2) without its flags, as the kernel has it.
pub(crate) fn fchmodat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, ..] = call.args;
    change_mode(call, &file_at(call, directory, path, 0)?, mode)
}

/// fchmodat2(2).
pub(crate) fn fchmodat2(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    change_mode(call, &file_at(call, directory, path, flags)?, mode)
}

fn change_owner(call: &Call<'_>, file: &Path, uid: u64, gid: u64) -> Result<usize> {
    // -1 leaves it.
    let id = |id: u64| Some(id as u32).filter(|&id| id != u32::MAX);
    file.change_owner(credentials(call), id(uid), id(gid))?;
    Ok(0)
}

/// chown(2).
pub(crate) fn chown(call: &Call<'_>) -> Result<usize> {
    let [path, uid, gid, ..] = call.args;
    change_owner(call, &file_at(call, HERE, path, 0)?, uid, gid)
}

/// lchown(2).
pub(crate) fn lchown(call: &Call<'_>) -> Result<usize> {
    let [path, uid, gid, ..] = call.args;
    change_owner(call, &file_at(call, HERE, path, AT_SYMLINK_NOFOLLOW)?, uid, gid)
}

/// fchown(2).
pub(crate) fn fchown(call: &Call<'_>) -> Result<usize> {
    let [fd, uid, gid, ..] = call.args;
    change_owner(call, &opened_path(call, fd)?, uid, gid)
}

/// fchownat(2).
pub(crate) fn fchownat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, uid, gid, flags, _] = call.args;
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    change_owner(call, &file_at(call, directory, path, flags)?, uid, gid)
}

fn change_times(call: &Call<'_>, file: &Path, times: Option<[TimeChange; 2]>) -> Result<usize> {
    let [atime, mtime] = times.unwrap_or([TimeChange::Now; 2]);
    file.change_times(credentials(call), atime, mtime)?;
    Ok(0)
}

fn of_timespec(time: Timespec) -> Result<TimeChange> {
    match time.tv_nsec {
        UTIME_NOW => Ok(TimeChange::Now),
        UTIME_OMIT => Ok(TimeChange::Keep),
        nanoseconds @ 0..1_000_000_000 => {
            let nanoseconds = nanoseconds as u32;
            Ok(TimeChange::To(Time { seconds: time.tv_sec, nanoseconds }))
        }
        _ => Err(Errno::EINVAL),
    }
}

fn of_timeval(time: Timeval) -> Result<TimeChange> {
    match time.tv_usec {
        microseconds @ 0..1_000_000 => {
            let nanoseconds = microseconds as u32 * 1000;
            Ok(TimeChange::To(Time { seconds: time.tv_sec, nanoseconds }))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Two times at an address; `None` if that is null.
fn two_times<T: UserValue>(
    address: u64,
    of: fn(T) -> Result<TimeChange>,
) -> Result<Option<[TimeChange; 2]>> {
    let Some(first) = read_optional::<T>(address)? else { return Ok(None) };
    let second = UserSlice::read_value::<T>(address.wrapping_add(size_of::<T>() as u64))?;
    Ok(Some([of(first)?, of(second)?]))
}

/// Changes the times of the file at a path that begins at a directory; without a path, of what the
/// descriptor of the directory stands for.
fn change_times_at(
    call: &Call<'_>,
    [directory, path]: [u64; 2],
    times: Option<[TimeChange; 2]>,
    flags: u32,
) -> Result<usize> {
    // As on Linux, nothing else is looked at then.
    if times == Some([TimeChange::Keep; 2]) {
        return Ok(0);
    }
    let file = if path == 0 && directory as i32 != HERE as i32 {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        opened_path(call, directory)?
    } else {
        if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
            return Err(Errno::EINVAL);
        }
        file_at(call, directory, path, flags)?
    };
    change_times(call, &file, times)
}

/// utimensat(2).
pub(crate) fn utimensat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, times, flags, ..] = call.args;
    let times = two_times(times, of_timespec)?;
    change_times_at(call, [directory, path], times, flags as u32)
}

/// utimes(2).
pub(crate) fn utimes(call: &Call<'_>) -> Result<usize> {
    let [path, times, ..] = call.args;
    let times = two_times(times, of_timeval)?;
    change_times(call, &file_at(call, HERE, path, 0)?, times)
}

/// futimesat(2).
pub(crate) fn futimesat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, times, ..] = call.args;
    change_times_at(call, [directory, path], two_times(times, of_timeval)?, 0)
}

/// utime(2).
pub(crate) fn utime(call: &Call<'_>) -> Result<usize> {
    let [path, times, ..] = call.args;
    let times = read_optional::<[i64; 2]>(times)?
        .map(|times| times.map(|seconds| TimeChange::To(Time::of_seconds(seconds))));
    change_times(call, &file_at(call, HERE, path, 0)?, times)
}

/// truncate(2).
pub(crate) fn truncate(call: &Call<'_>) -> Result<usize> {
    let [path, len, ..] = call.args;
    let len = u64::try_from(len as i64).map_err(|_| Errno::EINVAL)?;
    file_at(call, HERE, path, 0)?.truncate(credentials(call), len)?;
    Ok(0)
}

fn timestamp(time: Time) -> statx_timestamp {
    let mut user = <statx_timestamp as UserValue>::ZERO;
    user.tv_sec = time.seconds;
    user.tv_nsec = time.nanoseconds;
    user
}

/// statx(2).
pub(crate) fn statx(call: &Call<'_>) -> Result<usize> {
    let [directory, path, flags, mask, to, _] = call.args;
    let (flags, mask) = (flags as u32, mask as u32);
    let known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
    if flags & !known != 0
        || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE
        || mask & STATX__RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    // A file that no path leads to has a status, too.
    let is_descriptor = flags & AT_EMPTY_PATH != 0
        && directory as i32 != HERE as i32
        && (path == 0 || path_at(path)?.is_empty());
    let (status, is_root) = if is_descriptor {
        (call.thread.process.descriptors.get(directory)?.status(), false)
    } else {
        let file = file_at(call, directory, path, flags)?;
        (file.status(), file.begins_mount())
    };
    let mut user = <UserStatx as UserValue>::ZERO;
    user.stx_mask = STATX_BASIC_STATS;
    user.stx_blksize = BLOCK as u32;
    for (attribute, is_set) in [
        (STATX_ATTR_MOUNT_ROOT, is_root),
        (STATX_ATTR_IMMUTABLE, status.flags.contains(FileFlags::IMMUTABLE)),
        (STATX_ATTR_APPEND, status.flags.contains(FileFlags::APPEND)),
    ] {
        user.stx_attributes_mask |= u64::from(attribute);
        user.stx_attributes |= if is_set { attribute.into() } else { 0 };
    }
    user.stx_nlink = status.links;
    user.stx_uid = status.uid;
    user.stx_gid = status.gid;
    user.stx_mode = status.mode as u16;
    user.stx_ino = status.inode;
    user.stx_size = status.size;
    user.stx_blocks = status.blocks;
    user.stx_atime = timestamp(status.atime);
    user.stx_mtime = timestamp(status.mtime);
    user.stx_ctime = timestamp(status.ctime);
    (user.stx_rdev_major, user.stx_rdev_minor) = (status.rdev.major, status.rdev.minor);
    (user.stx_dev_major, user.stx_dev_minor) = (status.device.major, status.device.minor);
    UserSlice::write_value(to, &user)?;
    Ok(0)
}

fn write_statistics(file: &Path, to: u64) -> Result<usize> {
    let mount = file.mount();
    let statistics = mount.superblock().statistics();
    let mut user = <UserStatfs as UserValue>::ZERO;
    user.f_type = statistics.magic.into();
    user.f_bsize = statistics.block.into();
    user.f_frsize = statistics.block.into();
    user.f_blocks = statistics.blocks as i64;
    user.f_bfree = statistics.free as i64;
    user.f_bavail = statistics.available as i64;
    user.f_files = statistics.inodes as i64;
    user.f_ffree = statistics.free_inodes as i64;
    user.f_fsid.val = [statistics.id as i32, (statistics.id >> 32) as i32];
    user.f_namelen = 255;
    let flags = mount.flags();
    user.f_flags = ST_VALID;
    for (flag, bit) in ST_FLAGS {
        user.f_flags |= if flags.contains(flag) { bit } else { 0 };
    }
    if !flags.intersects(MountFlags::NO_ATIME | MountFlags::STRICT_ATIME) {
        user.f_flags |= ST_RELATIME;
    }
    UserSlice::write_value(to, &user)?;
    Ok(0)
}

/// statfs(2).
pub(crate) fn statfs(call: &Call<'_>) -> Result<usize> {
    let [path, to, ..] = call.args;
    write_statistics(&file_at(call, HERE, path, 0)?, to)
}

/// fstatfs(2).
pub(crate) fn fstatfs(call: &Call<'_>) -> Result<usize> {
    let [fd, to, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    write_statistics(file.path().ok_or(Errno::ENOSYS)?, to)
}

/// umask(2): the permissions that new files do not get.
pub(crate) fn umask(call: &Call<'_>) -> Result<usize> {
    let [mask, ..] = call.args;
    Ok(call.thread.process.places.set_umask(mask as u32 & 0o777) as usize)
}
