//! Calls on paths: open, openat, the stat family, readlink. There is no current directory
//! yet: relative paths begin at the root. The tree is read-only.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::fcntl::{
    AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, O_ACCMODE, O_CREAT, O_DIRECTORY,
    O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_TMPFILE, O_TRUNC, PATH_MAX,
};
use abi::stat::stat as UserStat;
use abi::{Errno, Result};
use fs::{DirectoryFile, File, Inode, Kind, LastLink, OpenFile, RegularFile, Status};
use memory::frames::check_user_may_allocate;
use memory::user::{UserSlice, read_c_string};

use crate::call::Call;

/// `AT_FDCWD` as it comes in a register.
const HERE: u64 = AT_FDCWD as i64 as u64;
/// The device number of the tree.
const DEVICE: u64 = 1;
const BLOCK: i64 = 4096;

fn path_at(address: u64) -> Result<Vec<u8>> {
    check_user_may_allocate()?;
    read_c_string(address, PATH_MAX as usize)?.ok_or(Errno::ENAMETOOLONG)
}

/// The directory that a relative `path` begins at.
fn start_of(call: &Call<'_>, directory: u64, path: &[u8]) -> Result<Inode> {
    if path.is_empty() {
        return Err(Errno::ENOENT); // whatever the directory is
    }
    if path.starts_with(b"/") || directory as i32 == HERE as i32 {
        return Ok(fs::root());
    }
    let file = call.thread.process.descriptors.get(directory)?;
    file.file().directory().ok_or(Errno::ENOTDIR)
}

fn open_at(call: &Call<'_>, directory: u64, path: u64, flags: u32) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    let writes =
        flags & O_PATH == 0 && (flags & O_ACCMODE != O_RDONLY || flags & (O_TRUNC | O_CREAT) != 0);
    if flags & O_TMPFILE & !O_DIRECTORY != 0 {
        return Err(Errno::EROFS);
    }
    let last = if flags & O_NOFOLLOW != 0 { LastLink::Keep } else { LastLink::Follow };
    let inode = match fs::lookup(start, &path, last) {
        // What would be made; but it must be a file, and the directory must be there.
        Err(Errno::ENOENT) if flags & (O_CREAT | O_PATH) == O_CREAT => {
            if flags & O_DIRECTORY != 0 {
                return Err(Errno::EINVAL);
            }
            let last = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            let (parent, name) = path.split_at_checked(last).unwrap_or_default();
            if name.is_empty() {
                return Err(Errno::EISDIR);
            }
            if !parent.is_empty() && !fs::lookup(start, parent, LastLink::Follow)?.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            return Err(Errno::EROFS);
        }
        Err(Errno::ENOENT) if path.starts_with(b"/") => {
            let file = fs::open_generated(&path)?;
            return match () {
                () if flags & O_DIRECTORY != 0 => Err(Errno::ENOTDIR),
                () if writes => Err(Errno::EACCES),
                () => call.thread.process.descriptors.add(OpenFile::new(file, flags)),
            };
        }
        inode => inode?,
    };
    if flags & (O_CREAT | O_EXCL | O_PATH) == O_CREAT | O_EXCL {
        return Err(Errno::EEXIST);
    }
    if flags & O_DIRECTORY != 0 && !inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let file: Arc<dyn File> = match inode.kind() {
        Kind::Directory if writes => return Err(Errno::EISDIR),
        Kind::Directory => Arc::new(DirectoryFile(inode)),
        Kind::Symlink if flags & O_PATH == 0 => return Err(Errno::ELOOP),
        // A node without a driver.
        Kind::Special if flags & O_PATH == 0 => return Err(Errno::ENXIO),
        _ if flags & O_PATH == 0 && (flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0) => {
            return Err(Errno::EROFS);
        }
        _ => Arc::new(RegularFile::new(inode)),
    };
    call.thread.process.descriptors.add(OpenFile::new(file, flags))
}

/// open(2).
pub(crate) fn open(call: &Call<'_>) -> Result<usize> {
    let [path, flags, ..] = call.args;
    open_at(call, HERE, path, flags as u32)
}

/// openat(2).
pub(crate) fn openat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, flags, ..] = call.args;
    open_at(call, directory, path, flags as u32)
}

/// Puts `status` into the layout of user space.
fn to_user(status: Status) -> UserStat {
    let device = |(major, minor): (u32, u32)| {
        let (major, minor) = (u64::from(major), u64::from(minor));
        // makedev(3)
        (major & 0xfff) << 8 | (major & !0xfff) << 32 | minor & 0xff | (minor & !0xff) << 12
    };
    let mut user = <UserStat as memory::user::UserValue>::ZERO;
    user.st_dev = DEVICE;
    user.st_ino = status.inode;
    user.st_nlink = status.links.into();
    user.st_mode = status.mode;
    user.st_uid = status.uid;
    user.st_gid = status.gid;
    user.st_rdev = device(status.rdev);
    user.st_size = status.size as i64;
    user.st_blksize = BLOCK;
    user.st_blocks = status.size.div_ceil(512) as i64;
    for time in [&mut user.st_atime, &mut user.st_mtime, &mut user.st_ctime] {
        *time = status.mtime;
    }
    user
}

fn write_status(status: Status, to: u64) -> Result<usize> {
    UserSlice::write_value(to, &to_user(status))?;
    Ok(0)
}

fn stat_path(call: &Call<'_>, path: u64, to: u64, last: LastLink) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, HERE, &path)?;
    write_status(status_of(start, &path, last)?, to)
}

/// What stat(2) tells of the file at `path`.
fn status_of(start: Inode, path: &[u8], last: LastLink) -> Result<Status> {
    match fs::lookup(start, path, last) {
        Err(Errno::ENOENT) if path.starts_with(b"/") => Ok(fs::open_generated(path)?.status()),
        inode => Ok(inode?.status()),
    }
}

/// stat(2).
pub(crate) fn stat(call: &Call<'_>) -> Result<usize> {
    let [path, to, ..] = call.args;
    stat_path(call, path, to, LastLink::Follow)
}

/// lstat(2).
pub(crate) fn lstat(call: &Call<'_>) -> Result<usize> {
    let [path, to, ..] = call.args;
    stat_path(call, path, to, LastLink::Keep)
}

/// fstat(2).
pub(crate) fn fstat(call: &Call<'_>) -> Result<usize> {
    let [fd, to, ..] = call.args;
    let file = call.thread.process.descriptors.get(fd)?;
    write_status(file.file().status(), to)
}

/// newfstatat(2), the call behind fstatat(3).
pub(crate) fn newfstatat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, to, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = path_at(path)?;
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 && directory as i32 != HERE as i32 {
        let file = call.thread.process.descriptors.get(directory)?;
        return write_status(file.file().status(), to);
    }
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        return write_status(fs::root().status(), to);
    }
    let nofollow = flags & AT_SYMLINK_NOFOLLOW != 0;
    let last = if nofollow { LastLink::Keep } else { LastLink::Follow };
    let start = start_of(call, directory, &path)?;
    write_status(status_of(start, &path, last)?, to)
}

fn read_link(call: &Call<'_>, directory: u64, path: u64, to: u64, len: u64) -> Result<usize> {
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    let inode = fs::lookup(start, &path, LastLink::Keep)?;
    if inode.kind() != Kind::Symlink {
        return Err(Errno::EINVAL);
    }
    Ok(UserSlice::new(to, len).write(inode.bytes())?)
}

/// readlink(2).
pub(crate) fn readlink(call: &Call<'_>) -> Result<usize> {
    let [path, to, len, ..] = call.args;
    read_link(call, HERE, path, to, len)
}

/// readlinkat(2).
pub(crate) fn readlinkat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, to, len, ..] = call.args;
    read_link(call, directory, path, to, len)
}
