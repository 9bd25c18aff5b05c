//! [`IoPorts`]: a safe door to I/O ports. A range is claimed once; what the kernel's core
//! uses, or what could make a device write to memory on its own, cannot be claimed. The ports
//! 0xcf8 to 0xcff are those of PCI configuration mechanism #1, and whoever has them is the PCI
//! bus: what a PCI function does with memory its driver answers for, here as elsewhere.

use core::fmt;
use core::ops::Range;

use arch::port::{Port, PortWidth};
use arrayvec::ArrayVec;

use crate::sync::IrqSpinLock;

/// Most ranges that can be claimed at a time.
const MAX_CLAIMS: usize = 128;

/// Ports that are not for drivers: DMA controllers, interrupt controllers, the 8254.
const CORE: [Range<u16>; 6] =
    [0x00..0x22, 0x40..0x44, 0x61..0x62, 0x80..0x90, 0xa0..0xa2, 0xc0..0xe0];

/// The ports of PCI configuration mechanism #1, which one owner has as a whole; but for the
/// reset register of chip sets among them, when nobody has the rest.
const PCI_CONFIGURATION: Range<u16> = 0xcf8..0xd00;
const PCI_RESET: Range<u16> = 0xcf9..0xcfa;

static CLAIMS: IrqSpinLock<ArrayVec<(Range<u16>, &'static str), MAX_CLAIMS>> =
    IrqSpinLock::new("i/o port claims", ArrayVec::new_const());

/// Why ports cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortError {
    /// Somebody has some of them.
    InUse {
        /// Who, as registered.
        owner: &'static str,
    },
    /// The kernel's own, or not ports at all.
    NotForDrivers,
    /// Too many claims.
    Full,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { owner } => write!(f, "taken by {owner}"),
            Self::NotForDrivers => f.write_str("not for drivers"),
            Self::Full => f.write_str("too many ranges of ports are claimed"),
        }
    }
}

impl core::error::Error for PortError {}

/// A claimed range of ports; given back on drop.
#[derive(Debug)]
pub struct IoPorts {
    first: u16,
    count: u16,
}

impl IoPorts {
    /// Claims `count` ports from `first` on.
    ///
    /// # Errors
    /// As [`PortError`] says.
    pub fn claim(first: u16, count: u16, owner: &'static str) -> Result<Self, PortError> {
        let end = first.checked_add(count).filter(|_| count > 0).ok_or(PortError::NotForDrivers)?;
        let wanted = first..end;
        let overlaps = |range: &Range<u16>| range.start < wanted.end && wanted.start < range.end;
        let is_part =
            overlaps(&PCI_CONFIGURATION) && ![PCI_CONFIGURATION, PCI_RESET].contains(&wanted);
        if CORE.iter().any(overlaps) || is_part {
            return Err(PortError::NotForDrivers);
        }
        let mut claims = CLAIMS.lock();
        if let Some((_, owner)) = claims.iter().find(|(range, _)| overlaps(range)) {
            return Err(PortError::InUse { owner });
        }
        claims.try_push((wanted.clone(), owner)).map_err(|_| PortError::Full)?;
        Ok(Self { first, count })
    }

    /// The first port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.count
    }

    fn port<T: PortWidth>(&self, offset: u16) -> Port<T> {
        let fits = offset.checked_add(size_of::<T>() as u16).is_some_and(|end| end <= self.count);
        assert!(fits, "port {offset} of a range of {}", self.count);
        // SAFETY: claimed, so this is the only owner; ports whose devices could write
        // to memory by themselves are never claimed, but by the PCI bus.
        unsafe { Port::new(self.first + offset) }
    }

    /// Reads the double-word port at `offset` into the range.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn read_u32(&self, offset: u16) -> u32 {
        self.port(offset).read()
    }

    /// Writes the double-word port at `offset` into the range.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn write_u32(&self, offset: u16, value: u32) {
        self.port(offset).write(value);
    }

    /// Reads the word port at `offset` into the range.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn read_u16(&self, offset: u16) -> u16 {
        self.port(offset).read()
    }

    /// Writes the word port at `offset` into the range.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn write_u16(&self, offset: u16, value: u16) {
        self.port(offset).write(value);
    }

    /// Reads the byte port at `offset` into the range.
    ///
    /// # Panics
    /// If the offset lies outside.
    pub fn read(&self, offset: u16) -> u8 {
        self.port(offset).read()
    }

    /// Writes the byte port at `offset` into the range.
    ///
    /// # Panics
    /// If the offset lies outside.
    pub fn write(&self, offset: u16, value: u8) {
        self.port(offset).write(value);
    }
}

impl Drop for IoPorts {
    fn drop(&mut self) {
        CLAIMS.lock().retain(|(range, _)| range.start != self.first);
    }
}

#[macros::kernel_test]
fn ports_are_claimed_once() {
    let ports = IoPorts::claim(0x2e8, 8, "first").expect("COM4's ports are free");
    assert_eq!(IoPorts::claim(0x2ef, 1, "second").err(), Some(PortError::InUse { owner: "first" }));
    drop(ports);
    drop(IoPorts::claim(0x2ef, 1, "third").expect("given back"));
    assert_eq!(IoPorts::claim(0x20, 1, "pic").err(), Some(PortError::NotForDrivers));
    assert_eq!(IoPorts::claim(0xfff0, 0x20, "wraps").err(), Some(PortError::NotForDrivers));
    for (first, count) in [(0xcf8, 4), (0xcfc, 4), (0xcf0, 0x20), (0xcff, 1), (0xcf8, 1)] {
        let claim = IoPorts::claim(first, count, "part of PCI's").err();
        assert_eq!(claim, Some(PortError::NotForDrivers), "{first:#x}");
    }
}
