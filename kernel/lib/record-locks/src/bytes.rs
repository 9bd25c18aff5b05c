//! [`Bytes`]: a range of a file.

use core::fmt;

/// Positions are those of `off_t`.
const MOST: u64 = i64::MAX as u64;

/// Bytes of a file, at least one. Those up to the last possible one go on to the end of the
/// file, wherever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Why there is no such range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesError {
    /// It would begin before the start of the file.
    BeforeStart,
    /// It would end behind the last possible byte.
    TooFar,
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeStart => "the range begins before the start of the file",
            Self::TooFar => "the range ends behind the last possible byte",
        })
    }
}

impl Bytes {
    /// All bytes, wherever the file ends.
    pub const ALL: Self = Self { first: 0, last: MOST };

    /// `len` bytes that begin `start` behind (before, if negative) the position `base`; if
    /// `len` is negative, the bytes before that; if 0, all from there on.
    ///
    /// # Errors
    /// As [`BytesError`] says.
    pub fn new(base: u64, start: i64, len: i64) -> Result<Self, BytesError> {
        let first = match base.checked_add_signed(start) {
            Some(first) if first <= MOST => first,
            _ if start < 0 => return Err(BytesError::BeforeStart),
            _ => return Err(BytesError::TooFar),
        };
        match len {
            0 => Ok(Self { first, last: MOST }),
            1.. => {
                let last = first + (len as u64 - 1);
                if last <= MOST { Ok(Self { first, last }) } else { Err(BytesError::TooFar) }
            }
            _ => {
                let before = len.unsigned_abs();
                let start = first.checked_sub(before).ok_or(BytesError::BeforeStart)?;
                Ok(Self { first: start, last: first - 1 })
            }
        }
    }

    /// The first byte.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The last byte.
    pub fn last(self) -> u64 {
        self.last
    }

    /// How many bytes, as [`Bytes::new`] takes it: 0 for all from the first one on.
    pub fn len_or_all(self) -> u64 {
        if self.goes_on() { 0 } else { self.last - self.first + 1 }
    }

    /// Whether it goes on to the end of the file.
    pub fn goes_on(self) -> bool {
        self.last == MOST
    }

    /// Whether they have bytes in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}
