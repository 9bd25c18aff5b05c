//! [`Credentials`]: who asks for a file, and what permission bits let them do (credentials(7),
//! path_resolution(7)).

use alloc::sync::Arc;

use abi::stat::{S_ISGID, S_ISVTX, S_IXGRP};
use abi::{Errno, Result};
use bitflags::bitflags;

use crate::status::{FileFlags, Kind, Status};

bitflags! {
    /// What somebody wants to do with a file, as the permission bits have it for others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Read it; of a directory, its names.
        const READ = 4;
        /// Change it; of a directory, its names.
        const WRITE = 2;
        /// Run it; of a directory, find files in it.
        const EXECUTE = 1;
    }
}

/// A user, as file systems see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user. 0 may do nearly everything.
    pub uid: u32,
    /// The group that new files belong to.
    pub gid: u32,
    /// Further groups.
    pub groups: Option<Arc<[u32]>>,
}

impl Credentials {
    /// The kernel's own, and root's.
    pub const ROOT: Self = Self { uid: 0, gid: 0, groups: None };

    /// Whether permissions are nothing to them (`CAP_DAC_OVERRIDE`, `CAP_FOWNER` and the like).
    pub fn is_privileged(&self) -> bool {
        self.uid == 0
    }

    /// Whether they belong to a group.
    pub fn is_in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.iter().any(|groups| groups.contains(&gid))
    }

    /// Whether the file is theirs, or they may do with it as if it were.
    pub fn owns(&self, status: &Status) -> bool {
        self.is_privileged() || self.uid == status.uid
    }

    /// Looks whether they may do that with a file of this status.
    ///
    /// # Errors
    /// `EACCES`; `EPERM` for a change of what is immutable, whoever asks.
    pub fn check(&self, status: &Status, wanted: Access) -> Result<()> {
        if wanted.contains(Access::WRITE) && status.flags.contains(FileFlags::IMMUTABLE) {
            return Err(Errno::EPERM);
        }
        let bits = if self.uid == status.uid {
            status.mode >> 6
        } else if self.is_in_group(status.gid) {
            status.mode >> 3
        } else {
            status.mode
        };
        let may = Access::from_bits_truncate(bits);
        // Root may do all but run what nobody may run.
        let runs = wanted.contains(Access::EXECUTE) && status.kind() != Kind::Directory;
        let may_as_root = self.is_privileged() && (!runs || status.is_executable());
        if may.contains(wanted) || may_as_root { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Looks whether they may take a name, which leads to `file`, out of a directory, or replace
    /// it: the sticky bit keeps other people's names, and no name goes from a directory that is
    /// only added to, or of a file that is fixed.
    ///
    /// # Errors
    /// `EACCES`, `EPERM`.
    pub(crate) fn check_removal(&self, directory: &Status, file: &Status) -> Result<()> {
        self.check(directory, Access::WRITE | Access::EXECUTE)?;
        let is_kept = directory.mode & S_ISVTX != 0;
        if is_kept && self.uid != file.uid && !self.owns(directory) {
            return Err(Errno::EPERM);
        }
        if directory.is_append_only() || file.is_fixed() {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Owner, group and mode of a new file of theirs in a directory, whose `S_ISGID` hands its
    /// group down.
    pub(crate) fn of_new(&self, directory: &Status, mode: u32) -> (u32, u32, u32) {
        if directory.mode & S_ISGID == 0 {
            return (self.uid, self.gid, mode);
        }
        let mode = match Kind::of_mode(mode) {
            Kind::Directory => mode | S_ISGID,
            _ if mode & S_IXGRP != 0 => self.without_foreign_group(directory.gid, mode),
            _ => mode,
        };
        (self.uid, directory.gid, mode)
    }

    /// The mode that they may give to a file of the group `gid`: nobody makes programs that run
    /// as a group that they are not in.
    pub(crate) fn without_foreign_group(&self, gid: u32, mode: u32) -> u32 {
        if self.is_privileged() || self.is_in_group(gid) { mode } else { mode & !S_ISGID }
    }
}

#[base::kernel_test]
fn permissions_are_those_of_owner_group_or_others() {
    let file = |mode, uid, gid| Status { mode, uid, gid, ..Status::default() };
    let user = Credentials { uid: 5, gid: 7, groups: Some(Arc::from([8, 9].as_slice())) };
    let may = |credentials: &Credentials, status: &Status, wanted| {
        credentials.check(status, wanted).is_ok()
    };
    for (index, (uid, gid)) in [(5, 1), (1, 7), (1, 9), (1, 1)].into_iter().enumerate() {
        let shift = [6, 3, 3, 0].into_iter().nth(index).unwrap_or(0);
        for wanted in [Access::READ, Access::WRITE, Access::EXECUTE] {
            let status = file(0o100_000 | wanted.bits() << shift, uid, gid);
            assert!(may(&user, &status, wanted), "{status:?}");
            let status = file(0o100_777 & !(wanted.bits() << shift), uid, gid);
            assert!(!may(&user, &status, wanted), "{status:?}");
        }
    }
    // Root reads and writes everything, and runs what somebody may run.
    let root = Credentials::ROOT;
    assert!(may(&root, &file(0o100_000, 5, 5), Access::READ | Access::WRITE));
    assert!(!may(&root, &file(0o100_666, 0, 0), Access::EXECUTE));
    assert!(may(&root, &file(0o100_001, 0, 0), Access::EXECUTE));
    assert!(may(&root, &file(0o040_000, 5, 5), Access::EXECUTE));

    let sticky = file(0o041_777, 0, 0);
    assert_eq!(user.check_removal(&sticky, &file(0o100_666, 6, 7)), Err(Errno::EPERM));
    assert_eq!(user.check_removal(&sticky, &file(0o100_000, 5, 1)), Ok(()));
    assert_eq!(user.check_removal(&file(0o041_777, 5, 0), &file(0o100_000, 1, 1)), Ok(()));
    assert_eq!(
        user.check_removal(&file(0o040_755, 0, 0), &file(0o100_777, 5, 5)),
        Err(Errno::EACCES)
    );

    let fixed = |flags| Status { flags, ..file(0o040_777, 5, 7) };
    let root = Credentials::ROOT;
    for who in [&user, &root] {
        for (flags, may_add) in [(FileFlags::IMMUTABLE, false), (FileFlags::APPEND, true)] {
            let added = who.check(&fixed(flags), Access::WRITE | Access::EXECUTE);
            assert_eq!(added, if may_add { Ok(()) } else { Err(Errno::EPERM) });
            assert_eq!(who.check(&fixed(flags), Access::READ), Ok(()));
            let free = file(0o040_777, 5, 7);
            assert_eq!(who.check_removal(&fixed(flags), &free), Err(Errno::EPERM));
            assert_eq!(who.check_removal(&free, &fixed(flags)), Err(Errno::EPERM));
            assert_eq!(who.check_removal(&free, &free), Ok(()));
        }
    }

    let handed_down = file(0o042_777, 0, 70);
    assert_eq!(user.of_new(&handed_down, 0o102_755), (5, 70, 0o100_755));
    assert_eq!(user.of_new(&handed_down, 0o040_755), (5, 70, 0o042_755));
    assert_eq!(user.of_new(&sticky, 0o102_755), (5, 7, 0o102_755));
}
