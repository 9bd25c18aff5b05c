//! What can be wrong with a controller or a port: [`AhciError`].

use core::fmt;

use ata::TaskFile;
use device::block::RegisterError;
use memory::OutOfMemory;
use memory::kernel_space::DeviceMapError;

use crate::pci::{BarClaimError, InterruptError};

/// Why a controller or a disk cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AhciError {
    /// The controller is not there any more.
    Gone,
    /// The controller's reset does not end.
    NotReset,
    /// A port does not stop in time.
    NotStopped,
    /// No device is there, or its link does not come up.
    NoLink,
    /// The device stays busy.
    Busy,
    /// The device did not carry out a command in time.
    TimedOut,
    /// The device has failed a command.
    Failed(TaskFile),
    /// What the disk says of itself is damaged.
    BadIdentity,
    /// The disk is too old: without DMA or addresses of 48 bits.
    TooOld,
    /// The blocks of the disk have a size that is not supported.
    BlockSize(u32),
    /// The range of the registers cannot be had.
    Bar(BarClaimError),
    /// The registers are not where they should be.
    Registers(DeviceMapError),
    /// There are no interrupts.
    Interrupts(InterruptError),
    /// The disk cannot be registered.
    Register(RegisterError),
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for AhciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the controller is gone"),
            Self::NotReset => f.write_str("the controller cannot be reset"),
            Self::NotStopped => f.write_str("the port does not stop in time"),
            Self::NoLink => f.write_str("there is no link to a device"),
            Self::Busy => f.write_str("the device stays busy"),
            Self::TimedOut => f.write_str("the device did not answer in time"),
            Self::Failed(task_file) => write!(f, "the device has failed a command: {task_file}"),
            Self::BadIdentity => f.write_str("what the disk says of itself is damaged"),
            Self::TooOld => f.write_str("the disk has no DMA, or no addresses of 48 bits"),
            Self::BlockSize(bytes) => write!(f, "blocks of {bytes} bytes are not supported"),
            Self::Bar(error) => error.fmt(f),
            Self::Registers(error) => error.fmt(f),
            Self::Interrupts(error) => error.fmt(f),
            Self::Register(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for AhciError {}

macro_rules! from {
    ($($error:ident $variant:ident)*) => {$(
        impl From<$error> for AhciError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from! { BarClaimError Bar DeviceMapError Registers InterruptError Interrupts RegisterError Register }

impl From<OutOfMemory> for AhciError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}
