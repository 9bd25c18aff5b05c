//! The registers of an AHCI controller (Serial ATA AHCI 1.3.1, section 3).

use base::registers;
use base::registers::{Bits, ReadOnly, ReadWrite, Reserved};
use bitflags::bitflags;

registers! {
    /// Generic host control (section 3.1).
    pub(super) struct HostRegisters: 0x2c bytes {
        0x00 => pub(super) capabilities: ReadOnly<u32>,
        0x04 => pub(super) control: ReadWrite<u32>,
        0x08 => pub(super) interrupts: ReadWrite<u32>,
        0x0c => pub(super) ports: ReadOnly<u32>,
        0x10 => pub(super) version: ReadOnly<u32>,
        0x14 => coalescing: [ReadWrite<u32>; 2],
        0x1c => enclosure: [ReadWrite<u32>; 2],
        0x24 => pub(super) more_capabilities: ReadOnly<u32>,
        0x28 => pub(super) handoff: ReadWrite<u32>,
    }

    /// A port (section 3.3).
    pub(super) struct PortRegisters: 0x80 bytes {
        0x00 => pub(super) command_list: ReadWrite<u32>,
        0x04 => pub(super) command_list_high: ReadWrite<u32>,
        0x08 => pub(super) received: ReadWrite<u32>,
        0x0c => pub(super) received_high: ReadWrite<u32>,
        0x10 => pub(super) interrupts: ReadWrite<u32>,
        0x14 => pub(super) interrupt_enable: ReadWrite<u32>,
        0x18 => pub(super) command: ReadWrite<u32>,
        0x1c => reserved: Reserved<4>,
        0x20 => pub(super) task_file: ReadOnly<u32>,
        0x24 => pub(super) signature: ReadOnly<u32>,
        0x28 => pub(super) status: ReadOnly<u32>,
        0x2c => pub(super) control: ReadWrite<u32>,
        0x30 => pub(super) error: ReadWrite<u32>,
        0x34 => pub(super) active: ReadWrite<u32>,
        0x38 => pub(super) issue: ReadWrite<u32>,
        0x3c => notification: ReadWrite<u32>,
        0x40 => switching: ReadWrite<u32>,
        0x44 => sleep: ReadWrite<u32>,
        0x48 => more_reserved: Reserved<0x28>,
        0x70 => vendor: Reserved<0x10>,
    }
}

/// Where the ports' registers begin.
pub(super) const PORTS: usize = 0x100;
/// Bytes from one port to the next.
pub(super) const PORT_STRIDE: usize = 0x80;
/// Most ports of a controller.
pub(super) const MOST_PORTS: usize = 32;

/// What a controller can do (CAP): the number of command slots, less one.
pub(super) const SLOTS: Bits<u32> = Bits::new(8, 5);
/// Whether a device is there (PxSSTS.DET), and what is done about the link (PxSCTL.DET).
pub(super) const DETECTION: Bits<u32> = Bits::new(0, 4);
/// The state of the interface (PxSSTS.IPM).
pub(super) const POWER: Bits<u32> = Bits::new(8, 4);

/// A device is there, and the link works.
pub(super) const PRESENT: u32 = 3;
/// A device is there, without a link yet.
pub(super) const NO_LINK: u32 = 1;
/// The interface is active.
pub(super) const ACTIVE: u32 = 1;
/// Begin a new link.
pub(super) const INITIALISE: u32 = 1;
/// No low-power states of the link (PxSCTL.IPM).
pub(super) const ALWAYS_ON: u32 = 0b0011 << 8;

bitflags! {
    /// What a controller can do (CAP).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct HostCapabilities: u32 {
        /// Ports' task files can be cleared while busy.
        const LIST_OVERRIDE = 1 << 24;
        /// Devices spin up when they are told to.
        const STAGGERED_SPIN_UP = 1 << 27;
        /// Queued commands.
        const QUEUING = 1 << 30;
        /// Addresses of 64 bits.
        const ADDRESSES_64 = 1 << 31;
    }

    /// GHC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct HostControl: u32 {
        const RESET = 1 << 0;
        const INTERRUPTS = 1 << 1;
        const AHCI = 1 << 31;
    }

    /// BOHC: who has the controller.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Handoff: u32 {
        const FIRMWARE_OWNS = 1 << 0;
        const SYSTEM_OWNS = 1 << 1;
        const FIRMWARE_BUSY = 1 << 4;
    }

    /// PxCMD.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct PortCommand: u32 {
        /// Commands are carried out.
        const START = 1 << 0;
        const SPIN_UP = 1 << 1;
        const POWER_ON = 1 << 2;
        const LIST_OVERRIDE = 1 << 3;
        /// What the device sends is put into memory.
        const RECEIVE = 1 << 4;
        const RECEIVING = 1 << 14;
        const RUNNING = 1 << 15;
        const _ = !0;
    }

    /// PxIS and PxIE.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct PortInterrupts: u32 {
        /// A command without queueing has ended.
        const REGISTERS = 1 << 0;
        /// Queued commands have ended.
        const DEVICE_BITS = 1 << 3;
        const UNKNOWN_FRAME = 1 << 4;
        const CONNECT_CHANGE = 1 << 6;
        const PHY_CHANGE = 1 << 22;
        const OVERFLOW = 1 << 24;
        const INTERFACE_ERROR = 1 << 27;
        const BUS_DATA_ERROR = 1 << 28;
        const BUS_ERROR = 1 << 29;
        /// A command has failed.
        const TASK_FILE_ERROR = 1 << 30;
        const _ = !0;

        /// The link has come or gone.
        const LINK = Self::CONNECT_CHANGE.bits() | Self::PHY_CHANGE.bits();
        /// Commands are not carried out any more.
        const ERROR = Self::UNKNOWN_FRAME.bits() | Self::OVERFLOW.bits()
            | Self::INTERFACE_ERROR.bits() | Self::BUS_DATA_ERROR.bits() | Self::BUS_ERROR.bits()
            | Self::TASK_FILE_ERROR.bits();
        /// Those that are wanted.
        const WANTED = Self::REGISTERS.bits() | Self::DEVICE_BITS.bits() | Self::LINK.bits()
            | Self::ERROR.bits();
    }
}

/// More capabilities (CAP2): the controller is handed over by the firmware.
pub(super) const HAS_HANDOFF: u32 = 1 << 0;
