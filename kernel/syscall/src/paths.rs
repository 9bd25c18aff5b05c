//! Calls on paths: open, openat, creat, the stat family, readlink; and where a process is: chdir,
//! fchdir, getcwd.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::fcntl::{
    AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_TRUNC,
    O_WRONLY, PATH_MAX,
};
use abi::stat::stat as UserStat;
use abi::{Errno, Result};
use fs::{Access, Credentials, Kind, LastLink, LinkTarget, OpenFile, Path, Status};
use memory::frames::check_user_may_allocate;
use memory::user::{UserSlice, read_c_string};

use crate::call::Call;

/// `AT_FDCWD` as it comes in a register.
pub(crate) const HERE: u64 = AT_FDCWD as i64 as u64;
/// What a file is best read and written in.
pub(crate) const BLOCK: i64 = 4096;

/// The path at a user address.
///
/// # Errors
/// `EFAULT`, `ENAMETOOLONG`, `ENOMEM`.
pub(crate) fn path_at(address: u64) -> Result<Vec<u8>> {
    check_user_may_allocate()?;
    read_c_string(address, PATH_MAX as usize)?.ok_or(Errno::ENAMETOOLONG)
}

/// The directory that `path` begins at, if it is relative.
///
/// # Errors
/// `ENOENT` for an empty path; `EBADF`, `ENOTDIR`.
pub(crate) fn start_of(call: &Call<'_>, directory: u64, path: &[u8]) -> Result<Path> {
    if path.is_empty() {
        return Err(Errno::ENOENT); // whatever the directory is
    }
    if path.starts_with(b"/") {
        return fs::root();
    }
    if directory as i32 == HERE as i32 {
        return call.thread.process.places.directory();
    }
    let file = call.thread.process.descriptors.get(directory)?;
    file.directory().cloned()
}

/// What the descriptor of a directory stands for, whatever that is: what an empty path leads to,
/// where there may be one. `pathless` is the error for a file that has no path.
///
/// # Errors
/// `EBADF`, `pathless`.
pub(crate) fn path_of(call: &Call<'_>, directory: u64, pathless: Errno) -> Result<Path> {
    if directory as i32 == HERE as i32 {
        return call.thread.process.places.directory();
    }
    let file = call.thread.process.descriptors.get(directory)?;
    file.path().cloned().ok_or(pathless)
}

/// Who calls.
pub(crate) fn credentials<'a>(call: &Call<'a>) -> &'a Credentials {
    call.thread.process.credentials()
}

/// The file at a path of the caller's, from its working directory on.
///
/// # Errors
/// As path_resolution(7).
pub(crate) fn look_up(call: &Call<'_>, path: u64, last: LastLink) -> Result<Path> {
    let path = path_at(path)?;
    fs::lookup(credentials(call), &start_of(call, HERE, &path)?, &path, last)
}

fn open_at(call: &Call<'_>, directory: u64, path: u64, flags: u32, mode: u64) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    let mode = mode as u32 & 0o7777 & !call.thread.process.places.umask();
    // Without a number for it, no file is made or cut short.
    let number = call.thread.process.descriptors.reserve()?;
    let file = fs::open(credentials(call), &start, &path, flags, mode)?;
    Ok(number.fill(file, flags & O_CLOEXEC != 0))
}

/// open(2).
pub(crate) fn open(call: &Call<'_>) -> Result<usize> {
    let [path, flags, mode, ..] = call.args;
    open_at(call, HERE, path, flags as u32, mode)
}

/// creat(2).
pub(crate) fn creat(call: &Call<'_>) -> Result<usize> {
    let [path, mode, ..] = call.args;
    open_at(call, HERE, path, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

/// openat(2).
pub(crate) fn openat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, flags, mode, ..] = call.args;
    open_at(call, directory, path, flags as u32, mode)
}

/// Puts `status` into the layout of user space.
fn to_user(status: Status) -> UserStat {
    let mut user = <UserStat as memory::user::UserValue>::ZERO;
    user.st_dev = status.device.packed();
    user.st_ino = status.inode;
    user.st_nlink = status.links.into();
    user.st_mode = status.mode;
    user.st_uid = status.uid;
    user.st_gid = status.gid;
    user.st_rdev = status.rdev.packed();
    user.st_size = status.size as i64;
    user.st_blksize = BLOCK;
    user.st_blocks = status.blocks as i64;
    for (seconds, nanoseconds, time) in [
        (&mut user.st_atime, &mut user.st_atime_nsec, status.atime),
        (&mut user.st_mtime, &mut user.st_mtime_nsec, status.mtime),
        (&mut user.st_ctime, &mut user.st_ctime_nsec, status.ctime),
    ] {
        // Before 1970 as two's complement, as on Linux.
        *seconds = time.seconds as u64;
        *nanoseconds = time.nanoseconds.into();
    }
    user
}

fn write_status(status: Status, to: u64) -> Result<usize> {
    UserSlice::write_value(to, &to_user(status))?;
    Ok(0)
}

/// stat(2).
pub(crate) fn stat(call: &Call<'_>) -> Result<usize> {
    let [path, to, ..] = call.args;
    write_status(look_up(call, path, LastLink::Follow)?.status(), to)
}

/// lstat(2).
pub(crate) fn lstat(call: &Call<'_>) -> Result<usize> {
    let [path, to, ..] = call.args;
    write_status(look_up(call, path, LastLink::Keep)?.status(), to)
}

/// fstat(2).
pub(crate) fn fstat(call: &Call<'_>) -> Result<usize> {
    let [fd, to, ..] = call.args;
    write_status(call.thread.process.descriptors.get(fd)?.status(), to)
}

/// newfstatat(2), the call behind fstatat(3).
pub(crate) fn newfstatat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, to, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = path_at(path)?;
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        let status = if directory as i32 == HERE as i32 {
            call.thread.process.places.directory()?.status()
        } else {
            call.thread.process.descriptors.get(directory)?.status()
        };
        return write_status(status, to);
    }
    let nofollow = flags & AT_SYMLINK_NOFOLLOW != 0;
    let last = if nofollow { LastLink::Keep } else { LastLink::Follow };
    let start = start_of(call, directory, &path)?;
    write_status(fs::lookup(credentials(call), &start, &path, last)?.status(), to)
}

fn read_link(call: &Call<'_>, directory: u64, path: u64, to: u64, len: u64) -> Result<usize> {
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let path = path_at(path)?;
    let link = if path.is_empty() {
        // A link that was itself opened, with `O_PATH`.
        let link = path_of(call, directory, Errno::ENOENT)?;
        if link.kind() != Kind::Symlink {
            return Err(Errno::ENOENT);
        }
        link
    } else {
        let start = start_of(call, directory, &path)?;
        fs::lookup(credentials(call), &start, &path, LastLink::Keep)?
    };
    let to = UserSlice::new(to, len);
    match link.link_target()? {
        LinkTarget::Text(target) => Ok(to.write(&target)?),
        LinkTarget::File(file) => Ok(to.write(&file.text()?)?),
    }
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

fn change_directory(call: &Call<'_>, to: &Path) -> Result<usize> {
    if !to.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    to.check(credentials(call), Access::EXECUTE)?;
    call.thread.process.places.set_directory(to.clone());
    Ok(0)
}

/// chdir(2).
pub(crate) fn chdir(call: &Call<'_>) -> Result<usize> {
    let [path, ..] = call.args;
    change_directory(call, &look_up(call, path, LastLink::Follow)?)
}

/// fchdir(2).
pub(crate) fn fchdir(call: &Call<'_>) -> Result<usize> {
    let [fd, ..] = call.args;
    let file: Arc<OpenFile> = call.thread.process.descriptors.get(fd)?;
    change_directory(call, file.directory()?)
}

/// getcwd(2): the path and its zero byte; how many bytes that are.
pub(crate) fn getcwd(call: &Call<'_>) -> Result<usize> {
    let [to, len, ..] = call.args;
    let directory = call.thread.process.places.directory()?;
    if directory.is_gone() {
        return Err(Errno::ENOENT);
    }
    let mut text = directory.text_within(PATH_MAX as usize - 1)?;
    text.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    text.push(0);
    if (text.len() as u64) > len {
        return Err(Errno::ERANGE);
    }
    Ok(UserSlice::new(to, text.len()).write(&text)?)
}
