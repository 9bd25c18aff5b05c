//! The walk through an input: [`Archive`], [`Entries`].

use crate::entry::{ALIGN, Entry, HEADER_LEN, Header};
use crate::error::{Compression, CpioError};

/// An initramfs: one or more cpio archives in memory.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    input: &'a [u8],
}

impl<'a> Archive<'a> {
    /// The archives that `input` holds. Nothing is read yet.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input }
    }

    /// Goes through the entries of all archives in their order, without the
    /// trailers. The first error ends it.
    #[must_use]
    pub const fn entries(&self) -> Entries<'a> {
        Entries { input: self.input, offset: 0, archive: 0, inside: false, failed: false }
    }
}

/// The iterator that [`Archive::entries`] returns.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    input: &'a [u8],
    /// Where the next header is, or padding before it. May be past the end.
    offset: usize,
    /// How many archives have ended.
    archive: usize,
    /// Whether an archive has begun and not ended.
    inside: bool,
    failed: bool,
}

impl<'a> Entries<'a> {
    /// The next entry, be it a trailer; `None` at the end of the input.
    fn read(&mut self) -> Result<Option<Entry<'a>>, CpioError> {
        let rest = self.input.get(self.offset..).unwrap_or_default();
        // Archives may be padded with zeros. One without a trailer is not
        // Linux's way, but what it means is clear.
        let Some(zeros) = rest.iter().position(|byte| *byte != 0) else {
            return Ok(None);
        };
        self.offset += zeros;
        let rest = rest.get(zeros..).unwrap_or_default();
        self.check_start(rest)?;
        let header = rest.first_chunk::<HEADER_LEN>().ok_or(CpioError::Truncated {
            offset: self.offset,
            needed: HEADER_LEN,
            available: rest.len(),
        })?;
        let header = Header::parse(header, self.offset)?;
        let (entry, next) = header.entry(self.input, self.offset, self.archive)?;
        self.offset = next;
        self.inside = true;
        Ok(Some(entry))
    }

    /// Refuses what is no header at all: compressed data where an archive
    /// begins, and anything at an offset where no header can be.
    fn check_start(&self, rest: &[u8]) -> Result<(), CpioError> {
        let offset = self.offset;
        if !self.inside
            && let Some(method) = Compression::detect(rest)
        {
            return Err(CpioError::Compressed { offset, method });
        }
        if !offset.is_multiple_of(ALIGN) || !rest.starts_with(b"0") {
            // The binary format, of either byte order.
            if rest.starts_with(&[0xc7, 0x71]) || rest.starts_with(&[0x71, 0xc7]) {
                return Err(CpioError::OtherFormat { offset });
            }
            let mut magic = [0; 6];
            magic.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            return Err(CpioError::BadMagic { offset, magic });
        }
        Ok(())
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, CpioError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Each round takes a header from the input, so they come to an end.
        while !self.failed {
            match self.read() {
                Ok(Some(entry)) if entry.is_trailer() => {
                    self.archive += 1;
                    self.inside = false;
                }
                Ok(entry) => return entry.map(Ok),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl core::iter::FusedIterator for Entries<'_> {}

#[cfg(test)]
mod tests;
