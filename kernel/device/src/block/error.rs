//! How a request ends when it does not succeed: [`BlockError`].

use core::fmt;

use abi::Errno;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The device reported an error: a sector that cannot be read, a transfer that broke.
    Io,
    /// It reaches beyond the end of the device or partition.
    OutOfRange,
    /// The device can only be read.
    ReadOnly,
    /// The device has no such operation.
    NotSupported,
    /// The device did not answer in time, nor when it was reset.
    TimedOut,
    /// The device is not there any more.
    Gone,
    /// No memory for what the request needs.
    NoMemory,
    /// Whoever waits for it is killed: part of it may be done.
    Interrupted,
    /// The request is malformed: not whole logical blocks, no memory or too much for a transfer.
    Invalid,
}

impl BlockError {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Io,
        Self::OutOfRange,
        Self::ReadOnly,
        Self::NotSupported,
        Self::TimedOut,
        Self::Gone,
        Self::NoMemory,
        Self::Interrupted,
        Self::Invalid,
    ];
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "I/O error",
            Self::OutOfRange => "beyond the end of the device",
            Self::ReadOnly => "the device is read-only",
            Self::NotSupported => "the device cannot do that",
            Self::TimedOut => "the device did not answer in time",
            Self::Gone => "the device is gone",
            Self::NoMemory => "out of memory",
            Self::Interrupted => "given up",
            Self::Invalid => "not whole blocks of the device",
        })
    }
}

impl core::error::Error for BlockError {}

impl From<memory::OutOfMemory> for BlockError {
    fn from(_: memory::OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// As Linux's `blk_status_to_errno` maps its states, and EIO for what reaches beyond the end.
impl From<BlockError> for Errno {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Io | BlockError::OutOfRange => Self::EIO,
            BlockError::ReadOnly => Self::EROFS,
            BlockError::NotSupported => Self::EOPNOTSUPP,
            BlockError::TimedOut => Self::ETIMEDOUT,
            BlockError::Gone => Self::ENODEV,
            BlockError::NoMemory => Self::ENOMEM,
            BlockError::Interrupted => Self::EINTR,
            BlockError::Invalid => Self::EINVAL,
        }
    }
}
