//! What can be wrong: with a queue's size or memory, with a chain, with the device.

use core::fmt;

/// This is no size of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeError {
    /// The number that is no power of two from 1 to 32768.
    pub size: u16,
}

/// Why there is no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewQueueError {
    /// No memory for the books.
    OutOfMemory,
    /// The memory for the parts is too small.
    TooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
}

/// Why a chain is not taken. The queue is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// Too few descriptors are free now. When chains have come back there are more.
    Full,
    /// It has more buffers than the queue has descriptors, or than fit in the indirect table.
    TooLong,
    /// It has no buffers.
    Empty,
    /// A buffer has no bytes, which devices do not take.
    EmptyBuffer,
    /// A buffer that the device reads comes behind one that it writes.
    ReadableLast,
    /// 4 GiB or more in all.
    TooManyBytes,
    /// Indirect descriptors were not agreed upon.
    NoIndirect,
    /// The device broke the rules before.
    Broken,
}

/// A chain that was not taken, with its token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// Why.
    pub reason: AddError,
    /// What was given with it.
    pub token: T,
}

/// How the device has broken the rules. The queue takes and gives nothing any more until it is
/// reset, with the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The index of the used ring says that more chains are done than the device had.
    UsedIndex {
        /// How many more, as the index says.
        used: u16,
        /// How many the device had.
        in_flight: u16,
    },
    /// A chain is said to be done whose head is no descriptor of the queue.
    NoDescriptor {
        /// The head.
        id: u32,
    },
    /// A chain is said to be done that the device does not have.
    NotInFlight {
        /// The head.
        id: u16,
    },
    /// More is said to have been written than the chain had room for.
    TooMuchWritten {
        /// The head.
        id: u16,
        /// How many bytes, as the device says.
        written: u32,
        /// How many the chain had room for.
        room: u32,
    },
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a queue cannot have {} descriptors", self.size)
    }
}

impl fmt::Display for NewQueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::TooSmall { needed, available } => {
                write!(f, "the queue takes {needed} bytes, and there are {available}")
            }
        }
    }
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too few descriptors are free",
            Self::TooLong => "the chain has more buffers than there can be",
            Self::Empty => "the chain has no buffers",
            Self::EmptyBuffer => "a buffer has no bytes",
            Self::ReadableLast => "a buffer to be read comes behind one to be written",
            Self::TooManyBytes => "the chain has 4 GiB or more",
            Self::NoIndirect => "the device takes no indirect descriptors",
            Self::Broken => "the device has broken the rules of the queue",
        })
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?})", self.reason)
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedIndex { used, in_flight } => {
                write!(f, "{used} chains are said to be done, and the device had {in_flight}")
            }
            Self::NoDescriptor { id } => write!(f, "there is no descriptor {id}"),
            Self::NotInFlight { id } => write!(f, "the device had no chain with head {id}"),
            Self::TooMuchWritten { id, written, room } => {
                write!(f, "{written} bytes written to chain {id}, which has room for {room}")
            }
        }
    }
}

impl core::error::Error for SizeError {}
impl core::error::Error for NewQueueError {}
impl core::error::Error for AddError {}
impl<T> core::error::Error for Refused<T> {}
impl core::error::Error for DeviceError {}
