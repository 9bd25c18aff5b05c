//! `/dev/null`, `/dev/zero` and `/dev/full` (null(4), full(4)).

use abi::stat::S_IFCHR;
use abi::{Errno, Result};

use super::MAJOR;
use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::status::{DeviceNumber, Status};

/// Minor numbers.
pub(super) const NULL: u32 = 3;
pub(super) const ZERO: u32 = 5;
pub(super) const FULL: u32 = 7;

/// Bytes that are cleared between two looks for signals.
const STEP: usize = 4096;

/// What stat(2) tells of a device that no path leads to.
pub(super) fn status(minor: u32) -> Status {
    let rdev = DeviceNumber { major: MAJOR, minor };
    Status { inode: u64::from(minor), mode: S_IFCHR | 0o666, links: 1, rdev, ..Status::default() }
}

/// Takes all, and does not even look at it.
fn swallow(from: &mut Source<'_>) -> usize {
    let len = from.len();
    from.skip(len);
    len
}

/// Nothing to read, and what is written is gone.
#[derive(Debug)]
pub(super) struct Null;

impl File for Null {
    fn read(&self, _position: u64, _to: &mut Destination<'_>) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        Ok(swallow(from))
    }

    fn status(&self) -> Status {
        status(NULL)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn has_position(&self) -> bool {
        false
    }
}

/// Zeros without end.
#[derive(Debug)]
pub(super) struct Zero {
    /// Nothing can be written.
    pub(super) is_full: bool,
}

impl File for Zero {
    fn read(&self, _position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let mut read = 0;
        while !to.is_empty() && (read == 0 || !task::signal_pending()) {
            // Up to the end of a page, so that all before a bad address counts.
            let step = match to {
                Destination::User(parts) => STEP - parts.first().address() as usize % STEP,
                Destination::Kernel(_) => STEP,
            };
            match to.put_zeros(step) {
                Ok(len) => read += len,
                Err(_) if read > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        if self.is_full { Err(Errno::ENOSPC) } else { Ok(swallow(from)) }
    }

    fn status(&self) -> Status {
        status(if self.is_full { FULL } else { ZERO })
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn has_position(&self) -> bool {
        false
    }

    fn is_anonymous_memory(&self) -> bool {
        !self.is_full
    }
}
