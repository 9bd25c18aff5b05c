//! Calls that change names: [`make`], [`make_symlink`], [`link`], [`unlink`],
//! [`remove_directory`], [`rename`].
//!
//! Each locks the names of the directories that it changes ([`Dentry`]), the one above first, then
//! of the directory that it takes away, so that nothing is put into that; looks at what is there
//! and who asks; has the file system do it; and tells the dentry cache.

use alloc::sync::Arc;

use abi::fcntl::{RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
use abi::{Errno, Result};
use memory::frames::check_user_may_allocate;

use crate::credentials::{Access, Credentials};
use crate::status::{DeviceNumber, Kind, Status};
use crate::vfs::dcache;
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::{Inode, NewFile, Renaming};
use crate::vfs::path::Path;
use crate::vfs::walk::{Last, LastName, resolve_last};

/// The status of a directory that names are changed in.
fn directory_status(dentry: &Dentry) -> Result<Status> {
    dentry.inode().map(|inode| inode.status()).ok_or(Errno::ENOENT)
}

fn inode_of(dentry: &Dentry) -> Result<&Arc<dyn Inode>> {
    dentry.inode().ok_or(Errno::ENOENT)
}

/// Makes a file `name` in a directory that has none of that name.
///
/// # Errors
/// `EEXIST`, `EROFS`, `EACCES`, `ENOENT` if the directory is gone, `ENOMEM`; what the file system
/// says.
pub(super) fn make_in(
    credentials: &Credentials,
    directory: &Path,
    name: &[u8],
    new: &NewFile<'_>,
) -> Result<Path> {
    check_user_may_allocate()?;
    let parent = directory.dentry();
    let caching = directory.mount().superblock().caching();
    let _names = parent.lock_names_to_change(0)?;
    if dcache::lookup_locked(parent, name, caching)?.is_some() {
        return Err(Errno::EEXIST);
    }
    if directory.is_read_only() {
        return Err(Errno::EROFS);
    }
    let status = directory_status(parent)?;
    credentials.check(&status, Access::WRITE | Access::EXECUTE)?;
    let (uid, gid, mode) = credentials.of_new(&status, new.mode);
    let _allowance = dcache::allowance()?;
    let made = inode_of(parent)?.make(name, &NewFile { uid, gid, mode, ..*new });
    let made = made.inspect_err(|_| dcache::forget_missing(parent, name))?;
    let dentry = dcache::add(parent, name, made)?;
    Ok(directory.clone().with_dentry(dentry))
}

/// The name that a new file is to have; only a directory may have a slash behind it.
fn new_name<'a>(last: &Last<'a>, is_directory: bool) -> Result<&'a [u8]> {
    match last.name {
        LastName::Name(name) if !last.wants_directory || is_directory => Ok(name),
        LastName::Name(name) => {
            let caching = last.directory.mount().superblock().caching();
            let known = dcache::lookup(last.directory.dentry(), name, caching)?;
            Err(if known.is_some() { Errno::EEXIST } else { Errno::ENOENT })
        }
        LastName::Dot | LastName::DotDot | LastName::Root => Err(Errno::EEXIST),
    }
}

/// Makes a file of the type and with the permissions that `mode` says: a directory (mkdir(2)), a
/// regular file, or a node (mknod(2)).
///
/// # Errors
/// As those. `EPERM` for a device if that is not root's to make.
pub fn make(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    mode: u32,
    device: DeviceNumber,
) -> Result<Path> {
    let last = resolve_last(credentials, start, path)?;
    let kind = Kind::of_mode(mode);
    let name = new_name(&last, kind == Kind::Directory)?;
    if matches!(kind, Kind::CharDevice | Kind::BlockDevice) && !credentials.is_privileged() {
        return Err(Errno::EPERM);
    }
    make_in(
        credentials,
        &last.directory,
        name,
        &NewFile { mode, uid: 0, gid: 0, device, target: b"" },
    )
}

/// Makes a symbolic link that leads to `target`.
///
/// # Errors
/// As symlink(2).
pub fn make_symlink(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    target: &[u8],
) -> Result<Path> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let last = resolve_last(credentials, start, path)?;
    let name = new_name(&last, false)?;
    let mode = Kind::Symlink.mode() | 0o777;
    let device = DeviceNumber::default();
    make_in(credentials, &last.directory, name, &NewFile { mode, uid: 0, gid: 0, device, target })
}

/// Gives `file` one more name.
///
/// # Errors
/// As link(2).
pub fn link(credentials: &Credentials, file: &Path, start: &Path, path: &[u8]) -> Result<()> {
    let last = resolve_last(credentials, start, path)?;
    let name = new_name(&last, false)?;
    check_user_may_allocate()?;
    let parent = last.directory.dentry();
    let superblock = last.directory.mount().superblock();
    let _names = parent.lock_names_to_change(0)?;
    if dcache::lookup_locked(parent, name, superblock.caching())?.is_some() {
        return Err(Errno::EEXIST);
    }
    if !Arc::ptr_eq(file.mount(), last.directory.mount()) {
        return Err(Errno::EXDEV);
    }
    if last.directory.is_read_only() {
        return Err(Errno::EROFS);
    }
    credentials.check(&directory_status(parent)?, Access::WRITE | Access::EXECUTE)?;
    let file_status = file.inode().status();
    if file.is_directory() || file_status.is_fixed() {
        return Err(Errno::EPERM);
    }
    // What has lost its last name stays without one.
    if file_status.links == 0 && !file.dentry().is_linkable() {
        return Err(Errno::ENOENT);
    }
    let _allowance = dcache::allowance()?;
    let linked = inode_of(parent)?.link(name, file.inode());
    linked.inspect_err(|_| dcache::forget_missing(parent, name))?;
    file.dentry().set_linkable(false);
    dcache::add(parent, name, file.inode().clone())?;
    Ok(())
}

/// A name that is there and is to go away, under the lock of its directory.
fn victim(
    credentials: &Credentials,
    directory: &Path,
    name: &[u8],
    status: &Status,
) -> Result<Arc<Dentry>> {
    let caching = directory.mount().superblock().caching();
    let found = dcache::lookup_locked(directory.dentry(), name, caching)?;
    let dentry = found.ok_or(Errno::ENOENT)?;
    credentials.check_removal(status, &inode_of(&dentry)?.status())?;
    Ok(dentry)
}

/// Takes a name away that is no directory's. A file without names is gone with its last user.
///
/// # Errors
/// As unlink(2).
pub fn unlink(credentials: &Credentials, start: &Path, path: &[u8]) -> Result<()> {
    let last = resolve_last(credentials, start, path)?;
    let LastName::Name(name) = last.name else { return Err(Errno::EISDIR) };
    if last.directory.is_read_only() {
        return Err(Errno::EROFS);
    }
    let parent = last.directory.dentry();
    let names = parent.lock_names_to_change(0)?;
    let dentry = victim(credentials, &last.directory, name, &directory_status(parent)?)?;
    let inode = inode_of(&dentry)?;
    match inode.kind() {
        Kind::Directory => return Err(Errno::EISDIR),
        _ if last.wants_directory => return Err(Errno::ENOTDIR),
        _ => {}
    }
    inode_of(parent)?.unlink(name, inode.as_ref())?;
    dcache::delete(&dentry);
    // The file's end, which may take its time, keeps nobody waiting.
    drop(names);
    Ok(())
}

/// Takes away an empty directory.
///
/// # Errors
/// As rmdir(2).
pub fn remove_directory(credentials: &Credentials, start: &Path, path: &[u8]) -> Result<()> {
    let last = resolve_last(credentials, start, path)?;
    let name = match last.name {
        LastName::Name(name) => name,
        LastName::Dot => return Err(Errno::EINVAL),
        LastName::DotDot => return Err(Errno::ENOTEMPTY),
        LastName::Root => return Err(Errno::EBUSY),
    };
    if last.directory.is_read_only() {
        return Err(Errno::EROFS);
    }
    let parent = last.directory.dentry();
    let _names = parent.lock_names_to_change(0)?;
    let dentry = victim(credentials, &last.directory, name, &directory_status(parent)?)?;
    let inode = inode_of(&dentry)?;
    if inode.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let _inside = dentry.lock_names_to_change(1)?;
    if dentry.is_mount_point() {
        return Err(Errno::EBUSY);
    }
    inode_of(parent)?.unlink(name, inode.as_ref())?;
    dcache::delete(&dentry);
    Ok(())
}

/// A name to be moved from or to.
fn renamed_name<'a>(last: &Last<'a>, error: Errno) -> Result<&'a [u8]> {
    match last.name {
        LastName::Name(name) => Ok(name),
        _ => Err(error),
    }
}

/// Moves a name, with the `RENAME_*` flags of renameat2(2).
///
/// # Errors
/// As that.
pub fn rename(
    credentials: &Credentials,
    from: (&Path, &[u8]),
    to: (&Path, &[u8]),
    flags: u32,
) -> Result<()> {
    let exchange = flags & RENAME_EXCHANGE != 0;
    let keep = flags & RENAME_NOREPLACE != 0;
    if flags & !(RENAME_EXCHANGE | RENAME_NOREPLACE | RENAME_WHITEOUT) != 0
        || exchange && flags != RENAME_EXCHANGE
        || flags & RENAME_WHITEOUT != 0
    {
        return Err(Errno::EINVAL);
    }
    let from = resolve_last(credentials, from.0, from.1)?;
    let to = resolve_last(credentials, to.0, to.1)?;
    if !Arc::ptr_eq(from.directory.mount(), to.directory.mount()) {
        return Err(Errno::EXDEV);
    }
    let from_name = renamed_name(&from, Errno::EBUSY)?;
    let to_name = renamed_name(&to, if keep { Errno::EEXIST } else { Errno::EBUSY })?;
    if from.directory.is_read_only() {
        return Err(Errno::EROFS);
    }
    check_user_may_allocate()?;
    let superblock = from.directory.mount().superblock().clone();
    let (source, target) = (from.directory.dentry(), to.directory.dentry());
    // Between two directories one rename at a time, so that what is above what stays so.
    let is_same = Arc::ptr_eq(source, target);
    let _one = (!is_same).then(|| superblock.lock_renames());
    let (first, second) =
        if source.is_within(target) { (target, source) } else { (source, target) };
    let _first = first.lock_names_to_change(0)?;
    let _second = if is_same { None } else { Some(second.lock_names_to_change(1)?) };

    let (from_status, to_status) = (directory_status(source)?, directory_status(target)?);
    let caching = superblock.caching();
    let moved = dcache::lookup_locked(source, from_name, caching)?.ok_or(Errno::ENOENT)?;
    let other = dcache::lookup_locked(target, to_name, caching)?;
    match &other {
        Some(_) if keep => return Err(Errno::EEXIST),
        None if exchange => return Err(Errno::ENOENT),
        _ => {}
    }
    let is_directory = inode_of(&moved)?.kind() == Kind::Directory;
    let other_is_directory = match &other {
        Some(other) => inode_of(other)?.kind() == Kind::Directory,
        None => is_directory,
    };
    if !is_directory && (from.wants_directory || !exchange && to.wants_directory)
        || exchange && !other_is_directory && to.wants_directory
    {
        return Err(Errno::ENOTDIR);
    }
    // Nothing can go into itself, nor stand for what is above it.
    if !is_same && is_directory && target.is_within(&moved) {
        return Err(Errno::EINVAL);
    }
    if let Some(other) = &other
        && !is_same
        && source.is_within(other)
    {
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }
    credentials.check_removal(&from_status, &inode_of(&moved)?.status())?;
    match &other {
        Some(other) => credentials.check_removal(&to_status, &inode_of(other)?.status())?,
        None => credentials.check(&to_status, Access::WRITE | Access::EXECUTE)?,
    }
    if let Some(other) = &other {
        // Two names of one file: both stay.
        if Arc::ptr_eq(inode_of(other)?, inode_of(&moved)?) {
            return Ok(());
        }
        match (is_directory, other_is_directory) {
            _ if exchange => {}
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
    }
    // A directory takes its `..` along, which is a change of it.
    for (dentry, moves) in [(Some(&moved), true), (other.as_ref(), exchange)] {
        if let Some(dentry) = dentry
            && moves
            && !is_same
            && inode_of(dentry)?.kind() == Kind::Directory
        {
            credentials.check(&inode_of(dentry)?.status(), Access::WRITE)?;
        }
    }
    let _inside = match &other {
        Some(other) if !exchange && other_is_directory => Some(other.lock_names_to_change(2)?),
        _ => None,
    };
    if moved.is_mount_point() || other.as_ref().is_some_and(|other| other.is_mount_point()) {
        return Err(Errno::EBUSY);
    }
    let _allowance = dcache::allowance()?;
    let renamed = inode_of(source)?.rename(&Renaming {
        from_name,
        file: inode_of(&moved)?.as_ref(),
        to: inode_of(target)?.as_ref(),
        to_name,
        other: match &other {
            Some(other) => Some(inode_of(other)?.as_ref()),
            None => None,
        },
        exchange,
    });
    renamed.inspect_err(|_| dcache::forget_missing(target, to_name))?;
    match &other {
        Some(other) if exchange => dcache::exchange(&moved, other),
        _ => dcache::move_to(&moved, target, to_name),
    }
}
