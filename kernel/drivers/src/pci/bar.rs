//! Base address registers: what a function's ranges are ([`BarInfo`]), and the right to one
//! ([`Bar`]).

use alloc::sync::Arc;
use core::fmt;

use base::io_ports::{IoPorts, PortError};
use base::sync::SpinLock;
use memory::kernel_space::{DeviceMapError, IoMem};
use pci_config::{
    BarError, BarKind, ConfigSpace, Identity, Layout, Span, bar_address, bar_kind, bar_size,
    command, offset,
};

use super::Address;
use super::command::{Held, Right};
use super::config::Config;
use super::function::Inner;
use super::resources::{self, PlaceError};

/// A base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarInfo {
    /// There is none, or it is the upper half of the one before.
    Absent,
    /// It makes no sense.
    Bad(BarError),
    /// It has a range.
    Present {
        /// What kind of addresses.
        kind: BarKind,
        /// How many.
        size: u64,
        /// Where, as the register says; `None`: the firmware has not given it a place.
        span: Option<Span>,
        /// Somebody has it.
        claimed: bool,
    },
}

/// Why a range cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarClaimError {
    /// There is no such range.
    Absent,
    /// The register makes no sense.
    Bad(BarError),
    /// Somebody has it.
    InUse,
    /// It is not where it can be used.
    Place(PlaceError),
    /// It cannot be mapped.
    NotMapped(DeviceMapError),
    /// Its ports cannot be had.
    Ports(PortError),
}

impl fmt::Display for BarClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base address register: ")?;
        match self {
            Self::Absent => f.write_str("there is none"),
            Self::Bad(error) => error.fmt(f),
            Self::InUse => f.write_str("its range is in use"),
            Self::Place(error) => error.fmt(f),
            Self::NotMapped(error) => write!(f, "its range cannot be mapped: {error}"),
            Self::Ports(error) => write!(f, "its ports: {error}"),
        }
    }
}

impl core::error::Error for BarClaimError {}

/// Offset of register `index`.
pub(super) fn register(index: usize) -> u16 {
    offset::BARS + 4 * index as u16
}

/// Looks at all registers of a function. Its decoding is off meanwhile, since they show all
/// addresses for a moment.
pub(super) fn discover(
    config: &Config,
    identity: &Identity,
    address: Address,
    bars: &[SpinLock<BarInfo>; 6],
) {
    let count = if identity.layout == Layout::CardBus { 0 } else { identity.layout.bars() };
    // Bridges forward addresses with the same bits, but nobody uses what is behind yet. What
    // the machine itself stands on goes on.
    let decoding = config.read_u16(offset::COMMAND);
    let off = if is_of_machine(identity) { 0 } else { command::IO | command::MEMORY };
    config.write_u16(offset::COMMAND, decoding & !off);
    let mut index = 0;
    while index < count {
        let (info, is_wide) = size(config, index, index + 1 < count);
        if let BarInfo::Bad(error) = info {
            log::warn!("pci {address}: base address register {index}: {error}");
        }
        *bars[index].lock() = info;
        index += if is_wide { 2 } else { 1 };
    }
    config.write_u16(offset::COMMAND, decoding);
}

/// Whether the machine needs the function to do what the firmware has it do: bridges to the
/// CPU or to ISA devices, interrupt controllers, timers.
pub(super) fn is_of_machine(identity: &Identity) -> bool {
    let [_, sub, base, _] = identity.class.to_le_bytes();
    let is_it = match base {
        // RAM controllers; bridges.
        0x05 | 0x06 => true,
        // Interrupt and DMA controllers, timers, clocks, IOMMUs.
        0x08 => matches!(sub, 0..=3 | 6),
        _ => false,
    };
    is_it && identity.layout == Layout::Normal
}

/// Writes all ones to register `index` to see which bits stay, and then what was there. What
/// it is, and whether the next one belongs to it.
fn size(config: &Config, index: usize, has_next: bool) -> (BarInfo, bool) {
    let probe = |at: u16| {
        let old = config.read(at);
        config.write_u32(at, u32::MAX);
        let bits = config.read(at);
        config.write_u32(at, old);
        (old, bits)
    };
    let (low, low_bits) = probe(register(index));
    // The lower bits are fixed; a register that does not exist is zero whatever is written.
    if low_bits == 0 || low_bits == u32::MAX {
        return (BarInfo::Absent, false);
    }
    let kind = match bar_kind(low_bits) {
        Ok(kind) if kind.is_64_bits() && !has_next => {
            return (BarInfo::Bad(BarError::BadKind(low_bits)), false);
        }
        Ok(kind) => kind,
        Err(error) => return (BarInfo::Bad(error), false),
    };
    let (high, high_bits) = if kind.is_64_bits() { probe(register(index + 1)) } else { (0, 0) };
    let info = match bar_size(kind, low_bits, high_bits) {
        Ok(0) => BarInfo::Absent,
        Ok(size) => {
            // Address 0 is what a register has after a reset.
            let address = bar_address(kind, low, high);
            let span = if address == 0 { None } else { Span::with_size(address, size) };
            BarInfo::Present { kind, size, span, claimed: false }
        }
        Err(error) => BarInfo::Bad(error),
    };
    (info, kind.is_64_bits())
}

/// Writes an address to register `index`; whether it stays. Nobody may have the range.
pub(super) fn move_to(config: &Config, index: usize, kind: BarKind, to: Span) -> bool {
    let decoding = config.read_u16(offset::COMMAND);
    config.write_u16(offset::COMMAND, decoding & !(command::IO | command::MEMORY));
    config.write_u32(register(index), to.first() as u32);
    let mut high = 0;
    if kind.is_64_bits() {
        config.write_u32(register(index + 1), (to.first() >> 32) as u32);
        high = config.read(register(index + 1));
    }
    let low = config.read(register(index));
    config.write_u16(offset::COMMAND, decoding);
    bar_address(kind, low, high) == to.first()
}

#[derive(Debug)]
enum Range {
    Memory(Arc<IoMem>),
    Ports(IoPorts),
}

/// The right to the range of a base address register. Dropping it gives the range back, and
/// the function does not answer there any more if nobody has another one of the kind.
#[must_use = "the range is given back when this is dropped"]
#[derive(Debug)]
pub struct Bar {
    // In the order in which they are dropped.
    range: Range,
    _decoding: Held,
    claim: Claim,
}

/// The mark that somebody has the range.
#[derive(Debug)]
struct Claim {
    function: Arc<Inner>,
    index: usize,
    span: Span,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let BarInfo::Present { claimed, .. } = &mut *self.function.bars[self.index].lock() {
            *claimed = false;
        }
    }
}

/// The kind and place of register `index`, to be used.
///
/// # Errors
/// `Absent`, `Bad`, `Place`.
pub(super) fn place(function: &Inner, index: usize) -> Result<(BarKind, Span), BarClaimError> {
    let bar = function.bars.get(index).ok_or(BarClaimError::Absent)?;
    let info = *bar.lock();
    match info {
        BarInfo::Absent => Err(BarClaimError::Absent),
        BarInfo::Bad(error) => Err(BarClaimError::Bad(error)),
        BarInfo::Present { kind, size, span, .. } => {
            let span = match span {
                Some(span) => resources::check(function, kind, span).map(|()| span),
                None => resources::assign(function, index, kind, size),
            };
            Ok((kind, span.map_err(BarClaimError::Place)?))
        }
    }
}

impl Bar {
    pub(super) fn claim(function: &Arc<Inner>, index: usize) -> Result<Self, BarClaimError> {
        let (kind, span) = place(function, index)?;
        match &mut *function.bars[index].lock() {
            BarInfo::Present { claimed: true, .. } => return Err(BarClaimError::InUse),
            BarInfo::Present { claimed, .. } => *claimed = true,
            _ => return Err(BarClaimError::Absent),
        }
        let claim = Claim { function: function.clone(), index, span };
        let size = span.last() - span.first() + 1;
        let (range, right) = match kind {
            BarKind::Io => {
                let first = u16::try_from(span.first());
                let count = u16::try_from(size);
                let (Ok(first), Ok(count)) = (first, count) else {
                    return Err(BarClaimError::Ports(PortError::NotForDrivers));
                };
                let ports = IoPorts::claim(first, count, "PCI function");
                (Range::Ports(ports.map_err(BarClaimError::Ports)?), Right::Io)
            }
            BarKind::Memory { .. } => {
                let bytes = usize::try_from(size)
                    .map_err(|_| BarClaimError::NotMapped(DeviceMapError::BadRange))?;
                let memory = IoMem::map(span.first(), bytes).map_err(BarClaimError::NotMapped)?;
                (Range::Memory(Arc::new(memory)), Right::Memory)
            }
        };
        Ok(Self { range, _decoding: Held::new(function, right), claim })
    }

    /// Number of the register.
    pub fn index(&self) -> usize {
        self.claim.index
    }

    /// The addresses: physical ones, or ports.
    pub fn span(&self) -> Span {
        self.claim.span
    }

    /// The mapped range, if it is memory. Whoever keeps it beyond the life of this guard
    /// reaches nothing there any more.
    pub fn memory(&self) -> Option<&Arc<IoMem>> {
        match &self.range {
            Range::Memory(memory) => Some(memory),
            Range::Ports(_) => None,
        }
    }

    /// The ports, if it is ports.
    pub fn ports(&self) -> Option<&IoPorts> {
        match &self.range {
            Range::Ports(ports) => Some(ports),
            Range::Memory(_) => None,
        }
    }
}
