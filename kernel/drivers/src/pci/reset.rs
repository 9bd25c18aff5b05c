//! Function-level reset: makes one function as it was after power-on, the others of its device
//! as they are (PCI Express Base Specification, section 6.6.2; for conventional functions the
//! capability for advanced features).

use core::fmt;

use base::time;
use pci_config::{ConfigSpace, capability_id, command, offset};

use super::bar::{BarInfo, register};
use super::function::{Function, Inner};

/// Offsets in the capability PCI Express, and bits.
const DEVICE_CAPABILITIES: u16 = 4;
const CAN_RESET: u32 = 1 << 28;
const DEVICE_CONTROL: u16 = 8;
const RESET: u16 = 1 << 15;
const DEVICE_STATUS: u16 = 10;
const TRANSACTIONS_PENDING: u16 = 1 << 5;

/// The same in the capability for advanced features, in bytes.
const AF_CAPABILITIES: u16 = 3;
const AF_CAN_RESET: u8 = 1 << 1;
const AF_CONTROL: u16 = 4;
const AF_STATUS: u16 = 5;

/// A function is to end what it has begun in this time, and to be there again after that.
const SETTLE_NS: u64 = 100_000_000;
/// It may take so much longer until it answers.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Why a function is not reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetError {
    /// It cannot be.
    NotOffered,
    /// Somebody has its interrupts or may use its memory: all that would be lost.
    InUse,
    /// It does not end the accesses to memory that it has begun.
    Busy,
    /// It does not answer afterwards.
    Gone,
}

impl fmt::Display for ResetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => "the function cannot be reset by itself",
            Self::InUse => "the function is in use",
            Self::Busy => "the function does not end its accesses to memory",
            Self::Gone => "the function does not answer after its reset",
        })
    }
}

impl core::error::Error for ResetError {}

/// How a function is reset.
#[derive(Clone, Copy, Debug)]
enum Way {
    Express(u16),
    Advanced(u16),
}

impl Way {
    fn of(function: &Inner) -> Option<Self> {
        let at = |id| function.capability(id).map(|found| u16::from(found.offset));
        let config = &function.config;
        if let Some(at) = at(capability_id::EXPRESS)
            && config.read(at + DEVICE_CAPABILITIES) & CAN_RESET != 0
        {
            return Some(Self::Express(at));
        }
        let at = at(capability_id::ADVANCED_FEATURES)?;
        let can = config.read_u8(at + AF_CAPABILITIES) & AF_CAN_RESET != 0;
        can.then_some(Self::Advanced(at))
    }

    fn is_busy(self, function: &Inner) -> bool {
        match self {
            Self::Express(at) => {
                function.config.read_u16(at + DEVICE_STATUS) & TRANSACTIONS_PENDING != 0
            }
            Self::Advanced(at) => function.config.read_u8(at + AF_STATUS) & 1 != 0,
        }
    }

    fn order(self, function: &Inner) {
        let config = &function.config;
        match self {
            Self::Express(at) => {
                let old = config.read_u16(at + DEVICE_CONTROL);
                config.write_u16(at + DEVICE_CONTROL, old | RESET);
            }
            // The status behind it is read-only.
            Self::Advanced(at) => config.write_u16(at + AF_CONTROL, 1),
        }
    }
}

/// Sleeps until `done`, at most `ns`; whether it came.
fn wait(ns: u64, done: impl Fn() -> bool) -> bool {
    let end = time::now_ns() + ns;
    while !done() {
        if time::now_ns() > end {
            return false;
        }
        task::sleep(1_000_000);
    }
    true
}

impl Function {
    /// Whether the function can be reset by itself.
    pub fn can_reset(&self) -> bool {
        Way::of(&self.0).is_some()
    }

    /// Resets the function. Its ranges stay where they are, and answer if they did before; all
    /// else of its configuration is as after power-on. Sleeps, for up to 1.2 seconds.
    ///
    /// # Errors
    /// As [`ResetError`] says.
    pub fn reset(&self) -> Result<(), ResetError> {
        let inner = &self.0;
        let way = Way::of(inner).ok_or(ResetError::NotOffered)?;
        let config = &inner.config;
        let register_before = config.read_u16(offset::COMMAND);
        // What it does by itself ends first.
        if *inner.has_interrupts.lock() || register_before & command::BUS_MASTER != 0 {
            return Err(ResetError::InUse);
        }
        let line = config.read(offset::INTERRUPT_LINE);
        let cache = config.read(offset::CACHE_LINE);
        config.write_u16(offset::COMMAND, command::INTX_DISABLE);
        if !wait(SETTLE_NS, || !way.is_busy(inner)) {
            config.write_u16(offset::COMMAND, register_before);
            return Err(ResetError::Busy);
        }
        way.order(inner);
        task::sleep(SETTLE_NS);
        if !wait(PATIENCE_NS, || config.read_u16(offset::VENDOR) == inner.identity.vendor) {
            return Err(ResetError::Gone);
        }
        for (index, bar) in inner.bars.iter().enumerate() {
            let BarInfo::Present { kind, span: Some(span), .. } = *bar.lock() else { continue };
            config.write_u32(register(index), span.first() as u32);
            if kind.is_64_bits() {
                config.write_u32(register(index + 1), (span.first() >> 32) as u32);
            }
        }
        config.write_u32(offset::INTERRUPT_LINE & !3, line);
        config.write_u32(offset::CACHE_LINE, cache);
        config.write_u16(offset::COMMAND, register_before);
        Ok(())
    }
}
