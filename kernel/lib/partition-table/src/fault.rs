//! What can be wrong: [`Error`], no table can be read; [`Fault`], something of it is not used.

use core::fmt;

/// Why the table of a disk cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// A block cannot be read.
    Read(E),
    /// Blocks of that many bytes are not supported.
    BlockSize(u32),
    /// No memory.
    NoMemory,
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::BlockSize(bytes) => write!(f, "blocks of {bytes} bytes are not supported"),
            Self::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> core::error::Error for Error<E> {}

/// Why an entry of a table is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It ends before it begins, or begins in the table itself.
    Range,
    /// It reaches behind the end of the disk, or of what it must lie in.
    OutOfRange,
    /// It overlaps the partition of this number.
    Overlaps(u32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range => f.write_str("its blocks make no sense"),
            Self::OutOfRange => f.write_str("it reaches too far"),
            Self::Overlaps(number) => write!(f, "it overlaps partition {number}"),
        }
    }
}

/// Something in a table that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A partition is not used.
    Partition(u32, Refusal),
    /// The chain of logical partitions ends in something that is none: at this block.
    BrokenChain(u64),
    /// The chain of logical partitions comes back to this block, which it went through.
    Loop(u64),
    /// There are more logical partitions than are supported.
    TooMany,
    /// The first header of a GPT is damaged: the backup at the end of the disk was used.
    UsedBackup,
    /// Both headers of a GPT are damaged: there are no partitions.
    BothDamaged,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(number, why) => write!(f, "partition {number} is not used: {why}"),
            Self::BrokenChain(block) => {
                write!(f, "the chain of logical partitions is broken at block {block}")
            }
            Self::Loop(block) => {
                write!(f, "the chain of logical partitions comes back to block {block}")
            }
            Self::TooMany => f.write_str("there are more logical partitions than are supported"),
            Self::UsedBackup => f.write_str("the GPT is damaged; its backup was used"),
            Self::BothDamaged => f.write_str("the GPT and its backup are damaged"),
        }
    }
}
