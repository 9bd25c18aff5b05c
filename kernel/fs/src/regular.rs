//! [`RegularFile`]: a regular file that is open, of any file system whose files have their pages
//! in a page cache ([`Cached`]).

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use task::Mutex;
use vm::cache::{MappedCache, PageCache, Reach, ReadAhead};
use vm::{MemoryObject, ObjectError, PAGE};

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::status::{AccessTimes, Status};
use crate::vfs::Inode;

/// What a file system has of a regular file.
pub(crate) trait Cached: Inode {
    /// Its pages.
    fn cache(&self) -> &Arc<PageCache>;

    /// Held by whoever writes to the file or changes its length.
    fn writes(&self) -> &Mutex<()>;

    /// Most bytes that a file can have.
    fn max_len(&self) -> u64;

    /// Bytes up to `end`, behind those written last, were written; under the lock of the writes.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`: the file is not longer then.
    fn was_written(&self, end: u64) -> Result<()>;

    /// A program writes to the file through a mapping, without the lock of the writes: the times
    /// of the file change, if that is told of them. May sleep.
    fn was_mapped_to_write(&self) {}

    /// Writing stopped before its end: room that was taken behind the end of the file is not
    /// needed; under the lock of the writes.
    fn was_not_written(&self) {}

    /// As [`File::allocate`]; under the lock of the writes.
    ///
    /// # Errors
    /// As that.
    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let _ = (mode, offset, len);
        Err(Errno::EOPNOTSUPP)
    }
}

/// An open regular file.
pub(crate) struct RegularFile<I> {
    /// For its mappings.
    this: Weak<Self>,
    inode: Arc<I>,
    ahead: ReadAhead,
    /// Failures to store the file that whoever has it open was told of, or that came before.
    told: AtomicU32,
}

impl<I: Cached> RegularFile<I> {
    /// The file of an inode.
    pub(crate) fn new(inode: Arc<I>) -> Arc<Self> {
        let told = AtomicU32::new(inode.cache().failures());
        let ahead = ReadAhead::new();
        Arc::new_cyclic(|this| Self { this: this.clone(), inode, ahead, told })
    }

    /// Whether something could not be stored since this was asked for the last time: then whoever
    /// asks for the file to be stored, in one way or another, is told once.
    fn has_failed(&self) -> bool {
        let failures = self.inode.cache().failures();
        self.told.swap(failures, Ordering::Relaxed) != failures
    }

    /// Writes under the lock of the writes.
    fn write_locked(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        let room = self.inode.max_len().saturating_sub(position);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let wanted = from.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let (written, result) = self.write_parts(position, from, wanted);
        let noted = match written {
            0 => Ok(()),
            written => self.inode.was_written(position + written as u64),
        };
        if written < wanted || noted.is_err() {
            self.inode.was_not_written();
        }
        noted?;
        if written > 0 { Ok(written) } else { result.and(Ok(0)) }
    }

    /// Writes `wanted` bytes, part by part; how many came in, and what happened to the others.
    fn write_parts(
        &self,
        position: u64,
        from: &mut Source<'_>,
        wanted: usize,
    ) -> (usize, Result<()>) {
        let cache = self.inode.cache();
        let mut written = 0;
        while written < wanted {
            let (at, left) = (position + written as u64, wanted - written);
            let (len, result) = match from {
                Source::User(parts) => {
                    let part = parts.first().take(left);
                    (part.len(), cache.write(at, part))
                }
                Source::Kernel(bytes) => {
                    let part = bytes.get(..left).unwrap_or(bytes);
                    (part.len(), cache.write_bytes(at, part))
                }
            };
            let done = match result {
                Ok(done) => done,
                Err(error) => return (written, Err(error)),
            };
            from.skip(done);
            written += done;
            if done < len {
                break;
            }
        }
        (written, Ok(()))
    }
}

impl<I: Cached> fmt::Debug for RegularFile<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegularFile({:?})", self.inode)
    }
}

impl<I: Cached> File for RegularFile<I> {
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let cache = self.inode.cache();
        match to {
            Destination::User(parts) => {
                let mut read = 0;
                while !parts.is_empty() {
                    let part = parts.first();
                    let len = match cache.read(position + read as u64, part, Some(&self.ahead)) {
                        Err(error) if read == 0 => return Err(error),
                        result => result.unwrap_or(0),
                    };
                    parts.skip(len);
                    read += len;
                    if len < part.len() {
                        break;
                    }
                }
                Ok(read)
            }
            Destination::Kernel(bytes) => {
                let read = cache.read_bytes(position, bytes)?;
                let (_, rest) = core::mem::take(bytes).split_at_mut(read);
                *bytes = rest;
                Ok(read)
            }
        }
    }

    fn was_read(&self, times: AccessTimes) {
        self.inode.was_read(times);
    }

    fn write(&self, position: u64, from: &mut Source<'_>) -> Result<usize> {
        let _writes = self.inode.writes().lock();
        self.write_locked(position, from)
    }

    fn append(&self, from: &mut Source<'_>) -> Result<(u64, usize)> {
        let _writes = self.inode.writes().lock();
        let end = self.inode.cache().len();
        let written = self.write_locked(end, from)?;
        Ok((end + written as u64, written))
    }

    fn status(&self) -> Status {
        self.inode.status()
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn sync(&self, only_data: bool) -> Result<()> {
        let result = self.inode.sync(only_data);
        if self.has_failed() { result.and(Err(Errno::EIO)) } else { result }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.inode.set_len(len)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        if offset.checked_add(len).is_none_or(|end| end > self.inode.max_len()) {
            return Err(Errno::EFBIG);
        }
        let _writes = self.inode.writes().lock();
        self.inode.allocate(mode, offset, len)
    }

    fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        let file = self.this.upgrade().ok_or(Errno::EBADF)?;
        let pages = MappedCache::new(self.inode.cache());
        Ok(Arc::new(Mapped { file, pages }))
    }
}

/// The pages of a file, to be mapped. Keeps the file, and with it the inode.
#[derive(Debug)]
struct Mapped<I: Cached> {
    file: Arc<RegularFile<I>>,
    pages: MappedCache,
}

impl<I: Cached> MemoryObject for Mapped<I> {
    fn len(&self) -> u64 {
        self.file.inode.cache().len()
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> core::result::Result<(), ObjectError> {
        self.file.inode.cache().read_bytes(offset, to).map(|_| ())
    }

    fn is_resident(&self, index: u64) -> bool {
        self.file.inode.cache().is_resident(index)
    }

    fn file(&self) -> Option<&MappedCache> {
        Some(&self.pages)
    }

    fn is_written(&self) {
        self.file.inode.was_mapped_to_write();
    }

    fn sync(&self, range: Range<u64>) -> core::result::Result<(), ObjectError> {
        let inode = &self.file.inode;
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let result = inode.cache().write_back(pages, Reach::Wait).and_then(|()| {
            // And what leads to the pages.
            inode.sync(true).map_err(|error| match error {
                Errno::ENOMEM => ObjectError::OutOfMemory,
                _ => ObjectError::Io,
            })
        });
        // Pages may have been lost before this was asked for.
        if self.file.has_failed() { result.and(Err(ObjectError::Io)) } else { result }
    }
}
