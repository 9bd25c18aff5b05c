//! [`Vma`]: one range of addresses that is used for one thing.

use alloc::sync::Arc;
use core::ops::Range;

use memory::user::Access;

use crate::object::MemoryObject;

/// What the pages of a VMA hold at first.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Zeros.
    Anonymous,
    /// Bytes of an object, copied when a page is touched: private to the address space.
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

/// A range of whole pages with the same access and backing (virtual memory area).
#[derive(Clone, Debug)]
pub struct Vma {
    /// First address; a multiple of a page.
    pub start: u64,
    /// The address behind the last one; a multiple of a page, above `start`.
    pub end: u64,
    /// What the program may do.
    pub access: Access,
    /// Where the contents come from.
    pub backing: Backing,
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

    /// Cuts the VMA at `at`, strictly inside it; returns the upper part.
    pub(crate) fn split_off(&mut self, at: u64) -> Self {
        debug_assert!(self.start < at && at < self.end);
        let backing = match &self.backing {
            Backing::Anonymous => Backing::Anonymous,
            Backing::Object { object, offset, end } => Backing::Object {
                object: object.clone(),
                offset: offset + (at - self.start),
                end: *end,
            },
        };
        let upper = Self { start: at, end: self.end, access: self.access, backing };
        self.end = at;
        upper
    }

    /// Whether `next` goes on where this VMA ends, in every respect.
    pub(crate) fn can_absorb(&self, next: &Self) -> bool {
        if self.end != next.start || self.access != next.access {
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
