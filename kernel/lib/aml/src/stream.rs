//! Bytes of AML: constants, lengths and names (ACPI 6.5, sections 20.2.2 to 20.2.4).

use alloc::vec::Vec;

use crate::Error;
use crate::error::push;

/// A segment of a name.
pub(crate) type Segment = [u8; 4];

/// A name as it stands in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// It begins at the root.
    pub(crate) from_root: bool,
    /// It begins so many scopes further up.
    pub(crate) up: usize,
    pub(crate) segments: Vec<Segment>,
}

impl Path {
    /// A name of one segment, which is looked for in the scopes above, too.
    pub(crate) fn is_searched(&self) -> bool {
        !self.from_root && self.up == 0 && self.segments.len() == 1
    }

    pub(crate) fn last(&self) -> Segment {
        self.segments.last().copied().unwrap_or(*b"\\___")
    }
}

/// A place in code, and where the code ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a> {
    code: &'a [u8],
    pub(crate) at: usize,
    pub(crate) end: usize,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(code: &'a [u8], at: usize, end: usize) -> Self {
        Self { code, at, end: end.min(code.len()) }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        if self.at < self.end { self.code.get(self.at).copied() } else { None }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        let byte = self.peek().ok_or(Error::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.end);
        let end = end.ok_or(Error::Malformed)?;
        let bytes = self.code.get(self.at..end).ok_or(Error::Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    /// A constant of `count` bytes, up to eight.
    pub(crate) fn integer(&mut self, count: usize) -> Result<u64, Error> {
        Ok(self.bytes(count)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A number that may have up to four bytes, the first of which says how many: the value,
    /// which is a length of the bytes from its own first on where it stands before a package.
    fn packed(&mut self) -> Result<usize, Error> {
        let lead = self.byte()?;
        let more = usize::from(lead >> 6);
        if more == 0 {
            return Ok(usize::from(lead & 0x3f));
        }
        let high = self.integer(more)? as usize;
        Ok(high << 4 | usize::from(lead & 0xf))
    }

    /// A PkgLength: where what it stands before ends, within the code.
    pub(crate) fn package_end(&mut self) -> Result<usize, Error> {
        let start = self.at;
        let length = self.packed()?;
        let end = start.checked_add(length).filter(|&end| self.at <= end && end <= self.end);
        end.ok_or(Error::Malformed)
    }

    /// A number of bits in the list of a field.
    pub(crate) fn bit_count(&mut self) -> Result<usize, Error> {
        self.packed()
    }

    pub(crate) fn segment(&mut self) -> Result<Segment, Error> {
        let bytes = self.bytes(4)?;
        let segment: Segment = bytes.try_into().map_err(|_| Error::Malformed)?;
        let [lead, rest @ ..] = segment;
        let is_lead = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        let good = is_lead(lead) && rest.iter().all(|&byte| is_lead(byte) || byte.is_ascii_digit());
        if good { Ok(segment) } else { Err(Error::Malformed) }
    }

    /// A name.
    pub(crate) fn path(&mut self) -> Result<Path, Error> {
        let mut path = Path { from_root: false, up: 0, segments: Vec::new() };
        if self.peek() == Some(b'\\') {
            path.from_root = true;
            self.at += 1;
        }
        while self.peek() == Some(b'^') {
            path.up += 1;
            self.at += 1;
        }
        let count = match self.peek().ok_or(Error::Malformed)? {
            0x00 => {
                self.at += 1;
                0
            }
            0x2e => {
                self.at += 1;
                2
            }
            0x2f => {
                self.at += 1;
                self.byte()?
            }
            _ => 1,
        };
        for _ in 0..count {
            let segment = self.segment()?;
            push(&mut path.segments, segment)?;
        }
        Ok(path)
    }
}

/// Whether a name may begin with `byte`.
pub(crate) fn begins_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'_' | b'\\' | b'^' | 0x2e | 0x2f)
}
