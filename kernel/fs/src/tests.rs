//! Tests of open files: how the flags and the position of an [`OpenFile`] steer a [`File`], for
//! which there is a [`Spy`]; and whom a [`RegularFile`] tells that something was lost, for which
//! there is a [`Lost`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::fcntl::{O_APPEND, O_DSYNC, O_SYNC, O_WRONLY};
use abi::{Errno, Result};
use base::sync::SpinLock;
use task::{Mutex, named_mutex};
use vm::ObjectError;
use vm::cache::{Batch, PageCache, PageStore, Reach};

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::open_file::OpenFile;
use crate::regular::{Cached, RegularFile};
use crate::status::{Kind, Status};
use crate::vfs::Inode;

/// What was asked of a [`Spy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Write { position: u64, len: usize },
    Sync { only_data: bool },
}

use Asked::{Sync, Write};

/// A file of 10 bytes that takes 100 bytes at most at a time, and notes what is asked of it.
#[derive(Debug)]
struct Spy {
    asked: SpinLock<Vec<Asked>>,
    synced: Result<()>,
}

impl Spy {
    fn opened(flags: u32, synced: Result<()>) -> (Arc<Self>, Arc<OpenFile>) {
        let spy = Arc::new(Self { asked: SpinLock::new("spy", Vec::new()), synced });
        (spy.clone(), OpenFile::new(spy, flags))
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().push(asked);
    }

    /// What was asked since the last time.
    fn take(&self) -> Vec<Asked> {
        core::mem::take(&mut *self.asked.lock())
    }
}

impl File for Spy {
    fn read(&self, _position: u64, _to: &mut Destination<'_>) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        let len = from.len().min(100);
        from.skip(len);
        self.note(Write { position, len });
        Ok(len)
    }

    fn sync(&self, only_data: bool) -> Result<()> {
        self.note(Sync { only_data });
        self.synced
    }

    fn status(&self) -> Status {
        Status { size: 10, ..Status::default() }
    }

    fn is_seekable(&self) -> bool {
        true
    }
}

#[base::kernel_test]
fn a_write_is_stored_if_the_file_was_opened_so() {
    for (flags, stored) in [
        (0, None),
        (O_DSYNC, Some(Sync { only_data: true })),
        (O_SYNC, Some(Sync { only_data: false })),
    ] {
        let (spy, file) = Spy::opened(O_WRONLY | flags, Ok(()));
        let asked = |position| {
            [Some(Write { position, len: 3 }), stored].into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(0));
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(7));
        file.set_flags(O_APPEND).expect("append");
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(10));
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Ok(3));
        assert_eq!(spy.take(), asked(10));
        // Nothing was written: nothing is to be stored.
        assert_eq!(file.write(&mut Source::Kernel(b"")), Ok(0));
        assert!(!spy.take().iter().any(|asked| matches!(asked, Sync { .. })));
    }
}

#[base::kernel_test]
fn a_write_that_cannot_be_stored_fails() {
    for flags in [0, O_APPEND] {
        let (_, file) = Spy::opened(O_WRONLY | O_DSYNC | flags, Err(Errno::EIO));
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Err(Errno::EIO));
        assert_eq!(file.position(), 0, "it stays, as on Linux");
        assert_eq!(file.write_at(7, &mut Source::Kernel(b"abc")), Err(Errno::EIO));
        // Where there is nothing to store to, as with a device, there is nothing to fail.
        let (_, file) = Spy::opened(O_WRONLY | O_DSYNC | flags, Err(Errno::EINVAL));
        assert_eq!(file.write(&mut Source::Kernel(b"abc")), Ok(3));
    }
}

/// A disk that stores nothing.
#[derive(Debug)]
struct Broken;

impl PageStore for Broken {
    fn read(&self, batch: Arc<Batch>) {
        batch.part(batch.pages()).done(Err(ObjectError::Io));
    }

    fn write(&self, batch: Arc<Batch>) {
        batch.part(batch.pages()).done(Err(ObjectError::Io));
    }

    fn reserve(&self, _bytes: Range<u64>, dirty: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        dirty()
    }

    fn gives_whole_pages(&self) -> bool {
        true
    }

    fn reserve_within(
        &self,
        _bytes: Range<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        dirty()
    }

    fn became_dirty(&self) {}

    fn hurry(&self) {}
}

/// A file on such a disk.
#[derive(Debug)]
struct Lost {
    cache: Arc<PageCache>,
    writes: Mutex<()>,
}

impl Inode for Lost {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn status(&self) -> Status {
        Status { mode: Kind::Regular.mode(), size: self.cache.len(), ..Status::default() }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn File>> {
        Ok(RegularFile::new(self))
    }
}

impl Cached for Lost {
    fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    fn writes(&self) -> &Mutex<()> {
        &self.writes
    }

    fn max_len(&self) -> u64 {
        1 << 20
    }

    fn was_written(&self, _end: u64) -> Result<()> {
        Ok(())
    }
}

#[base::kernel_test]
fn what_was_lost_is_told_once_to_each_open_file() {
    let store: Arc<dyn PageStore> = Arc::new(Broken);
    let cache = PageCache::new(0, Arc::downgrade(&store));
    let lost = Arc::new(Lost { cache: cache.clone(), writes: named_mutex("writes of a test", ()) });
    let [one, other] = [(); 2].map(|()| lost.clone().open(0).expect("memory"));
    let sync_object = |file: &Arc<dyn File>| file.object().expect("memory").sync(0..4096);
    for (first, second) in [(&one, &other), (&other, &one)] {
        assert_eq!(first.write(0, &mut Source::Kernel(b"text")), Ok(4));
        // In the background: nobody hears of it at once.
        assert!(cache.write_back(0..1, Reach::Wait).is_err());
        assert_eq!(cache.unstored_pages(), 0);
        assert_eq!(sync_object(first), Err(ObjectError::Io));
        assert_eq!((sync_object(first), first.sync(true)), (Ok(()), Ok(())));
        assert_eq!(second.sync(false), Err(Errno::EIO));
        assert_eq!((sync_object(second), second.sync(true)), (Ok(()), Ok(())));
    }
    // Who opens it later was not there.
    let third = lost.clone().open(0).expect("memory");
    assert_eq!((sync_object(&third), third.sync(true)), (Ok(()), Ok(())));
}
