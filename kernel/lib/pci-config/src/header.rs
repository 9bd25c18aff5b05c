//! Registers of the header, and who a function is.

use crate::ConfigSpace;

/// Offsets of registers (PCI 3.0, section 6.1).
pub mod offset {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const VENDOR: u16 = 0x00;
    pub const DEVICE: u16 = 0x02;
    pub const COMMAND: u16 = 0x04;
    pub const STATUS: u16 = 0x06;
    pub const REVISION: u16 = 0x08;
    pub const CACHE_LINE: u16 = 0x0c;
    pub const LATENCY: u16 = 0x0d;
    pub const HEADER_TYPE: u16 = 0x0e;
    /// The first base address register; the others follow.
    pub const BARS: u16 = 0x10;
    pub const SUBSYSTEM_VENDOR: u16 = 0x2c;
    pub const SUBSYSTEM: u16 = 0x2e;
    pub const CAPABILITIES: u16 = 0x34;
    pub const INTERRUPT_LINE: u16 = 0x3c;
    pub const INTERRUPT_PIN: u16 = 0x3d;
    /// Where the capability list of a CardBus bridge begins.
    pub const CARDBUS_CAPABILITIES: u16 = 0x14;
    /// The first extended capability.
    pub const EXTENDED: u16 = 0x100;
}

/// Bits of the command register (PCI 3.0, section 6.2.2).
pub mod command {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const IO: u16 = 1 << 0;
    pub const MEMORY: u16 = 1 << 1;
    pub const BUS_MASTER: u16 = 1 << 2;
    pub const PARITY_RESPONSE: u16 = 1 << 6;
    pub const SERR: u16 = 1 << 8;
    pub const INTX_DISABLE: u16 = 1 << 10;
}

/// Bits of the status register (PCI 3.0, section 6.2.3).
pub mod status {
    /// The function asks for its interrupt line.
    pub const INTX: u16 = 1 << 3;
    /// There is a list of capabilities.
    pub const CAPABILITIES: u16 = 1 << 4;
}

/// Ids of capabilities (PCI Code and ID Assignment Specification, chapter 2).
pub mod capability_id {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const POWER_MANAGEMENT: u8 = 0x01;
    pub const MSI: u8 = 0x05;
    pub const VENDOR: u8 = 0x09;
    pub const SUBSYSTEM: u8 = 0x0d;
    pub const EXPRESS: u8 = 0x10;
    pub const MSI_X: u8 = 0x11;
    pub const ADVANCED_FEATURES: u8 = 0x13;

    /// Its name.
    pub fn name(id: u8) -> &'static str {
        match id {
            0x00 => "null",
            0x01 => "power management",
            0x02 => "AGP",
            0x03 => "vital product data",
            0x04 => "slot identification",
            0x05 => "MSI",
            0x06 => "CompactPCI hot swap",
            0x07 => "PCI-X",
            0x08 => "HyperTransport",
            0x09 => "vendor-specific",
            0x0a => "debug port",
            0x0b => "CompactPCI resource control",
            0x0c => "hot-plug controller",
            0x0d => "bridge subsystem ids",
            0x0e => "AGP 8x",
            0x0f => "secure device",
            0x10 => "PCI Express",
            0x11 => "MSI-X",
            0x12 => "SATA",
            0x13 => "advanced features",
            0x14 => "enhanced allocation",
            0x15 => "flattening portal bridge",
            _ => "unknown",
        }
    }
}

/// Ids of extended capabilities.
pub mod extended_id {
    /// Its name.
    pub fn name(id: u16) -> &'static str {
        match id {
            0x0000 => "null",
            0x0001 => "advanced error reporting",
            0x0002 | 0x0009 => "virtual channel",
            0x0003 => "serial number",
            0x0004 => "power budgeting",
            0x0005 => "root complex links",
            0x0006 => "root complex internal link",
            0x0007 => "root complex event collector",
            0x0008 => "multi-function virtual channel",
            0x000b => "vendor-specific",
            0x000d => "access control services",
            0x000e => "alternative routing-id",
            0x000f => "address translation services",
            0x0010 => "single-root I/O virtualization",
            0x0011 => "multi-root I/O virtualization",
            0x0012 => "multicast",
            0x0013 => "page request",
            0x0015 => "resizable BAR",
            0x0016 => "dynamic power allocation",
            0x0017 => "TPH requester",
            0x0018 => "latency tolerance reporting",
            0x0019 => "secondary PCI Express",
            0x001b => "process address space id",
            0x001d => "downstream port containment",
            0x001e => "L1 power management substates",
            0x001f => "precision time measurement",
            0x0023 => "designated vendor-specific",
            0x0024 => "VF resizable BAR",
            0x0025 => "data link feature",
            0x0026 => "16 GT/s physical layer",
            0x0027 => "lane margining",
            0x002a => "32 GT/s physical layer",
            0x002e => "data object exchange",
            _ => "unknown",
        }
    }
}

/// What the rest of the header is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Type 0: a function that is no bridge.
    Normal,
    /// Type 1: a PCI-to-PCI bridge.
    Bridge,
    /// Type 2: a CardBus bridge.
    CardBus,
    /// Not known.
    Other(u8),
}

impl Layout {
    /// How many base address registers there are.
    pub fn bars(self) -> usize {
        match self {
            Self::Normal => 6,
            Self::Bridge => 2,
            Self::CardBus => 1,
            Self::Other(_) => 0,
        }
    }
}

/// Who a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// What its maker calls it.
    pub device: u16,
    /// Base class, subclass and programming interface, in three bytes.
    pub class: u32,
    /// The revision.
    pub revision: u8,
    /// Who made the card that it is on, and what that is called; 0 if nothing is said.
    pub subsystem_vendor: u16,
    /// See `subsystem_vendor`.
    pub subsystem: u16,
    /// What the header is like.
    pub layout: Layout,
    /// The device may have further functions.
    pub multifunction: bool,
    /// The interrupt pin, from 1 for INTA to 4; `None`: it uses none.
    pub pin: Option<u8>,
}

impl Identity {
    /// The identity of the function with this space; `None` if there is none.
    pub fn read<C: ConfigSpace + ?Sized>(config: &C) -> Option<Self> {
        let vendor = config.read_u16(offset::VENDOR);
        // All zeros: some bridges answer so for what is not there.
        if vendor == u16::MAX || vendor == 0 {
            return None;
        }
        let header_type = config.read_u8(offset::HEADER_TYPE);
        let layout = match header_type & 0x7f {
            0 => Layout::Normal,
            1 => Layout::Bridge,
            2 => Layout::CardBus,
            other => Layout::Other(other),
        };
        // Bridges have it in a capability, at four bytes into it.
        let subsystem = match layout {
            Layout::Normal => Some(offset::SUBSYSTEM_VENDOR),
            Layout::Bridge => crate::capabilities(config)
                .filter_map(Result::ok)
                .find(|found| found.id == capability_id::SUBSYSTEM)
                .map(|found| u16::from(found.offset) + 4),
            _ => None,
        };
        let subsystem = subsystem.map_or(0, |at| config.read(at & !3));
        let revision = config.read(offset::REVISION);
        let pin = config.read_u8(offset::INTERRUPT_PIN);
        Some(Self {
            vendor,
            device: config.read_u16(offset::DEVICE),
            class: revision >> 8,
            revision: revision as u8,
            subsystem_vendor: subsystem as u16,
            subsystem: (subsystem >> 16) as u16,
            layout,
            multifunction: header_type & 0x80 != 0,
            pin: (1..=4).contains(&pin).then_some(pin),
        })
    }
}
