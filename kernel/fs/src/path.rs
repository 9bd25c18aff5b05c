//! From a path to an inode (path_resolution(7)).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use abi::fcntl::{NAME_MAX, PATH_MAX};
use abi::{Errno, Result};

use crate::initramfs::root;
use crate::inode::{Inode, Kind};

/// Most symbolic links on the way to one file.
const MAX_LINKS: u32 = 40;

/// What happens if the last component is a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLink {
    /// It is followed.
    Follow,
    /// It is what was looked for; unless a slash stands behind it.
    Keep,
}

/// The inode at `path`, from the directory `start` on if the path is relative.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`.
pub fn lookup(start: Inode, path: &[u8], last_link: LastLink) -> Result<Inode> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.len() >= PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut rest: Cow<'_, [u8]> = Cow::Borrowed(path);
    let mut at = if path.starts_with(b"/") { root() } else { start };
    let mut links = 0;
    loop {
        let (name, after) = match next_component(&rest) {
            Some(found) => found,
            // Only slashes are left: what they stand behind must be a directory.
            None if rest.is_empty() || at.is_directory() => return Ok(at),
            None => return Err(Errno::ENOTDIR),
        };
        if !at.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if name.len() > NAME_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let next = match name {
            b"." => at,
            b".." => at.parent(),
            _ => at.entry(name).ok_or(Errno::ENOENT)?,
        };
        if next.kind() == Kind::Symlink && (!after.is_empty() || last_link == LastLink::Follow) {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP);
            }
            let target = next.bytes();
            if target.is_empty() {
                return Err(Errno::ENOENT);
            }
            if target.starts_with(b"/") {
                at = root();
            }
            rest = Cow::Owned(joined(target, after)?);
        } else {
            at = next;
            let after = after.len();
            let skip = rest.len() - after;
            rest = match rest {
                Cow::Borrowed(path) => Cow::Borrowed(path.get(skip..).unwrap_or_default()),
                Cow::Owned(mut path) => {
                    path.drain(..skip);
                    Cow::Owned(path)
                }
            };
        }
    }
}

/// The first component and what stands behind it, slashes included; `None` if there are
/// only slashes.
fn next_component(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|&byte| byte != b'/')?;
    let path = path.get(start..)?;
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    path.split_at_checked(end)
}

fn joined(target: &[u8], after: &[u8]) -> Result<Vec<u8>> {
    let len = target.len() + after.len();
    if len >= PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut path = Vec::new();
    path.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    path.extend_from_slice(target);
    path.extend_from_slice(after);
    Ok(path)
}
