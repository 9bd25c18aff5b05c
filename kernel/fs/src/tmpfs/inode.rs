//! [`TmpInode`]: a file of a tmpfs.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::ops::Range;

use abi::fcntl::{FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE};
use abi::{Errno, Result};
use base::sync::SpinLock;
use memory::frames::check_user_may_allocate;
use task::{Mutex, RwLock, named_mutex};
use vm::cache::PageCache;

use super::directory::Names;
use super::{PAGE, TmpFs};
use crate::file::File;
use crate::nodes;
use crate::regular::{Cached, RegularFile};
use crate::status::{AccessTimes, DeviceNumber, Kind, Status, Time};
use crate::vfs::{Changes, DirEntry, Inode, LinkTarget, NewFile, Renaming, VisitEntry, Writers};

/// Most bytes of a file, as Linux has it for its page cache.
const MAX_LEN: u64 = i64::MAX as u64;
/// What a name costs of a directory's size, as Linux counts it.
const NAME_BYTES: u64 = 20;

/// A file.
pub(super) struct TmpInode {
    fs: Arc<TmpFs>,
    number: u64,
    kind: Kind,
    about: SpinLock<About>,
    body: Body,
    /// The next directory that is to be let go.
    next_dying: Option<Arc<TmpInode>>,
}

/// What can change about a file.
#[derive(Clone, Copy)]
struct About {
    permissions: u32,
    uid: u32,
    gid: u32,
    /// Names, and of a directory what it contributes itself: `.`, and `..` of those in it.
    links: u32,
    atime: Time,
    mtime: Time,
    ctime: Time,
}

enum Body {
    Regular { cache: Arc<PageCache>, writes: Mutex<()>, writers: Writers },
    Directory(RwLock<Names>),
    Symlink(Vec<u8>),
    Node(DeviceNumber),
}

/// Directories that are being let go, as a list through them, and whether somebody works at it.
#[derive(Debug, Default)]
pub(super) struct Dying {
    first: Option<Arc<TmpInode>>,
    is_worked_at: bool,
}

impl TmpInode {
    /// A new file, without a name.
    ///
    /// # Errors
    /// `ENOSPC`, `ENOMEM`.
    pub(super) fn new(fs: &Arc<TmpFs>, new: &NewFile<'_>) -> Result<Arc<Self>> {
        check_user_may_allocate()?;
        let kind = Kind::of_mode(new.mode);
        let body = match kind {
            Kind::Regular => Body::Regular {
                cache: PageCache::in_memory(0, fs.budget.clone()),
                writes: named_mutex("writes to a file", ()),
                writers: Writers::default(),
            },
            Kind::Directory => Body::Directory(RwLock::new(Names::default())),
            Kind::Symlink => {
                let mut target = Vec::new();
                target.try_reserve_exact(new.target.len()).map_err(|_| Errno::ENOMEM)?;
                target.extend_from_slice(new.target);
                Body::Symlink(target)
            }
            _ => Body::Node(new.device),
        };
        fs.take_inode()?;
        let now = Time::now();
        let about = About {
            permissions: new.mode & 0o7777,
            uid: new.uid,
            gid: new.gid,
            links: if kind == Kind::Directory { 2 } else { 0 },
            atime: now,
            mtime: now,
            ctime: now,
        };
        let about = SpinLock::new("tmpfs inode", about);
        let number = fs.next_number();
        Ok(Arc::new(Self { fs: fs.clone(), number, kind, about, body, next_dying: None }))
    }

    pub(super) fn kind_of(&self) -> Kind {
        self.kind
    }

    fn names(&self) -> Result<&RwLock<Names>> {
        match &self.body {
            Body::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn change_links(&self, by: i32) {
        let mut about = self.about.lock();
        about.links = about.links.saturating_add_signed(by);
        about.ctime = Time::now();
    }

    /// The names in the directory have changed, and among them how many directories.
    fn names_changed(&self, directories: i32) {
        let mut about = self.about.lock();
        about.links = about.links.saturating_add_signed(directories);
        let now = Time::now();
        (about.mtime, about.ctime) = (now, now);
    }

    fn contents_changed(&self) {
        let mut about = self.about.lock();
        let now = Time::now();
        (about.mtime, about.ctime) = (now, now);
    }

    /// Whether it is a directory with names in it.
    fn is_full(&self) -> bool {
        matches!(&self.body, Body::Directory(names) if !names.read().is_empty())
    }

    /// Makes all pages be there that have bytes of the range, under the lock of the writes. If that
    /// fails those behind the end of the file go again that were not there before; in holes before
    /// the end they stay, where programs may have written to them by now through a mapping.
    ///
    /// # Errors
    /// `ENOSPC`, `ENOMEM`; `EINTR` for a signal.
    fn fill(&self, bytes: Range<u64>) -> Result<()> {
        let cache = self.cache();
        let pages = bytes.start / PAGE..bytes.end.div_ceil(PAGE);
        if pages.end.saturating_sub(pages.start) > self.fs.budget.limit() {
            return Err(Errno::ENOSPC);
        }
        let behind = cache.len().div_ceil(PAGE);
        // Pages that were not there.
        let mut new: Vec<Range<u64>> = Vec::new();
        for index in pages {
            let result = match new.last_mut() {
                _ if task::signal_pending() => Err(Errno::EINTR),
                _ if index < behind || cache.is_resident(index) => Ok(()),
                Some(last) if last.end == index => {
                    last.end += 1;
                    Ok(())
                }
                _ => new.try_reserve(1).map_err(|_| Errno::ENOMEM).map(|()| {
                    new.push(index..index + 1);
                }),
            };
            let filled = || Ok(cache.fill(index * PAGE..(index + 1) * PAGE)?);
            if let Err(error) = result.and_then(|()| filled()) {
                for range in new {
                    cache.punch(range.start * PAGE..range.end * PAGE);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<Arc<Self>> {
        self.names()?.read().find(name).cloned().ok_or(Errno::ENOENT)
    }
}

/// The file system's own type behind an inode of its.
fn own(inode: &dyn Inode) -> Result<&TmpInode> {
    let any: &dyn Any = inode;
    any.downcast_ref().ok_or(Errno::EXDEV)
}

fn as_links(is_directory: bool) -> i32 {
    i32::from(is_directory)
}

impl fmt::Debug for TmpInode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TmpInode({}, {:?})", self.number, self.kind)
    }
}

impl Inode for TmpInode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> Status {
        let (size, pages, rdev) = match &self.body {
            Body::Regular { cache, .. } => (cache.len(), cache.pages() as u64, None),
            Body::Directory(names) => (names.read().len() as u64 * NAME_BYTES, 0, None),
            Body::Symlink(target) => (target.len() as u64, 0, None),
            Body::Node(device) => (0, 0, Some(*device)),
        };
        let about = *self.about.lock();
        Status {
            inode: self.number,
            mode: self.kind.mode() | about.permissions,
            links: about.links,
            uid: about.uid,
            gid: about.gid,
            rdev: rdev.unwrap_or_default(),
            size,
            blocks: pages * (PAGE / 512),
            atime: about.atime,
            mtime: about.mtime,
            ctime: about.ctime,
            ..Status::default()
        }
    }

    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn File>> {
        match &self.body {
            Body::Regular { .. } => Ok(RegularFile::new(self)),
            Body::Node(device) => nodes::open(self.kind, *device, flags),
            Body::Directory(_) => Err(Errno::EISDIR),
            Body::Symlink(_) => Err(Errno::ELOOP),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        let found = self.names()?.read().find(name).cloned();
        Ok(found.map(|inode| inode as Arc<dyn Inode>))
    }

    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        let names = self.names()?;
        let mut at = position;
        loop {
            let Some((place, name)) = names.read().next(at) else { return Ok(()) };
            at = place + 1;
            let (inode, kind) = (name.inode.number, name.kind());
            if visit(DirEntry { name: &name.text, inode, kind, next: at }).is_break() {
                return Ok(());
            }
        }
    }

    fn link_target(&self) -> Result<LinkTarget<'_>> {
        match &self.body {
            Body::Symlink(target) => Ok(LinkTarget::Text(Cow::Borrowed(target))),
            _ => Err(Errno::EINVAL),
        }
    }

    fn was_read(&self, times: AccessTimes) {
        let now = Time::now();
        let mut about = self.about.lock();
        about.atime = now.of_read(about.atime, about.mtime.max(about.ctime), times);
    }

    fn make(&self, name: &[u8], new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        let names = self.names()?;
        let made = Self::new(&self.fs, new)?;
        if made.kind != Kind::Directory {
            made.about.lock().links = 1;
        }
        names.write().insert(self.fs.next_number(), name, made.clone());
        self.names_changed(as_links(made.kind == Kind::Directory));
        Ok(made)
    }

    fn make_nameless(&self, new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        Ok(Self::new(&self.fs, new)?)
    }

    fn link(&self, name: &[u8], file: &Arc<dyn Inode>) -> Result<()> {
        let any: Arc<dyn Any + Send + Sync> = file.clone();
        let file: Arc<Self> = any.downcast().map_err(|_| Errno::EXDEV)?;
        file.change_links(1);
        self.names()?.write().insert(self.fs.next_number(), name, file);
        self.names_changed(0);
        Ok(())
    }

    fn unlink(&self, name: &[u8], file: &dyn Inode) -> Result<()> {
        let file = own(file)?;
        if file.is_full() {
            return Err(Errno::ENOTEMPTY);
        }
        let is_directory = file.kind == Kind::Directory;
        // `.` goes with the name.
        file.change_links(if is_directory { -2 } else { -1 });
        let removed = self.names()?.write().remove(name);
        self.names_changed(-as_links(is_directory));
        drop(removed);
        Ok(())
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        let to = own(renaming.to)?;
        let moved = self.find(renaming.from_name)?;
        let is_directory = moved.kind == Kind::Directory;
        let place = self.fs.next_number();
        if renaming.exchange {
            let other = to.find(renaming.to_name)?;
            let other_is_directory = other.kind == Kind::Directory;
            to.names()?.write().insert(place, renaming.to_name, moved.clone());
            let place = self.fs.next_number();
            self.names()?.write().insert(place, renaming.from_name, other.clone());
            let more = as_links(is_directory) - as_links(other_is_directory);
            self.names_changed(-more);
            to.names_changed(more);
            other.change_links(0);
        } else {
            let other = renaming.other.map(own).transpose()?;
            if let Some(other) = other {
                if other.is_full() {
                    return Err(Errno::ENOTEMPTY);
                }
                other.change_links(if is_directory { -2 } else { -1 });
            }
            // Whoever goes through the names meanwhile may see both, but never none.
            let replaced = to.names()?.write().insert(place, renaming.to_name, moved.clone());
            let removed = self.names()?.write().remove(renaming.from_name);
            self.names_changed(-as_links(is_directory));
            to.names_changed(as_links(is_directory && other.is_none()));
            drop((replaced, removed));
        }
        moved.change_links(0);
        Ok(())
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        let mut about = self.about.lock();
        let now = *about;
        *about = About {
            permissions: changes.permissions.unwrap_or(now.permissions),
            uid: changes.uid.unwrap_or(now.uid),
            gid: changes.gid.unwrap_or(now.gid),
            atime: changes.atime.unwrap_or(now.atime),
            mtime: changes.mtime.unwrap_or(now.mtime),
            ctime: Time::now(),
            ..now
        };
        Ok(())
    }

    fn writers(&self) -> Option<&Writers> {
        match &self.body {
            Body::Regular { writers, .. } => Some(writers),
            _ => None,
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let Body::Regular { cache, writes, .. } = &self.body else { return Err(Errno::EINVAL) };
        if len > MAX_LEN {
            return Err(Errno::EFBIG);
        }
        let _writes = writes.lock();
        cache.set_len(len);
        self.contents_changed();
        Ok(())
    }
}

impl Cached for TmpInode {
    fn cache(&self) -> &Arc<PageCache> {
        match &self.body {
            Body::Regular { cache, .. } => cache,
            _ => unreachable!("an open regular file that is none: {self:?}"),
        }
    }

    fn writes(&self) -> &Mutex<()> {
        match &self.body {
            Body::Regular { writes, .. } => writes,
            _ => unreachable!("an open regular file that is none: {self:?}"),
        }
    }

    fn max_len(&self) -> u64 {
        MAX_LEN
    }

    fn was_written(&self, _end: u64) -> Result<()> {
        self.contents_changed();
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let cache = self.cache();
        let end = offset + len;
        match mode {
            0 | FALLOC_FL_KEEP_SIZE => {
                self.fill(offset..end)?;
                if mode == 0 && end > cache.len() {
                    cache.set_len(end);
                }
            }
            _ if mode == FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE => cache.punch(offset..end),
            _ if mode & !FALLOC_FL_KEEP_SIZE == FALLOC_FL_ZERO_RANGE => {
                cache.punch(offset..end);
                self.fill(offset..end)?;
                if mode & FALLOC_FL_KEEP_SIZE == 0 && end > cache.len() {
                    cache.set_len(end);
                }
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        self.contents_changed();
        Ok(())
    }
}

impl Drop for TmpInode {
    /// Lets the names of a directory go that is gone itself. There may be more directories in
    /// each other than the stack has room for: they are put on a list, which whoever came first
    /// works off.
    fn drop(&mut self) {
        self.fs.give_inode();
        let Body::Directory(names) = &mut self.body else { return };
        let names = names.get_mut();
        while let Some(mut inode) = names.pop() {
            if inode.is_full()
                && let Some(own) = Arc::get_mut(&mut inode)
            {
                let mut dying = self.fs.dying.lock();
                own.next_dying = dying.first.take();
                dying.first = Some(inode);
            }
        }
        let fs = self.fs.clone();
        loop {
            let mut dying = fs.dying.lock();
            if dying.is_worked_at {
                return;
            }
            let Some(mut first) = dying.first.take() else { return };
            dying.first = Arc::get_mut(&mut first).and_then(|first| first.next_dying.take());
            dying.is_worked_at = true;
            drop(dying);
            drop(first);
            fs.dying.lock().is_worked_at = false;
        }
    }
}
