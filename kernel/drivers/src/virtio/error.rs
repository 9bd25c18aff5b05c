//! What can be wrong with a device: [`VirtioError`].

use core::fmt;

use memory::OutOfMemory;
use memory::kernel_space::DeviceMapError;
use virtqueue::NewQueueError;

use super::Status;
use crate::pci::{BarClaimError, InterruptError};

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtioError {
    /// No memory.
    OutOfMemory,
    /// It has a driver.
    InUse,
    /// It is of before VirtIO 1.0, or made to look so.
    Legacy,
    /// It does not offer what this driver cannot do without.
    Missing {
        /// Which feature.
        feature: &'static str,
    },
    /// It does not agree to the features that it has offered.
    FeaturesRefused,
    /// It insists on access-platform: it reaches memory by an IOMMU, which is not driven here
    /// (section 6.1).
    NeedsAccessPlatform,
    /// It was reset and still says something else.
    ResetTimeout {
        /// What it says.
        status: Status,
    },
    /// It has no such queue.
    NoQueue {
        /// Which.
        index: u16,
    },
    /// Its configuration has fewer bytes.
    NoConfig {
        /// What was to be read or written.
        offset: u16,
    },
    /// Its configuration kept changing while it was read.
    ConfigUnstable,
    /// Its configuration makes no sense.
    BadConfig {
        /// What of it.
        what: &'static str,
    },
    /// It does not take the vectors of its interrupts.
    VectorRefused,
    /// There are no interrupts for it.
    Interrupts(InterruptError),
    /// One of its ranges of registers cannot be had.
    Bar(BarClaimError),
    /// Its registers are not where they should be.
    Registers(DeviceMapError),
    /// It did not do what it was asked for in time.
    TimedOut,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::InUse => f.write_str("the device has a driver"),
            Self::Legacy => f.write_str("the device has only the interface of before VirtIO 1.0"),
            Self::Missing { feature } => write!(f, "the device does not offer {feature}"),
            Self::FeaturesRefused => f.write_str("the device refuses the features it has offered"),
            Self::NeedsAccessPlatform => f.write_str(
                "the device insists on access-platform, memory by way of an IOMMU, \
                 which Basalt does not have",
            ),
            Self::ResetTimeout { status } => {
                write!(f, "the device cannot be reset: its status is {:#x}", status.bits())
            }
            Self::NoQueue { index } => write!(f, "the device has no queue {index}"),
            Self::NoConfig { offset } => {
                write!(f, "the device's configuration has nothing at {offset:#x}")
            }
            Self::ConfigUnstable => f.write_str("the device's configuration does not hold still"),
            Self::BadConfig { what } => write!(f, "the device's configuration: {what}"),
            Self::VectorRefused => f.write_str("the device does not take its interrupt vectors"),
            Self::Interrupts(error) => error.fmt(f),
            Self::Bar(error) => error.fmt(f),
            Self::Registers(error) => write!(f, "the registers: {error}"),
            Self::TimedOut => f.write_str("the device did not answer in time"),
        }
    }
}

impl core::error::Error for VirtioError {}

impl From<OutOfMemory> for VirtioError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<InterruptError> for VirtioError {
    fn from(error: InterruptError) -> Self {
        Self::Interrupts(error)
    }
}

impl From<BarClaimError> for VirtioError {
    fn from(error: BarClaimError) -> Self {
        Self::Bar(error)
    }
}

impl From<DeviceMapError> for VirtioError {
    fn from(error: DeviceMapError) -> Self {
        Self::Registers(error)
    }
}

impl From<NewQueueError> for VirtioError {
    fn from(_: NewQueueError) -> Self {
        // The memory is allocated for the layout, so that it is never too small.
        Self::OutOfMemory
    }
}
