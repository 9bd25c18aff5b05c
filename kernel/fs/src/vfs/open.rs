//! [`open`]: from a path and flags to an [`OpenFile`] (open(2)); and the files that stand for
//! what is not opened itself: directories, and paths alone.

use alloc::sync::Arc;

use abi::fcntl::{
    O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_TMPFILE, O_TRUNC,
};
use abi::{Errno, Result};
use memory::frames::check_user_may_allocate;

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::open_file::OpenFile;
use crate::status::{Kind, Status};
use crate::vfs::inode::{DirEntry, Inode, VisitEntry};
use crate::vfs::path::Path;
use crate::vfs::walk::{Found, LastLink, lookup, resolve};

/// Opens the file at `path`, from the directory `start` on if the path is relative, with the
/// `O_*` flags of open(2).
///
/// # Errors
/// As open(2). No file system makes files yet: where `O_CREAT` would, that is `EROFS` or, if it
/// is not read-only, `EACCES`.
pub fn open(start: &Path, path: &[u8], flags: u32) -> Result<Arc<OpenFile>> {
    let only_path = flags & O_PATH != 0;
    // It means nothing where only the path is opened.
    let creates = !only_path && flags & O_CREAT != 0;
    if !only_path && flags & O_TMPFILE & !O_DIRECTORY != 0 {
        return Err(refuse_nameless(start, path, flags));
    }
    if creates && flags & O_DIRECTORY != 0 {
        return Err(Errno::EINVAL);
    }
    let exclusive = creates && flags & O_EXCL != 0;
    let keeps_link = exclusive || flags & O_NOFOLLOW != 0;
    let last = if keeps_link { LastLink::Keep } else { LastLink::Follow };
    let found = match resolve(start, path, last)? {
        Found::File(_) if exclusive => return Err(Errno::EEXIST),
        Found::File(found) => found,
        Found::Nothing { wants_directory: true, .. } if creates => return Err(Errno::EISDIR),
        Found::Nothing { directory, .. } if creates => {
            return Err(if directory.is_read_only() { Errno::EROFS } else { Errno::EACCES });
        }
        Found::Nothing { .. } => return Err(Errno::ENOENT),
    };
    if found.is_directory() && creates {
        return Err(Errno::EISDIR);
    }
    found.open(flags)
}

impl Path {
    /// Opens the file with the `O_*` flags of open(2); it is there already.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(self, flags: u32) -> Result<Arc<OpenFile>> {
        let only_path = flags & O_PATH != 0;
        let truncates = flags & O_TRUNC != 0;
        let changes = truncates || flags & O_ACCMODE != O_RDONLY;
        if flags & O_DIRECTORY != 0 && !self.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        check_user_may_allocate()?;
        let inode = self.inode().clone();
        let file: Arc<dyn File> = match inode.kind() {
            _ if only_path => Arc::new(PathFile(inode)),
            Kind::Directory if changes => return Err(Errno::EISDIR),
            Kind::Directory => Arc::new(DirectoryFile(self.clone())),
            Kind::Symlink => return Err(Errno::ELOOP),
            Kind::Regular if changes && self.is_read_only() => return Err(Errno::EROFS),
            Kind::Regular => {
                let file = inode.clone().open(flags)?;
                if truncates {
                    inode.set_len(0)?;
                }
                file
            }
            // A device, or whoever is at the other end, has its own mind about what is written.
            _ => inode.open(flags)?,
        };
        Ok(OpenFile::at(self, file, flags))
    }
}

/// What `O_TMPFILE` gives: no file system has files without a name yet.
fn refuse_nameless(start: &Path, path: &[u8], flags: u32) -> Errno {
    if flags & O_DIRECTORY == 0 || flags & O_ACCMODE == O_RDONLY {
        return Errno::EINVAL;
    }
    match lookup(start, path, LastLink::Follow) {
        Err(error) => error,
        Ok(found) if !found.is_directory() => Errno::ENOTDIR,
        Ok(found) if found.is_read_only() => Errno::EROFS,
        Ok(_) => Errno::EOPNOTSUPP,
    }
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

    fn entries(&self, position: &mut u64, visit: &mut VisitEntry<'_>) -> Result<()> {
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
