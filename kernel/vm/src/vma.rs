//! [`Vma`]: one range of addresses that is used for one thing.

use alloc::sync::Arc;
use core::ops::Range;

use bitflags::bitflags;
use memory::user::{Access, Writes};

use crate::cache::MappedCache;
use crate::object::MemoryObject;
use crate::reverse::Link;

bitflags! {
    /// What is special about a VMA.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct VmaFlags: u16 {
        /// Writes are for all who map the object (`MAP_SHARED`).
        const SHARED = 1 << 0;
        /// Shared, of an object that may not be written.
        const NEVER_WRITE = 1 << 1;
        /// Grows down when it is touched below its start.
        const GROWS_DOWN = 1 << 2;
        /// No 2 MiB pages.
        const NO_HUGE = 1 << 3;
        /// Not in a child (`MADV_DONTFORK`).
        const DONT_FORK = 1 << 4;
        /// Zeros in a child (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 1 << 5;
        /// May never be filled: not measured against the memory there is (`MAP_NORESERVE`).
        const NO_RESERVE = 1 << 6;
        /// Of an object that may not be executed.
        const NEVER_EXECUTE = 1 << 7;
    }
}

/// What the pages of a VMA hold at first.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Zeros.
    Anonymous,
    /// Bytes of an object.
    Object {
        /// The object.
        object: Arc<dyn MemoryObject>,
        /// Offset in the object, in bytes, of the VMA's first byte.
        offset: u64,
        /// Offset in the object behind the last byte that is taken from it; what lies
        /// past it in the last page is zero.
        end: u64,
    },
}

impl Backing {
    /// The page cache that the bytes are in.
    pub(crate) fn file(&self) -> Option<&MappedCache> {
        match self {
            Self::Anonymous => None,
            Self::Object { object, .. } => object.file(),
        }
    }
}

/// A range of whole pages with the same access and backing (virtual memory area).
#[derive(Clone, Debug)]
pub struct Vma {
    /// First address; a multiple of a page.
    pub start: u64,
    /// The address behind the last one; a multiple of a page, above `start`.
    pub end: u64,
    /// What the program may do.
    pub access: Access,
    /// What is special about it.
    pub flags: VmaFlags,
    /// Where the contents come from.
    pub backing: Backing,
    /// By which the object's page cache finds the pages that may be written; those alone have
    /// one.
    pub(crate) link: Option<Arc<Link>>,
}

impl Vma {
    /// The addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Whether the address is one of the VMA's.
    pub fn contains(&self, address: u64) -> bool {
        self.range().contains(&address)
    }

    /// Whether writes are for all who map the object.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(VmaFlags::SHARED)
    }

    /// Whether the pages are zeros at first, and the program's own.
    pub fn is_private_anonymous(&self) -> bool {
        !self.is_shared() && matches!(self.backing, Backing::Anonymous)
    }

    /// The page cache that the pages come from.
    pub(crate) fn file(&self) -> Option<&MappedCache> {
        self.backing.file()
    }

    /// Whose the pages are that are written.
    pub(crate) fn writes(&self) -> Writes {
        if !self.is_shared() {
            match self.backing {
                Backing::Anonymous => Writes::Own,
                Backing::Object { .. } => Writes::Copies,
            }
        } else if self.file().is_some_and(|file| file.cache().is_stored()) {
            Writes::Told
        } else {
            Writes::Shared
        }
    }

    /// The backing as it is from address `at` on, which may be the end.
    pub(crate) fn backing_at(&self, at: u64) -> Backing {
        match &self.backing {
            Backing::Anonymous => Backing::Anonymous,
            Backing::Object { object, offset, end } => Backing::Object {
                object: object.clone(),
                offset: offset + (at - self.start),
                end: *end,
            },
        }
    }

    /// The same mapping, of what follows from address `at` of this one, at `to`. Where it is
    /// another distance from the object than before, it needs another link.
    pub(crate) fn elsewhere(&self, at: u64, to: Range<u64>) -> Self {
        let backing = self.backing_at(at);
        let (access, flags, link) = (self.access, self.flags, self.link.clone());
        Self { start: to.start, end: to.end, access, flags, backing, link }
    }

    /// Cuts the VMA at `at`, strictly inside it; returns the upper part.
    pub(crate) fn split_off(&mut self, at: u64) -> Self {
        debug_assert!(self.start < at && at < self.end);
        let upper = self.elsewhere(at, at..self.end);
        self.end = at;
        upper
    }

    /// Whether `next` goes on where this VMA ends, in every respect.
    pub(crate) fn can_absorb(&self, next: &Self) -> bool {
        if self.end != next.start || self.access != next.access || self.flags != next.flags {
            return false;
        }
        match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (
                Backing::Object { object: a, offset, end },
                Backing::Object { object: b, offset: next_offset, end: next_end },
            ) => {
                Arc::ptr_eq(a, b)
                    && offset + (self.end - self.start) == *next_offset
                    && end == next_end
            }
            _ => false,
        }
    }
}
