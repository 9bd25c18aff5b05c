//! [`Ext2Inode`]: a file of an ext2, as the VFS sees it. What stat(2) tells is kept here, too, so
//! that looking at a file takes no lock that somebody holds who waits for the disk.
//!
//! **What is newer here than in the engine** are the size and the times of a file that is written
//! or read ([`About`]): to have the engine's lock for that with every write(2) would have all who
//! write to a file system wait for each other. They go to the engine before a batch begins
//! ([`Ext2Inode::hand_over`]), and before the engine changes anything else of the inode. So a batch,
//! and with that fsync(2), has them as they are then.

use alloc::borrow::Cow;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::ops::ControlFlow;

use abi::fcntl::FALLOC_FL_KEEP_SIZE;
use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use ext2::{Attributes, Caller, Ext2, FileKind, InodeFlags, Scope};
use task::{Mutex, named_mutex};
use vm::cache::{PageCache, Reach};

use super::store::Store;
use super::volume::{Ext2Volume, stamp, time};
use crate::file::File;
use crate::nodes;
use crate::regular::{Cached, RegularFile};
use crate::status::{AccessTimes, DeviceNumber, FileFlags, Kind, Status, Time};
use crate::vfs::{Changes, DirEntry, Inode, LinkTarget, NewFile, Renaming, VisitEntry, Writers};

const PAGE: u64 = 4096;
/// Names that are read from a directory at a time, and their bytes.
const NAMES: usize = 32;
const NAME_BYTES: usize = 2048;

type EngineResult<T> = core::result::Result<T, ext2::Error>;

/// What is known of an inode. Read and changed for some instructions at a time, also under the
/// engine's lock: what the engine says is put in here under that, so that nobody puts in what is
/// out of date.
#[derive(Clone, Copy, PartialEq, Eq)]
struct About {
    inode: ext2::Inode,
    /// The size is newer than the engine's. Under the lock of the writes.
    newer_size: bool,
    /// The times are.
    newer_times: bool,
}

impl About {
    fn is_newer(&self) -> bool {
        self.newer_size || self.newer_times
    }

    /// Takes over what the engine says, but for what is newer here.
    fn take_over(&mut self, mut inode: ext2::Inode) {
        if self.newer_size {
            inode.size = self.inode.size;
        }
        if self.newer_times {
            inode.accessed = self.inode.accessed;
            inode.modified = self.inode.modified;
            inode.changed = self.inode.changed;
        }
        self.inode = inode;
    }
}

/// A file.
pub(super) struct Ext2Inode {
    this: Weak<Self>,
    volume: Arc<Ext2Volume>,
    number: u32,
    kind: Kind,
    about: SpinLock<About>,
    /// The inode itself, as long as something of it is to be stored: the table has it listed then.
    kept: SpinLock<Option<Arc<Self>>>,
    /// Of a regular file.
    cache: Option<Arc<PageCache>>,
    writes: Mutex<()>,
    writers: Writers,
}

fn kind_of(kind: FileKind) -> Kind {
    match kind {
        FileKind::Regular => Kind::Regular,
        FileKind::Directory => Kind::Directory,
        FileKind::Symlink => Kind::Symlink,
        FileKind::CharacterDevice => Kind::CharDevice,
        FileKind::BlockDevice => Kind::BlockDevice,
        FileKind::Fifo => Kind::Fifo,
        FileKind::Socket => Kind::Socket,
    }
}

fn flags_of(flags: InodeFlags) -> FileFlags {
    let mut all = FileFlags::empty();
    all.set(FileFlags::IMMUTABLE, flags.contains(InodeFlags::IMMUTABLE));
    all.set(FileFlags::APPEND, flags.contains(InodeFlags::APPEND));
    all
}

impl Ext2Inode {
    /// An inode as the disk has it.
    pub(super) fn new(volume: Arc<Ext2Volume>, about: &ext2::Inode) -> Arc<Self> {
        let kind = kind_of(about.kind);
        Arc::new_cyclic(|this: &Weak<Self>| {
            let cache = (kind == Kind::Regular).then(|| PageCache::new(about.size, this.clone()));
            Self {
                this: this.clone(),
                volume,
                number: about.number,
                kind,
                about: SpinLock::new(
                    "ext2 inode",
                    About { inode: *about, newer_size: false, newer_times: false },
                ),
                kept: SpinLock::new("ext2 listing", None),
                cache,
                writes: named_mutex("writes to a file", ()),
                writers: Writers::default(),
            }
        })
    }

    pub(super) fn this(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    pub(super) fn volume(&self) -> &Arc<Ext2Volume> {
        &self.volume
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether it has a name, or somebody uses it beside the list of what is to be stored and the
    /// one who asks, with a reference of his own.
    pub(super) fn is_wanted(&self) -> bool {
        self.about.lock().inode.links > 0 || self.this.strong_count() > 2
    }

    pub(super) fn unstored_pages(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.unstored_pages())
    }

    /// Stores its pages.
    ///
    /// # Errors
    /// `EIO`, `ENOMEM`.
    pub(super) fn store_pages(&self, reach: Reach) -> Result<()> {
        match &self.cache {
            Some(cache) => Ok(cache.write_back(0..u64::MAX, reach)?),
            None => Ok(()),
        }
    }

    /// Whether nothing of it is to be stored that the engine does not know of.
    pub(super) fn is_stored(&self) -> bool {
        self.unstored_pages() == 0 && !self.about.lock().is_newer()
    }

    /// Puts it on the list of what is to be stored.
    pub(super) fn list_to_be_stored(&self) {
        self.list_after(|| ());
    }

    /// Puts it on that list after `change`. Under one lock with that: who sees what has changed finds
    /// the inode there.
    fn list_after(&self, change: impl FnOnce()) {
        // What is being dropped is nobody's any more.
        let Some(this) = self.this() else { return };
        let mut kept = self.kept.lock();
        change();
        self.volume.inodes.list(self.number);
        let known = kept.replace(this);
        drop(kept);
        drop(known);
        self.volume.flusher.wake_later();
    }

    /// Takes it from the list if it is stored, or nobody wants it. The caller has a reference.
    pub(super) fn unlist_stored(&self) {
        let mut kept = self.kept.lock();
        if self.is_stored() || !self.is_wanted() {
            self.unlist(&mut kept);
        }
    }

    fn unlist(&self, kept: &mut Option<Arc<Self>>) {
        self.volume.inodes.unlist(self.number);
        // The caller has another one: this is not the last.
        *kept = None;
    }

    /// Takes it from the list, whatever is lost by that: true if something is. The caller has a
    /// reference.
    pub(super) fn unlist_lost(&self) -> bool {
        let mut kept = self.kept.lock();
        let is_lost = !self.is_stored() && self.is_wanted();
        self.unlist(&mut kept);
        is_lost
    }

    /// Tells the engine what is newer here: true if the file has become longer by that.
    ///
    /// # Errors
    /// What the engine says: it is still newer then.
    pub(super) fn hand_over(&self, engine: &mut Ext2<Store>) -> EngineResult<bool> {
        let about = *self.about.lock();
        if about.newer_size {
            engine.extend(self.number, about.inode.size)?;
        }
        if about.is_newer() {
            let ext2::Inode { accessed, modified, changed, .. } = about.inode;
            let [accessed, modified, changed] = [accessed, modified, changed].map(Some);
            let times = Attributes { accessed, modified, changed, ..Attributes::default() };
            engine.set_attributes(self.number, &times)?;
        }
        self.was_handed_over(&about);
        self.take_over(engine)?;
        Ok(about.newer_size)
    }

    /// What the engine was told, or what it can never be told, is newer no more. What has changed
    /// meanwhile is handed over the next time: it is on the list.
    fn was_handed_over(&self, told: &About) {
        let times = |about: &About| {
            let ext2::Inode { accessed, modified, changed, .. } = about.inode;
            (accessed, modified, changed)
        };
        let mut now = self.about.lock();
        now.newer_size &= now.inode.size != told.inode.size;
        now.newer_times &= times(&now) != times(told);
    }

    /// Nothing can be changed any more: what is newer here is lost.
    pub(super) fn give_up(&self) {
        let about = *self.about.lock();
        if about.is_newer()
            && let Some(cache) = &self.cache
        {
            // Who has the file open is told with the next fsync(2).
            cache.note_lost();
        }
        self.was_handed_over(&about);
    }

    pub(super) fn take_over(&self, engine: &Ext2<Store>) -> EngineResult<()> {
        let now = engine.inode(self.number)?;
        self.about.lock().take_over(now);
        Ok(())
    }

    /// Takes over what the engine knows by now.
    ///
    /// # Errors
    /// `EIO`, `EUCLEAN`.
    pub(super) fn refresh(&self) -> Result<()> {
        self.volume.look(|engine| self.take_over(engine))
    }

    /// Has the engine change the inode, as it is by now.
    fn change_inode(
        &self,
        mut change: impl FnMut(&mut Ext2<Store>, &Caller) -> EngineResult<()>,
    ) -> Result<()> {
        self.volume.change(|engine, caller| {
            self.hand_over(engine)?;
            let result = change(engine, caller);
            // Also of what was done in part.
            self.take_over(engine)?;
            result
        })
    }

    fn set_attributes(&self, attributes: &Attributes) -> Result<()> {
        self.change_inode(|engine, _| engine.set_attributes(self.number, attributes))
    }

    /// Changes what is told of the file in memory alone, to be stored later. Takes no lock that
    /// somebody holds who waits for the disk, but for the first change since the last was stored.
    fn change_in_memory(&self, change: impl FnOnce(&mut About)) {
        {
            let mut about = self.about.lock();
            if about.is_newer() {
                return change(&mut about);
            }
        }
        self.list_after(|| change(&mut self.about.lock()));
    }

    fn check_directory(&self) -> Result<()> {
        if self.kind == Kind::Directory { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// Sets the length, under the lock of the writes.
    fn set_len_locked(&self, cache: &Arc<PageCache>, len: u64) -> Result<()> {
        let old = cache.len();
        // The rest of the page with the new end is zeros, here and on the disk.
        let tail = (len < old && !len.is_multiple_of(PAGE)).then_some(len / PAGE);
        let kept = match tail {
            Some(index) => Some(cache.page(index, 1, None)?),
            None => None,
        };
        cache.set_len(len);
        if let (Some(index), Some(_)) = (tail, &kept) {
            cache.touch(index);
        }
        self.change_inode(|engine, caller| {
            engine.truncate(self.number, len, caller)?;
            let (modified, changed) = (Some(caller.now), Some(caller.now));
            let times = Attributes { modified, changed, ..Attributes::default() };
            engine.set_attributes(self.number, &times)
        })
    }
}

/// The file system's own type behind an inode of its.
pub(super) fn own(inode: &dyn Inode) -> Result<&Ext2Inode> {
    let any: &dyn Any = inode;
    any.downcast_ref().ok_or(Errno::EXDEV)
}

impl fmt::Debug for Ext2Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ext2Inode({:?}, {}, {:?})", self.volume, self.number, self.kind)
    }
}

impl Drop for Ext2Inode {
    fn drop(&mut self) {
        if let Some(cache) = &self.cache {
            cache.abandon();
        }
        let has_name = self.about.get_mut().inode.links > 0;
        self.volume.forget(self.number, has_name);
    }
}

impl Inode for Ext2Inode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> Status {
        let about = self.about.lock().inode;
        let rdev = about.device.map_or(DeviceNumber::default(), |device| DeviceNumber {
            major: device.major,
            minor: device.minor,
        });
        Status {
            inode: self.number.into(),
            mode: about.mode,
            links: about.links,
            uid: about.uid,
            gid: about.gid,
            rdev,
            size: self.cache.as_ref().map_or(about.size, |cache| cache.len()),
            blocks: about.sectors,
            atime: time(about.accessed),
            mtime: time(about.modified),
            ctime: time(about.changed),
            flags: flags_of(about.flags),
            ..Status::default()
        }
    }

    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn File>> {
        match self.kind {
            Kind::Regular => Ok(RegularFile::new(self)),
            Kind::Directory => Err(Errno::EISDIR),
            Kind::Symlink => Err(Errno::ELOOP),
            kind => {
                let device = self.status().rdev;
                nodes::open(kind, device, flags)
            }
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        self.check_directory()?;
        match self.volume.look(|engine| engine.lookup(self.number, name))? {
            Some(found) => Ok(Some(self.volume.inode(found.inode)?)),
            None => Ok(None),
        }
    }

    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        self.check_directory()?;
        let mut cursor = position;
        // Some names at a time, since nobody may sleep for other reasons under the engine's lock.
        let mut text: Vec<u8> = Vec::new();
        text.try_reserve_exact(NAME_BYTES).map_err(|_| Errno::ENOMEM)?;
        loop {
            text.clear();
            let mut entries: ArrayVec<(usize, u32, Option<FileKind>, u64), NAMES> = ArrayVec::new();
            self.volume.look(|engine| {
                engine.read_directory(self.number, cursor, |entry| {
                    if entries.is_full() || text.len() + entry.name.len() > NAME_BYTES {
                        return ControlFlow::Break(());
                    }
                    text.extend_from_slice(entry.name);
                    entries.push((entry.name.len(), entry.inode, entry.kind, entry.next));
                    ControlFlow::Continue(())
                })
            })?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut names = text.as_slice();
            for (len, inode, kind, next) in entries {
                let (name, rest) = names.split_at_checked(len).unwrap_or_default();
                names = rest;
                cursor = next;
                if matches!(name, b"." | b"..") {
                    continue;
                }
                // Without the feature `filetype` the kind is in the inode alone.
                let kind = match kind {
                    Some(kind) => kind_of(kind),
                    None => self.volume.inode(inode)?.kind,
                };
                if visit(DirEntry { name, inode: inode.into(), kind, next }).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn link_target(&self) -> Result<LinkTarget<'_>> {
        if self.kind != Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let mut text = Vec::new();
        let room = usize::try_from(self.about.lock().inode.size).unwrap_or(0).min(4096);
        text.try_reserve_exact(room).map_err(|_| Errno::ENOMEM)?;
        self.volume.look(|engine| {
            engine.read_link(self.number, |target| {
                text.extend_from_slice(target.get(..room).unwrap_or(target));
            })
        })?;
        Ok(LinkTarget::Text(Cow::Owned(text)))
    }

    fn was_read(&self, times: AccessTimes) {
        let (accessed, last, flags) = {
            let ext2::Inode { accessed, modified, changed, flags, .. } = &self.about.lock().inode;
            (time(*accessed), time(*modified).max(time(*changed)), *flags)
        };
        let new = Time::now().of_read(accessed, last, times);
        if new == accessed
            || flags.contains(InodeFlags::NOATIME)
            || self.volume.check_changeable().is_err()
        {
            return;
        }
        let new = self.volume.round(stamp(new));
        self.change_in_memory(|about| {
            about.inode.accessed = new;
            about.newer_times = true;
        });
    }

    fn make(&self, name: &[u8], new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        self.make_here(Some(name), new)
    }

    fn make_nameless(&self, new: &NewFile<'_>) -> Result<Arc<dyn Inode>> {
        self.make_here(None, new)
    }

    fn link(&self, name: &[u8], file: &Arc<dyn Inode>) -> Result<()> {
        self.link_here(name, own(file.as_ref())?)
    }

    fn unlink(&self, name: &[u8], file: &dyn Inode) -> Result<()> {
        self.unlink_here(name, own(file)?)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<()> {
        self.rename_here(renaming)
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        self.set_attributes(&Attributes {
            permissions: changes.permissions,
            uid: changes.uid,
            gid: changes.gid,
            accessed: changes.atime.map(stamp),
            modified: changes.mtime.map(stamp),
            changed: Some(stamp(Time::now())),
            flags: None,
        })
    }

    fn writers(&self) -> Option<&Writers> {
        self.cache.as_ref().map(|_| &self.writers)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let Some(cache) = &self.cache else { return Err(Errno::EINVAL) };
        if len > self.max_len() {
            return Err(Errno::EFBIG);
        }
        let _writes = self.writes.lock();
        self.set_len_locked(cache, len)
    }

    fn sync(&self, _only_data: bool) -> Result<()> {
        if self.volume.is_read_only() {
            // It has become so, of damage, and nothing is stored any more.
            return if self.is_stored() { Ok(()) } else { Err(Errno::EROFS) };
        }
        self.store_pages(Reach::Wait)?;
        self.volume.store_batch(Scope::Inode(self.number))
    }
}

impl Cached for Ext2Inode {
    fn cache(&self) -> &Arc<PageCache> {
        match &self.cache {
            Some(cache) => cache,
            None => unreachable!("an open regular file that is none: {self:?}"),
        }
    }

    fn writes(&self) -> &Mutex<()> {
        &self.writes
    }

    fn max_len(&self) -> u64 {
        self.volume.max_file_size
    }

    fn was_written(&self, end: u64) -> Result<()> {
        self.volume.check_changeable()?;
        let now = self.volume.round(stamp(Time::now()));
        self.change_in_memory(|about| {
            if end > about.inode.size {
                about.inode.size = end;
                about.newer_size = true;
            }
            (about.inode.modified, about.inode.changed) = (now, now);
            about.newer_times = true;
        });
        Ok(())
    }

    fn was_mapped_to_write(&self) {
        if self.volume.check_changeable().is_err() {
            return;
        }
        let now = self.volume.round(stamp(Time::now()));
        self.change_in_memory(|about| {
            (about.inode.modified, about.inode.changed) = (now, now);
            about.newer_times = true;
        });
    }

    fn was_not_written(&self) {
        let size = self.about.lock().inode.size;
        let cache = self.cache();
        // What was to be behind the end is not there. If that fails, e2fsck finds it.
        cache.set_len(size);
        let _ = self.change_inode(|engine, caller| engine.truncate(self.number, size, caller));
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let cache = self.cache();
        let end = offset + len;
        // ext2 has no blocks behind the end of a file, and no way to say that some are unwritten.
        if mode & !FALLOC_FL_KEEP_SIZE != 0 || (mode != 0 && end > cache.len()) {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Err(error) = cache.write_zeros(offset..end) {
            self.was_not_written();
            return Err(error);
        }
        if end > cache.len() {
            cache.set_len(end);
        }
        self.was_written(end)
    }
}
