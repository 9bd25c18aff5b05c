//! Where the bytes of a mapping come from: [`MemoryObject`].

use alloc::borrow::Cow;
use core::fmt::Debug;
use core::ops::Range;

use memory::frames::Frame;

use crate::cache::MappedCache;

/// Why an object cannot give its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// The device failed: SIGBUS for the program.
    Io,
    /// No memory.
    OutOfMemory,
    /// No room for it where it is kept: SIGBUS for the program.
    NoSpace,
}

/// Something with bytes that can be mapped: a file.
pub trait MemoryObject: Debug + Send + Sync {
    /// Its length in bytes, as it is now.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the bytes from `offset` on to the start of `to`, as many as there are; the
    /// rest of `to` is left as it is. May sleep.
    ///
    /// # Errors
    /// As [`ObjectError`] says.
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<(), ObjectError>;

    /// Its own page with the bytes from `index` times a page on, shared with all who map it;
    /// `None` if it has no pages, so that each who maps it gets a copy. May sleep.
    ///
    /// # Errors
    /// As [`ObjectError`] says.
    fn page(&self, index: u64) -> Result<Option<Frame>, ObjectError> {
        let _ = index;
        Ok(None)
    }

    /// Its pages, if they are in a page cache: then that is where they are mapped from, and
    /// [`MemoryObject::page`] is not asked.
    fn file(&self) -> Option<&MappedCache> {
        None
    }

    /// A program begins to write to a page of it that is stored somewhere. May sleep; takes no
    /// lock that is held by whoever writes to the file.
    fn is_written(&self) {}

    /// Has the bytes in `range`, if they were changed, stored where they belong (msync(2)).
    /// May sleep.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    fn sync(&self, range: Range<u64>) -> Result<(), ObjectError> {
        let _ = range;
        Ok(())
    }

    /// Whether the page at `index` is in memory without being mapped.
    fn is_resident(&self, index: u64) -> bool {
        let _ = index;
        false
    }

    /// The device that its file is on, as major and minor number, and the file's inode there;
    /// `None` for what is no file. Takes no lock.
    fn file_number(&self) -> Option<([u32; 2], u64)> {
        None
    }

    /// What it is called: the path of a file. Empty for what has no name. Takes spin locks at
    /// most.
    fn name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }
}

/// Bytes that stay in memory and never change: a file of the initramfs.
#[derive(Clone, Copy)]
pub struct StaticBytes(pub &'static [u8]);

impl Debug for StaticBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StaticBytes({} bytes at {:p})", self.0.len(), self.0.as_ptr())
    }
}

impl MemoryObject for StaticBytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<(), ObjectError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.0.get(offset..).unwrap_or_default();
        let len = from.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(())
    }
}
