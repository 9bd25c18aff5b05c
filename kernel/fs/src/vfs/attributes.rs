//! What can be asked of a file by its [`Path`] beside opening it: whether somebody may use it,
//! where a symbolic link leads, that it was read, and changes of its permissions, owner, times and length. Also for files that are open.

use abi::stat::{S_ISGID, S_ISUID, S_IXGRP};
use abi::{Errno, Result};

use crate::credentials::{Access, Credentials};
use crate::status::{AccessTimes, FileFlags, Kind, Time};
use crate::vfs::inode::{Changes, LinkTarget};
use crate::vfs::path::Path;
use crate::vfs::superblock::MountFlags;
use crate::vfs::writers::WriteAccess;

/// What a time of a file is to become (utimensat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeChange {
    /// The present.
    Now,
    /// That moment.
    To(Time),
    /// It stays.
    Keep,
}

impl Path {
    /// Looks whether somebody may do that with the file.
    ///
    /// # Errors
    /// `EACCES`; `EROFS` for a change where nothing can be changed.
    pub fn check(&self, credentials: &Credentials, wanted: Access) -> Result<()> {
        let status = self.inode().status();
        let is_stored = matches!(status.kind(), Kind::Regular | Kind::Directory | Kind::Symlink);
        if wanted.contains(Access::WRITE) && is_stored && self.is_read_only() {
            return Err(Errno::EROFS);
        }
        let runs = wanted.contains(Access::EXECUTE) && status.kind() == Kind::Regular;
        if runs && self.mount().is_no_exec() {
            return Err(Errno::EACCES);
        }
        credentials.check(&status, wanted)
    }

    /// The file was read by this path: its time of that changes, if the mount lets it.
    pub(crate) fn was_read(&self) {
        let mount = self.mount();
        let is_kept = self.is_directory() && mount.own_flags().contains(MountFlags::NO_DIRATIME);
        match mount.access_times() {
            AccessTimes::None => {}
            _ if is_kept || self.is_read_only() => {}
            times => self.inode().was_read(times),
        }
    }

    /// Where the symbolic link leads; whoever asks has read it.
    ///
    /// # Errors
    /// As [`Inode::link_target`](super::Inode::link_target).
    pub fn link_target(&self) -> Result<LinkTarget<'_>> {
        let target = self.inode().link_target()?;
        self.was_read();
        Ok(target)
    }

    fn check_writable(&self) -> Result<()> {
        if self.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Gives the file the permissions in the lower 12 bits of `mode`.
    ///
    /// # Errors
    /// As chmod(2).
    pub fn change_mode(&self, credentials: &Credentials, mode: u32) -> Result<()> {
        self.check_writable()?;
        let status = self.inode().status();
        if status.is_fixed() || !credentials.owns(&status) {
            return Err(Errno::EPERM);
        }
        if status.kind() == Kind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let permissions = credentials.without_foreign_group(status.gid, mode & 0o7777);
        self.inode().change(&Changes { permissions: Some(permissions), ..Changes::default() })
    }

    /// Gives the file to another owner, group, or both. A program of another user does not keep
    /// the right to run as its owner.
    ///
    /// # Errors
    /// As chown(2).
    pub fn change_owner(
        &self,
        credentials: &Credentials,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> Result<()> {
        self.check_writable()?;
        let status = self.inode().status();
        let gives_away = uid.is_some_and(|uid| uid != status.uid);
        let is_own = credentials.uid == status.uid;
        let to_own_group = gid.is_none_or(|gid| gid == status.gid || credentials.is_in_group(gid));
        if !credentials.is_privileged() && (gives_away || !is_own || !to_own_group) {
            return Err(Errno::EPERM);
        }
        if status.is_fixed() && (uid.is_some() || gid.is_some()) {
            return Err(Errno::EPERM);
        }
        let mut permissions = status.mode & 0o7777;
        if status.kind() != Kind::Directory {
            permissions &= !S_ISUID;
            if permissions & S_IXGRP != 0 {
                permissions &= !S_ISGID;
            }
        }
        let permissions = (permissions != status.mode & 0o7777).then_some(permissions);
        self.inode().change(&Changes { uid, gid, permissions, ..Changes::default() })
    }

    /// Changes the times of the last read and of the last change.
    ///
    /// # Errors
    /// As utimensat(2).
    pub fn change_times(
        &self,
        credentials: &Credentials,
        atime: TimeChange,
        mtime: TimeChange,
    ) -> Result<()> {
        if (atime, mtime) == (TimeChange::Keep, TimeChange::Keep) {
            return Ok(());
        }
        self.check_writable()?;
        let status = self.inode().status();
        let is_now = (atime, mtime) == (TimeChange::Now, TimeChange::Now);
        // What is only added to may be said to have been added to just now.
        let is_kept =
            if is_now { status.flags.contains(FileFlags::IMMUTABLE) } else { status.is_fixed() };
        if is_kept {
            return Err(Errno::EPERM);
        }
        if !credentials.owns(&status) {
            if !is_now {
                return Err(Errno::EPERM);
            }
            credentials.check(&status, Access::WRITE)?;
        }
        let now = Time::now();
        let time = |change| match change {
            TimeChange::Now => Some(now),
            TimeChange::To(time) => Some(time),
            TimeChange::Keep => None,
        };
        let (atime, mtime) = (time(atime), time(mtime));
        self.inode().change(&Changes { atime, mtime, ..Changes::default() })
    }

    /// Sets the length of a regular file.
    ///
    /// # Errors
    /// As truncate(2).
    pub fn truncate(&self, credentials: &Credentials, len: u64) -> Result<()> {
        match self.kind() {
            Kind::Directory => return Err(Errno::EISDIR),
            Kind::Regular => {}
            _ => return Err(Errno::EINVAL),
        }
        self.check(credentials, Access::WRITE)?;
        if self.inode().status().is_append_only() {
            return Err(Errno::EPERM);
        }
        let _access = WriteAccess::take(self)?;
        self.inode().set_len(len)
    }
}
