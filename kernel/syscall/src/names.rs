//! Calls that make, link, move and remove names: mkdir, mknod, symlink, link, unlink, rmdir,
//! rename, and those of them that begin at a directory.

use abi::fcntl::{AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW};
use abi::stat::{S_IFDIR, S_IFMT, S_IFREG};
use abi::{Errno, Result};
use fs::{DeviceNumber, Kind, LastLink, Path};

use crate::call::Call;
use crate::paths::{HERE, credentials, path_at, path_of, start_of};

fn make_directory(call: &Call<'_>, directory: u64, path: u64, mode: u64) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    let mode = S_IFDIR | mode as u32 & 0o1777 & !call.thread.process.places.umask();
    fs::make(credentials(call), &start, &path, mode, DeviceNumber::default())?;
    Ok(0)
}

/// mkdir(2).
pub(crate) fn mkdir(call: &Call<'_>) -> Result<usize> {
    let [path, mode, ..] = call.args;
    make_directory(call, HERE, path, mode)
}

/// mkdirat(2).
pub(crate) fn mkdirat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, ..] = call.args;
    make_directory(call, directory, path, mode)
}

fn make_node(call: &Call<'_>, directory: u64, path: u64, mode: u64, device: u64) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    let kind = match mode as u32 & S_IFMT {
        0 => S_IFREG,
        S_IFDIR => return Err(Errno::EPERM),
        kind if Kind::of_mode(kind).mode() != kind || kind == Kind::Symlink.mode() => {
            return Err(Errno::EINVAL);
        }
        kind => kind,
    };
    let mode = kind | mode as u32 & 0o7777 & !call.thread.process.places.umask();
    fs::make(credentials(call), &start, &path, mode, DeviceNumber::of_packed(device))?;
    Ok(0)
}

/// mknod(2).
pub(crate) fn mknod(call: &Call<'_>) -> Result<usize> {
    let [path, mode, device, ..] = call.args;
    make_node(call, HERE, path, mode, device)
}

/// mknodat(2).
pub(crate) fn mknodat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, mode, device, ..] = call.args;
    make_node(call, directory, path, mode, device)
}

fn make_symlink(call: &Call<'_>, target: u64, directory: u64, path: u64) -> Result<usize> {
    let target = path_at(target)?;
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    fs::make_symlink(credentials(call), &start, &path, &target)?;
    Ok(0)
}

/// symlink(2).
pub(crate) fn symlink(call: &Call<'_>) -> Result<usize> {
    let [target, path, ..] = call.args;
    make_symlink(call, target, HERE, path)
}

/// symlinkat(2).
pub(crate) fn symlinkat(call: &Call<'_>) -> Result<usize> {
    let [target, directory, path, ..] = call.args;
    make_symlink(call, target, directory, path)
}

fn make_link(call: &Call<'_>, from: [u64; 2], to: [u64; 2], flags: u32) -> Result<usize> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let [from_directory, from] = from;
    let [to_directory, to] = to;
    let from = path_at(from)?;
    let file: Path = if from.is_empty() && flags & AT_EMPTY_PATH != 0 {
        path_of(call, from_directory, Errno::EXDEV)?
    } else {
        let follow = flags & AT_SYMLINK_FOLLOW != 0;
        let last = if follow { LastLink::Follow } else { LastLink::Keep };
        fs::lookup(credentials(call), &start_of(call, from_directory, &from)?, &from, last)?
    };
    let to = path_at(to)?;
    fs::link(credentials(call), &file, &start_of(call, to_directory, &to)?, &to)?;
    Ok(0)
}

/// link(2).
pub(crate) fn link(call: &Call<'_>) -> Result<usize> {
    let [from, to, ..] = call.args;
    make_link(call, [HERE, from], [HERE, to], 0)
}

/// linkat(2).
pub(crate) fn linkat(call: &Call<'_>) -> Result<usize> {
    let [from_directory, from, to_directory, to, flags, _] = call.args;
    make_link(call, [from_directory, from], [to_directory, to], flags as u32)
}

fn remove(call: &Call<'_>, directory: u64, path: u64, is_directory: bool) -> Result<usize> {
    let path = path_at(path)?;
    let start = start_of(call, directory, &path)?;
    if is_directory {
        fs::remove_directory(credentials(call), &start, &path)?;
    } else {
        fs::unlink(credentials(call), &start, &path)?;
    }
    Ok(0)
}

/// unlink(2).
pub(crate) fn unlink(call: &Call<'_>) -> Result<usize> {
    let [path, ..] = call.args;
    remove(call, HERE, path, false)
}

/// rmdir(2).
pub(crate) fn rmdir(call: &Call<'_>) -> Result<usize> {
    let [path, ..] = call.args;
    remove(call, HERE, path, true)
}

/// unlinkat(2).
pub(crate) fn unlinkat(call: &Call<'_>) -> Result<usize> {
    let [directory, path, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    remove(call, directory, path, flags & AT_REMOVEDIR != 0)
}

fn move_name(call: &Call<'_>, from: [u64; 2], to: [u64; 2], flags: u32) -> Result<usize> {
    let [from_directory, from] = from;
    let [to_directory, to] = to;
    let (from, to) = (path_at(from)?, path_at(to)?);
    let from_start = start_of(call, from_directory, &from)?;
    let to_start = start_of(call, to_directory, &to)?;
    fs::rename(credentials(call), (&from_start, &from), (&to_start, &to), flags)?;
    Ok(0)
}

/// rename(2).
pub(crate) fn rename(call: &Call<'_>) -> Result<usize> {
    let [from, to, ..] = call.args;
    move_name(call, [HERE, from], [HERE, to], 0)
}

/// renameat(2).
pub(crate) fn renameat(call: &Call<'_>) -> Result<usize> {
    let [from_directory, from, to_directory, to, ..] = call.args;
    move_name(call, [from_directory, from], [to_directory, to], 0)
}

/// renameat2(2).
pub(crate) fn renameat2(call: &Call<'_>) -> Result<usize> {
    let [from_directory, from, to_directory, to, flags, _] = call.args;
    move_name(call, [from_directory, from], [to_directory, to], flags as u32)
}
