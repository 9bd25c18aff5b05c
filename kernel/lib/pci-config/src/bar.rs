//! Base address registers (PCI 3.0, section 6.2.5.1).
//!
//! How large a range is tells what is read back after all ones were written: the bits of the
//! address that can be set. The caller does that, with the function's decoding off.

use core::fmt;

/// What kind of addresses a register takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory.
    Memory {
        /// Anywhere, and the next register holds the upper half; otherwise below 4 GiB.
        is_64_bits: bool,
        /// Reading has no effect, and writes may be merged.
        prefetchable: bool,
    },
}

impl BarKind {
    /// Whether the next register belongs to this one.
    pub const fn is_64_bits(self) -> bool {
        matches!(self, Self::Memory { is_64_bits: true, .. })
    }

    /// The bits of the register that are no address.
    const fn flags(self) -> u64 {
        match self {
            Self::Io => 0x3,
            Self::Memory { .. } => 0xf,
        }
    }
}

/// Why a register makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarError {
    /// A kind that does not exist.
    BadKind(u32),
    /// The bits that can be set are not the upper ones of an address.
    BadSize(u64),
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKind(value) => write!(f, "{value:#x} is of no kind"),
            Self::BadSize(bits) => write!(f, "no range has the address bits {bits:#x}"),
        }
    }
}

impl core::error::Error for BarError {}

/// The kind of the register with value `low`.
///
/// # Errors
/// `BadKind`.
pub fn bar_kind(low: u32) -> Result<BarKind, BarError> {
    if low & 1 != 0 {
        return Ok(BarKind::Io);
    }
    let prefetchable = low & 8 != 0;
    match low >> 1 & 3 {
        // 1: below 1 MiB, which PCI 3.0 does not know any more.
        0 | 1 => Ok(BarKind::Memory { is_64_bits: false, prefetchable }),
        2 => Ok(BarKind::Memory { is_64_bits: true, prefetchable }),
        _ => Err(BarError::BadKind(low)),
    }
}

/// The address in a register, with the value of the next one if that is the upper half.
pub fn bar_address(kind: BarKind, low: u32, high: u32) -> u64 {
    let high = if kind.is_64_bits() { u64::from(high) << 32 } else { 0 };
    (high | u64::from(low)) & !kind.flags()
}

/// Bytes (or ports) of the range, from what is read back after all ones: 0 if there is no
/// such register.
///
/// # Errors
/// `BadSize`.
pub fn bar_size(kind: BarKind, low: u32, high: u32) -> Result<u64, BarError> {
    let bits = bar_address(kind, low, high);
    if bits == 0 {
        return Ok(0);
    }
    // Above the address of a register of 32 bits everything counts as settable; so do the
    // upper bits of ports, which few devices have.
    let all = match kind {
        BarKind::Io if bits >> 16 == 0 => bits | !0xffff,
        BarKind::Memory { is_64_bits: true, .. } => bits,
        _ => bits | u64::from(u32::MAX) << 32,
    };
    let size = all.wrapping_neg();
    // So it is if the bits are all those above some place.
    if size.is_power_of_two() { Ok(size) } else { Err(BarError::BadSize(bits)) }
}
