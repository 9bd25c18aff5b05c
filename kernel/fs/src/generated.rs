//! Files whose text is made when they are opened: what there is of `/proc`. They are in no
//! directory, and only their whole absolute path leads to them; a file system of their own
//! is to replace this.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::stat::S_IFREG;
use abi::{Errno, Result};
use memory::frames::{check_user_may_allocate, check_user_may_take};
use spin::Once;

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::status::Status;

/// The text of the file at a path; `None` if there is none.
pub type Generator = fn(&[u8]) -> Option<Result<Vec<u8>>>;

static GENERATOR: Once<Generator> = Once::new();

/// Registers who makes the texts. The first one stays.
pub fn set_generator(generator: Generator) {
    GENERATOR.call_once(|| generator);
}

/// The text of the generated file at `path`; `None` if there is none.
pub fn generate(path: &[u8]) -> Option<Result<Vec<u8>>> {
    GENERATOR.get()?(path)
}

/// The generated file at `path`.
///
/// # Errors
/// `ENOENT`; what the generator says.
pub fn open_generated(path: &[u8]) -> Result<Arc<dyn File>> {
    let text = generate(path).ok_or(Errno::ENOENT)??;
    Ok(Arc::new(GeneratedFile { text }))
}

/// A text that is written piece by piece; without memory for it the writing fails.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// The text that `write` writes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn of(text: fmt::Arguments<'_>) -> Result<Vec<u8>> {
        check_user_may_allocate()?;
        let mut this = Self::default();
        fmt::write(&mut this, text).map_err(|_| Errno::ENOMEM)?;
        Ok(this.0)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let more = text.len().max(self.0.capacity());
        if self.0.capacity() - self.0.len() < text.len() {
            // The text is kept for the program as long as the file is open.
            check_user_may_take((self.0.len() + more).div_ceil(vm::PAGE as usize))
                .map_err(|_| fmt::Error)?;
            self.0.try_reserve_exact(more).map_err(|_| fmt::Error)?;
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[derive(Debug)]
struct GeneratedFile {
    text: Vec<u8>,
}

impl File for GeneratedFile {
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let from = usize::try_from(position).ok().and_then(|at| self.text.get(at..));
        to.put(from.unwrap_or_default())
    }

    fn write(&self, _position: u64, _from: &mut Source<'_>) -> Result<usize> {
        Err(Errno::EACCES)
    }

    /// As Linux's procfs has it: no size.
    fn status(&self) -> Status {
        Status { inode: u64::MAX, mode: S_IFREG | 0o444, links: 1, ..Status::default() }
    }

    fn is_seekable(&self) -> bool {
        true
    }
}
