//! From a path in words to a [`Path`] (path_resolution(7)).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use abi::fcntl::{NAME_MAX, PATH_MAX};
use abi::{Errno, Result};

use crate::credentials::{Access, Credentials};
use crate::status::Kind;
use crate::vfs::dcache;
use crate::vfs::inode::LinkTarget;
use crate::vfs::mount::root;
use crate::vfs::path::Path;

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

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Found {
    /// To a file.
    File(Path),
    /// To a name that its directory does not have.
    Nothing {
        /// The directory.
        directory: Path,
        /// The name.
        name: Vec<u8>,
        /// Whether a slash stands behind it, so that only a directory would do.
        wants_directory: bool,
    },
}

/// The file at `path`, from the directory `start` on if the path is relative, as somebody finds it.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, `ENOMEM`; what a file system says.
pub fn lookup(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    last_link: LastLink,
) -> Result<Path> {
    match resolve(credentials, start, path, last_link)? {
        Found::File(file) => Ok(file),
        Found::Nothing { .. } => Err(Errno::ENOENT),
    }
}

/// Looks whether names can be found in a directory.
///
/// # Errors
/// `ENOTDIR`, `EACCES`.
fn check_search(credentials: &Credentials, directory: &Path) -> Result<()> {
    if !directory.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    // Root may, whatever the directory says.
    if credentials.is_privileged() {
        return Ok(());
    }
    credentials.check(&directory.inode().status(), Access::EXECUTE)
}

/// A name that is to be made, taken away or moved, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Last<'a> {
    /// The directory.
    pub(crate) directory: Path,
    /// The name in it.
    pub(crate) name: LastName<'a>,
    /// Whether a slash stands behind it, so that only a directory would do.
    pub(crate) wants_directory: bool,
}

/// The last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastName<'a> {
    /// A name.
    Name(&'a [u8]),
    /// The directory itself, `.`.
    Dot,
    /// `..`.
    DotDot,
    /// There is none: the path is `/`.
    Root,
}

/// The directory that the last component of a path is in, and that component, which is not
/// looked at.
///
/// # Errors
/// As [`lookup`], for the way to it.
pub(crate) fn resolve_last<'a>(
    credentials: &Credentials,
    start: &Path,
    path: &'a [u8],
) -> Result<Last<'a>> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.len() >= PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    let (whole, slashes) = path.split_at_checked(end).unwrap_or_default();
    let begin = whole.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let (way, name) = whole.split_at_checked(begin).unwrap_or_default();
    let directory = match way {
        _ if name.is_empty() => root()?,
        b"" => start.clone(),
        way => lookup(credentials, start, way, LastLink::Follow)?,
    };
    check_search(credentials, &directory)?;
    let name = match name {
        b"" => LastName::Root,
        b"." => LastName::Dot,
        b".." => LastName::DotDot,
        name if name.len() > NAME_MAX as usize => return Err(Errno::ENAMETOOLONG),
        name => LastName::Name(name),
    };
    Ok(Last { directory, name, wants_directory: !slashes.is_empty() })
}

/// What is left of a path, with what links have put before it.
struct Rest<'a> {
    text: Cow<'a, [u8]>,
    /// Bytes of it that are behind us.
    done: usize,
}

impl Rest<'_> {
    fn bytes(&self) -> &[u8] {
        self.text.get(self.done..).unwrap_or_default()
    }

    /// Puts the target of a link before what is left behind `after`, the last bytes of it.
    fn put_before(&mut self, target: &[u8], after: usize) -> Result<()> {
        let from = self.text.len().saturating_sub(after);
        let after = self.text.get(from..).unwrap_or_default();
        let len = target.len() + after.len();
        if len >= PATH_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut text = Vec::new();
        text.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        text.extend_from_slice(target);
        text.extend_from_slice(after);
        *self = Self { text: Cow::Owned(text), done: 0 };
        Ok(())
    }
}

/// Where `path` leads, from the directory `start` on if it is relative.
///
/// # Errors
/// As [`lookup`]; `ENOENT` only for what is missing on the way.
pub(crate) fn resolve(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    last_link: LastLink,
) -> Result<Found> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.len() >= PATH_MAX as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut rest = Rest { text: Cow::Borrowed(path), done: 0 };
    let mut at = if path.starts_with(b"/") { root()? } else { start.clone() };
    let mut links = 0;
    loop {
        let (name, after) = match next_component(rest.bytes()) {
            Some(found) => found,
            // Only slashes are left: what they stand behind must be a directory.
            None if rest.bytes().is_empty() || at.is_directory() => return Ok(Found::File(at)),
            None => return Err(Errno::ENOTDIR),
        };
        check_search(credentials, &at)?;
        if name.len() > NAME_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let next = match name {
            b"." => at.clone(),
            b".." => at.clone().above(),
            _ => match dcache::lookup(at.dentry(), name, at.mount().superblock().caching())? {
                Some(dentry) => at.clone().with_dentry(dentry).entered(),
                None if after.iter().all(|&byte| byte == b'/') => {
                    let wants_directory = !after.is_empty();
                    let mut copy = Vec::new();
                    copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
                    copy.extend_from_slice(name);
                    return Ok(Found::Nothing { directory: at, name: copy, wants_directory });
                }
                None => return Err(Errno::ENOENT),
            },
        };
        let after = after.len();
        if next.kind() != Kind::Symlink || (after == 0 && last_link == LastLink::Keep) {
            at = next;
            rest.done = rest.text.len() - after;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        match next.link_target()? {
            LinkTarget::Text(target) if target.is_empty() => return Err(Errno::ENOENT),
            LinkTarget::Text(target) => {
                if target.starts_with(b"/") {
                    at = root()?;
                }
                rest.put_before(&target, after)?;
            }
            LinkTarget::File(file) => {
                at = file;
                rest.done = rest.text.len() - after;
            }
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
