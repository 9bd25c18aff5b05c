//! Where the bytes of a program come from: [`ProgramFile`].

use crate::error::ElfError;

/// A part of a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl From<Unreadable> for ElfError {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

/// The file of a program.
pub trait ProgramFile {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Fills `to` with the bytes from `offset` on; they are all inside the length.
    ///
    /// # Errors
    /// [`Unreadable`], also if the file has become shorter meanwhile.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Unreadable>;
}

impl ProgramFile for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(offset).map_err(|_| Unreadable)?;
        let from = self.get(start..).and_then(|rest| rest.get(..to.len())).ok_or(Unreadable)?;
        to.copy_from_slice(from);
        Ok(())
    }
}
