//! The capabilities of message-signalled interrupts (PCI 3.0, section 6.8): what they offer,
//! and where their registers are. Writing them is the caller's.

use crate::ConfigSpace;

/// The capability MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// Where it begins.
    offset: u16,
    /// Most messages: a power of two up to 32.
    pub count: u8,
    /// The address has 64 bits.
    pub is_64_bits: bool,
    /// Each message can be masked.
    pub maskable: bool,
}

impl Msi {
    /// Message control: MSI is on.
    pub const ENABLE: u16 = 1;

    /// The capability at `offset`; `None` if it says that it has more messages than there
    /// can be.
    pub fn read<C: ConfigSpace + ?Sized>(config: &C, offset: u8) -> Option<Self> {
        let offset = u16::from(offset);
        let control = config.read_u16(offset + 2);
        let count_log = control >> 1 & 7;
        (count_log <= 5).then_some(Self {
            offset,
            count: 1 << count_log,
            is_64_bits: control & 1 << 7 != 0,
            maskable: control & 1 << 8 != 0,
        })
    }

    /// Offset of the message control register, of 16 bits.
    pub fn control(self) -> u16 {
        self.offset + 2
    }

    /// Message control with `count` messages, a power of two, switched on, where it was `old`.
    pub fn enabled(old: u16, count: u8) -> u16 {
        old & !(7 << 4) | (count.trailing_zeros() as u16 & 7) << 4 | Self::ENABLE
    }

    /// Offset of the address, of its lower half.
    pub fn address(self) -> u16 {
        self.offset + 4
    }

    /// Offset of the upper half of the address.
    pub fn address_high(self) -> Option<u16> {
        self.is_64_bits.then_some(self.offset + 8)
    }

    /// Offset of the data, of 16 bits.
    pub fn data(self) -> u16 {
        self.offset + if self.is_64_bits { 0xc } else { 8 }
    }

    /// Offset of the mask: a bit for each message.
    pub fn mask(self) -> Option<u16> {
        self.maskable.then_some(self.offset + if self.is_64_bits { 0x10 } else { 0xc })
    }
}

/// A table in the range of a base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiXTable {
    /// Number of the register.
    pub bar: u8,
    /// Bytes into its range, a multiple of eight.
    pub offset: u32,
}

impl MsiXTable {
    fn new(register: u32) -> Option<Self> {
        let bar = (register & 7) as u8;
        (bar < 6).then_some(Self { bar, offset: register & !7 })
    }
}

/// The capability MSI-X.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiX {
    offset: u16,
    /// Messages: entries of the table, from 1 to 2048.
    pub count: u16,
    /// Where the table is.
    pub table: MsiXTable,
    /// Where the bits of those that wait are.
    pub pending: MsiXTable,
}

impl MsiX {
    /// Message control: MSI-X is on.
    pub const ENABLE: u16 = 1 << 15;
    /// Message control: all messages are masked.
    pub const MASK_ALL: u16 = 1 << 14;
    /// Bytes of an entry of the table.
    pub const ENTRY: usize = 16;

    /// The capability at `offset`; `None` if it names a base address register that does not
    /// exist.
    pub fn read<C: ConfigSpace + ?Sized>(config: &C, offset: u8) -> Option<Self> {
        let offset = u16::from(offset);
        Some(Self {
            offset,
            count: (config.read_u16(offset + 2) & 0x7ff) + 1,
            table: MsiXTable::new(config.read(offset.checked_add(4)?))?,
            pending: MsiXTable::new(config.read(offset.checked_add(8)?))?,
        })
    }

    /// Offset of the message control register, of 16 bits.
    pub fn control(self) -> u16 {
        self.offset + 2
    }

    /// Bytes of the table.
    pub fn table_bytes(self) -> usize {
        usize::from(self.count) * Self::ENTRY
    }
}
