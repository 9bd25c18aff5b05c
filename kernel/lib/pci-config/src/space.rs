//! Spans of addresses: who lies in whom, and where there is room.

use core::fmt;

/// Addresses from the first to the last. It has at least one, and may have all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    first: u64,
    last: u64,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.first, self.last)
    }
}

impl Span {
    /// From `first` to `last`; `None` if that is none.
    pub const fn new(first: u64, last: u64) -> Option<Self> {
        if first <= last { Some(Self { first, last }) } else { None }
    }

    /// `bytes` addresses from `first` on; `None` for none, and past the end.
    pub const fn with_size(first: u64, bytes: u64) -> Option<Self> {
        match bytes.checked_sub(1) {
            Some(more) => match first.checked_add(more) {
                Some(last) => Some(Self { first, last }),
                None => None,
            },
            None => None,
        }
    }

    /// The first address.
    pub const fn first(self) -> u64 {
        self.first
    }

    /// The last address.
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Whether they have an address in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether all addresses of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The lowest span of `size` addresses, a power of two, at a multiple of `size`, that lies
    /// in this one and has none of the addresses that are `taken`.
    pub fn find_room(self, size: u64, taken: &[Self]) -> Option<Self> {
        if !size.is_power_of_two() {
            return None;
        }
        let mut at = self.first;
        // Each round passes at least one of those that are taken.
        for _ in 0..=taken.len() {
            let room = Self::with_size(at.checked_next_multiple_of(size)?, size)?;
            if !self.contains(room) {
                return None;
            }
            match taken.iter().filter(|one| one.overlaps(room)).map(|one| one.last).max() {
                None => return Some(room),
                Some(last) => at = last.checked_add(1)?,
            }
        }
        None
    }
}
