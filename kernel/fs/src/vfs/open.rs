//! [`open`]: from a path and flags to an [`OpenFile`] (open(2)); and the files that stand for
//! what is not opened itself: directories, and paths alone.

use alloc::sync::Arc;

use abi::fcntl::{
    O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOATIME, O_NOFOLLOW, O_PATH, O_RDONLY,
    O_TMPFILE, O_TRUNC, O_WRONLY,
};
use abi::{Errno, Result};
use memory::frames::check_user_may_allocate;

use crate::buffer::{Destination, Source};
use crate::credentials::{Access, Credentials};
use crate::file::File;
use crate::open_file::OpenFile;
use crate::status::{DeviceNumber, Kind, Status};
use crate::vfs::dcache;
use crate::vfs::inode::{DirEntry, Inode, NewFile, VisitEntry};
use crate::vfs::names::make_in;
use crate::vfs::path::Path;
use crate::vfs::walk::{Found, LastLink, lookup, resolve};
use crate::vfs::writers::WriteAccess;

/// Opens the file at `path`, from the directory `start` on if the path is relative, with the
/// `O_*` flags of open(2); a new file gets the permissions in the lower 12 bits of `mode`.
///
/// # Errors
/// As open(2).
pub fn open(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    flags: u32,
    mode: u32,
) -> Result<Arc<OpenFile>> {
    /// How often a name may come and go between looking for it and making it.
    const TRIES: usize = 100;
    let only_path = flags & O_PATH != 0;
    // It means nothing where only the path is opened.
    let creates = !only_path && flags & O_CREAT != 0;
    if !only_path && flags & O_TMPFILE & !O_DIRECTORY != 0 {
        return open_nameless(credentials, start, path, flags, mode);
    }
    if creates && flags & O_DIRECTORY != 0 {
        return Err(Errno::EINVAL);
    }
    let exclusive = creates && flags & O_EXCL != 0;
    let keeps_link = exclusive || flags & O_NOFOLLOW != 0;
    let last = if keeps_link { LastLink::Keep } else { LastLink::Follow };
    for _ in 0..TRIES {
        let found = match resolve(credentials, start, path, last)? {
            Found::File(_) if exclusive => return Err(Errno::EEXIST),
            Found::File(found) => found,
            Found::Nothing { wants_directory: true, .. } if creates => return Err(Errno::EISDIR),
            Found::Nothing { directory, name, .. } if creates => {
                match make_in(credentials, &directory, &name, &regular(mode)) {
                    // Whoever makes a file may do with it what they want to, whatever its mode.
                    Ok(made) => return made.open_unchecked(flags & !O_TRUNC),
                    Err(Errno::EEXIST) if !exclusive => continue,
                    Err(error) => return Err(error),
                }
            }
            Found::Nothing { .. } => return Err(Errno::ENOENT),
        };
        if found.is_directory() && creates {
            return Err(Errno::EISDIR);
        }
        return found.open(credentials, flags);
    }
    Err(Errno::ENOENT)
}

/// A new regular file.
fn regular(mode: u32) -> NewFile<'static> {
    let mode = Kind::Regular.mode() | mode & 0o7777;
    NewFile { mode, uid: 0, gid: 0, device: DeviceNumber::default(), target: b"" }
}

/// What the `O_ACCMODE` and `O_TRUNC` bits of open(2) want to do.
fn wanted(flags: u32) -> Access {
    let access = match flags & O_ACCMODE {
        O_RDONLY => Access::READ,
        O_WRONLY => Access::WRITE,
        _ => Access::READ | Access::WRITE,
    };
    if flags & O_TRUNC != 0 { access | Access::WRITE } else { access }
}

impl Path {
    /// Opens the file with the `O_*` flags of open(2); it is there already.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(self, credentials: &Credentials, flags: u32) -> Result<Arc<OpenFile>> {
        if flags & O_DIRECTORY != 0 && !self.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if flags & O_PATH == 0 {
            let wanted = wanted(flags);
            match self.kind() {
                Kind::Directory if wanted.contains(Access::WRITE) => return Err(Errno::EISDIR),
                Kind::Symlink => return Err(Errno::ELOOP),
                Kind::CharDevice | Kind::BlockDevice if self.mount().is_no_dev() => {
                    return Err(Errno::EACCES);
                }
                _ => self.check(credentials, wanted)?,
            }
            let overwrites = flags & O_ACCMODE != O_RDONLY && flags & O_APPEND == 0;
            if (overwrites || flags & O_TRUNC != 0) && self.inode().status().is_append_only() {
                return Err(Errno::EPERM);
            }
            if flags & O_NOATIME != 0 && !credentials.owns(&self.inode().status()) {
                return Err(Errno::EPERM);
            }
        }
        self.open_unchecked(flags)
    }

    /// Opens the file, whoever may.
    fn open_unchecked(self, flags: u32) -> Result<Arc<OpenFile>> {
        check_user_may_allocate()?;
        let inode = self.inode().clone();
        let mut access = None;
        let file: Arc<dyn File> = match inode.kind() {
            _ if flags & O_PATH != 0 => Arc::new(PathFile(inode)),
            Kind::Directory => Arc::new(DirectoryFile(self.clone())),
            Kind::Regular => {
                if wanted(flags).contains(Access::WRITE) {
                    access = Some(WriteAccess::take(&self)?);
                }
                let file = inode.clone().open(flags)?;
                if flags & O_TRUNC != 0 {
                    inode.set_len(0)?;
                }
                file
            }
            // A device, or whoever is at the other end, has its own mind about what is written.
            _ => inode.open(flags)?,
        };
        Ok(OpenFile::at(self, file, flags, access))
    }
}

/// `O_TMPFILE`: a file without a name, in the file system of the directory at `path`.
fn open_nameless(
    credentials: &Credentials,
    start: &Path,
    path: &[u8],
    flags: u32,
    mode: u32,
) -> Result<Arc<OpenFile>> {
    if flags & O_DIRECTORY == 0 || flags & O_ACCMODE == O_RDONLY {
        return Err(Errno::EINVAL);
    }
    let directory = lookup(credentials, start, path, LastLink::Follow)?;
    if !directory.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    directory.check(credentials, Access::WRITE | Access::EXECUTE)?;
    let (uid, gid, mode) = credentials.of_new(&directory.inode().status(), regular(mode).mode);
    let made = directory.inode().make_nameless(&NewFile { uid, gid, mode, ..regular(mode) })?;
    let linkable = flags & O_EXCL == 0;
    let dentry = dcache::nameless(directory.dentry(), made, linkable)?;
    directory.with_dentry(dentry).open_unchecked(flags & !O_TRUNC)
}

/// A file of which only the path was opened (`O_PATH`).
#[derive(Debug)]
struct PathFile(Arc<dyn Inode>);

impl File for PathFile {
    fn read(&self, _position: u64, _to: &mut Destination<'_>) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn write(&self, _position: u64, _from: &mut Source<'_>) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn status(&self) -> Status {
        self.0.status()
    }
}

/// A directory. `.` is at position 0 and `..` at 1; behind them are the file system's.
#[derive(Debug)]
struct DirectoryFile(Path);

/// Where the file system's positions begin.
const OWN_ENTRIES: u64 = 2;

impl File for DirectoryFile {
    fn read(&self, _position: u64, _to: &mut Destination<'_>) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn write(&self, _position: u64, _from: &mut Source<'_>) -> Result<usize> {
        Err(Errno::EBADF)
    }

    fn status(&self) -> Status {
        self.0.inode().status()
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn sync(&self, only_data: bool) -> Result<()> {
        self.0.inode().sync(only_data)
    }

    fn entries(&self, position: &mut u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        if self.0.is_gone() {
            return Err(Errno::ENOENT);
        }
        let mut own = |name: &[u8], of: &Path, next| {
            let inode = of.status().inode;
            visit(DirEntry { name, inode, kind: Kind::Directory, next })
        };
        for (at, name) in (1..).zip([b".".as_slice(), b".."]) {
            if *position < at {
                let of = if at == 1 { self.0.clone() } else { self.0.clone().above() };
                if own(name, &of, at).is_break() {
                    return Ok(());
                }
                *position = at;
            }
        }
        let from = *position - OWN_ENTRIES;
        self.0.inode().entries(from, &mut |entry| {
            let next = entry.next.saturating_add(OWN_ENTRIES);
            let flow = visit(DirEntry { next, ..entry });
            if flow.is_continue() {
                *position = next;
            }
            flow
        })
    }
}
