//! What can be wrong with a controller: [`NvmeError`].

use core::fmt;

use device::block::RegisterError;
use memory::OutOfMemory;
use memory::kernel_space::DeviceMapError;
use nvme_protocol::Status;

use crate::pci::{BarClaimError, InterruptError};

/// Why a controller cannot be used, or not as it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvmeError {
    /// It has no commands for blocks.
    NoBlocks,
    /// It wants larger pages or entries than this driver has.
    Unusual,
    /// It did not get ready in time.
    NotReady,
    /// It did not stop in time.
    NotStopped,
    /// It says that it has failed.
    Fatal,
    /// It is not there any more.
    Gone,
    /// It did not answer a command in time.
    TimedOut,
    /// It refused a command.
    Refused(Status),
    /// It grants no queue.
    NoQueues,
    /// Its answers make no sense.
    Nonsense,
    /// It fails too often.
    Unreliable,
    /// The range of its registers cannot be had.
    Bar(BarClaimError),
    /// Its registers are not where they should be.
    Registers(DeviceMapError),
    /// There are no interrupts for it.
    Interrupts(InterruptError),
    /// A disk cannot be registered.
    Register(RegisterError),
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for NvmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBlocks => f.write_str("the controller has no commands for blocks"),
            Self::Unusual => f.write_str("the controller wants pages or entries of unusual size"),
            Self::NotReady => f.write_str("the controller did not get ready in time"),
            Self::NotStopped => f.write_str("the controller did not stop in time"),
            Self::Fatal => f.write_str("the controller says that it has failed"),
            Self::Gone => f.write_str("the controller is gone"),
            Self::TimedOut => f.write_str("the controller did not answer in time"),
            Self::Refused(status) => write!(f, "the controller refused a command: {status}"),
            Self::NoQueues => f.write_str("the controller grants no queue"),
            Self::Nonsense => f.write_str("the controller's answers make no sense"),
            Self::Unreliable => f.write_str("the controller fails too often"),
            Self::Bar(error) => error.fmt(f),
            Self::Registers(error) => error.fmt(f),
            Self::Interrupts(error) => error.fmt(f),
            Self::Register(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for NvmeError {}

macro_rules! from {
    ($($error:ident $variant:ident)*) => {$(
        impl From<$error> for NvmeError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from! { BarClaimError Bar DeviceMapError Registers InterruptError Interrupts RegisterError Register }

impl From<OutOfMemory> for NvmeError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}
