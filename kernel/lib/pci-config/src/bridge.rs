//! A PCI-to-PCI bridge: what lies behind it (PCI-to-PCI Bridge Architecture Specification 1.2,
//! section 3.2.5).

use crate::{ConfigSpace, Span};

/// The bus numbers of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusNumbers {
    /// The bus that the bridge is on.
    pub primary: u8,
    /// The bus behind it.
    pub secondary: u8,
    /// The highest number of all buses behind it.
    pub subordinate: u8,
}

impl BusNumbers {
    /// Those of the bridge with this space.
    pub fn read<C: ConfigSpace + ?Sized>(config: &C) -> Self {
        let [primary, secondary, subordinate, _] = config.read(0x18).to_le_bytes();
        Self { primary, secondary, subordinate }
    }

    /// Whether the bus behind the bridge can be reached, if the bridge is on bus `bus`, and
    /// the buses behind that one go up to `last`.
    pub fn are_good(self, bus: u8, last: u8) -> bool {
        bus < self.secondary && self.secondary <= self.subordinate && self.subordinate <= last
    }
}

/// What a bridge lets through to the bus behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// I/O ports.
    pub io: Option<Span>,
    /// Memory below 4 GiB.
    pub memory: Option<Span>,
    /// Memory for what is prefetchable.
    pub prefetchable: Option<Span>,
}

impl Windows {
    /// Those of the bridge with this space. A window that is closed, or that the bridge does
    /// not have, is `None`.
    pub fn read<C: ConfigSpace + ?Sized>(config: &C) -> Self {
        let [base, limit, ..] = config.read(0x1c).to_le_bytes().map(u64::from);
        let upper = config.read(0x30);
        let (upper_base, upper_limit) = (u64::from(upper & 0xffff), u64::from(upper >> 16));
        // The low four bits say whether there are upper halves.
        let wide = if base & 0xf == 1 { u64::MAX } else { 0 };
        let io = Span::new(
            (upper_base & wide) << 16 | (base & 0xf0) << 8,
            (upper_limit & wide) << 16 | (limit & 0xf0) << 8 | 0xfff,
        );
        // A bridge without the window has zeros there, which would be one from 0 on.
        let io = io.filter(|_| (base, limit) != (0, 0));
        let memory = config.read(0x20);
        let [base, limit] = halves(memory);
        let memory = Span::new(base, limit).filter(|_| memory != 0);
        let low = config.read(0x24);
        let [base, limit] = halves(low);
        let wide = if low & 0xf == 1 { u64::MAX } else { 0 };
        let prefetchable = Span::new(
            (u64::from(config.read(0x28)) & wide) << 32 | base,
            (u64::from(config.read(0x2c)) & wide) << 32 | limit,
        );
        Self { io, memory, prefetchable: prefetchable.filter(|_| low != 0) }
    }
}

/// The first and the last address of a window whose upper twelve bits are given.
fn halves(register: u32) -> [u64; 2] {
    let base = u64::from(register & 0xfff0) << 16;
    let limit = u64::from(register >> 16 & 0xfff0) << 16 | 0xf_ffff;
    [base, limit]
}
