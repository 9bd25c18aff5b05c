//! [`Text`]: what a text is written to, piece by piece.

use alloc::vec::Vec;
use core::fmt;

use abi::{Errno, Result};
use memory::frames::check_user_may_take;

const PAGE: usize = 4096;

/// A text that is being written. It is kept for a program as long as that has the file open, so
/// it is bounded, and without memory for it the writing fails: [`Text::result`] then says why.
#[derive(Debug)]
pub struct Text {
    bytes: Vec<u8>,
    most: usize,
    failed: Option<Errno>,
}

impl Text {
    /// An empty text that may get `most` bytes.
    pub fn within(most: usize) -> Self {
        Self { bytes: Vec::new(), most, failed: None }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes bytes that need not be UTF-8.
    ///
    /// # Errors
    /// `EFBIG` if that would be more than it may get; `ENOMEM`.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.make_room(bytes.len()).inspect_err(|error| self.failed = Some(*error))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn make_room(&mut self, wanted: usize) -> Result<()> {
        if wanted > self.most.saturating_sub(self.bytes.len()) {
            return Err(Errno::EFBIG);
        }
        if self.bytes.capacity() - self.bytes.len() < wanted {
            let more = wanted.max(self.bytes.capacity());
            check_user_may_take((self.bytes.len() + more).div_ceil(PAGE))?;
            self.bytes.try_reserve_exact(more).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }

    /// Why writing failed, if it did.
    pub fn failure(&self) -> Option<Errno> {
        self.failed
    }

    /// The result of writing with `write!` and the like, with the reason if it failed.
    ///
    /// # Errors
    /// `EFBIG`, `ENOMEM`; `EIO` if what was to be written could not be formatted.
    pub fn result(&self, result: fmt::Result) -> Result<()> {
        result.map_err(|_| self.failed.unwrap_or(Errno::EIO))
    }

    /// Writes what can be displayed.
    ///
    /// # Errors
    /// As [`Text::result`].
    pub fn write(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let result = fmt::write(self, text);
        self.result(result)
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
