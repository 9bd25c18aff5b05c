//! The registers of a device on PCI (VirtIO 1.2, sections 4.1.4.3 to 4.1.4.5). Fields of 64 bits
//! are two of 32, as they are to be accessed (section 4.1.3.1).

use base::registers::{ReadEffect, ReadOnly, ReadWrite, WriteOnly};

base::registers! {
    /// What all devices have (section 4.1.4.3).
    pub(super) struct CommonConfig: 0x38 bytes {
        /// Which 32 of the features `device_feature` shows.
        0x00 => pub(super) device_feature_select: ReadWrite<u32>,
        0x04 => pub(super) device_feature: ReadOnly<u32>,
        /// Which 32 of the features `driver_feature` sets.
        0x08 => pub(super) driver_feature_select: ReadWrite<u32>,
        0x0c => pub(super) driver_feature: ReadWrite<u32>,
        /// Entry of the MSI-X table for changes of the configuration.
        0x10 => pub(super) config_vector: ReadWrite<u16>,
        0x12 => pub(super) queue_count: ReadOnly<u16>,
        0x14 => pub(super) status: ReadWrite<u8>,
        0x15 => pub(super) config_generation: ReadOnly<u8>,
        /// Which queue the registers below are of.
        0x16 => pub(super) queue_select: ReadWrite<u16>,
        0x18 => pub(super) queue_size: ReadWrite<u16>,
        /// Entry of the MSI-X table.
        0x1a => pub(super) queue_vector: ReadWrite<u16>,
        0x1c => pub(super) queue_enable: ReadWrite<u16>,
        /// Where its notifications go, in units that the capability tells.
        0x1e => pub(super) queue_notify_offset: ReadOnly<u16>,
        /// Address of the descriptor table.
        0x20 => pub(super) descriptors: Address,
        /// Address of the available ring.
        0x28 => pub(super) available: Address,
        /// Address of the used ring.
        0x30 => pub(super) used: Address,
    }

    /// A physical address of 64 bits.
    pub(super) struct Address: 8 bytes {
        0 => pub(super) low: ReadWrite<u32>,
        4 => pub(super) high: ReadWrite<u32>,
    }
}

impl Address {
    pub(super) fn set(&self, address: u64) {
        self.low.write(address as u32);
        self.high.write((address >> 32) as u32);
    }
}

/// Where the number of a queue is written when it has something new (section 4.1.4.4).
pub(super) type Notify = WriteOnly<u16>;

/// Why the interrupt pin is active (section 4.1.4.5); reading it releases the pin.
pub(super) type Isr = ReadEffect<u8>;

bitflags::bitflags! {
    /// What [`Isr`] says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct IsrStatus: u8 {
        /// A queue has something used.
        const QUEUE = 1;
        /// The configuration has changed, or the device has failed.
        const CONFIG = 2;
    }
}
