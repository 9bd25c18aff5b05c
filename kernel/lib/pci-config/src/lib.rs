//! Floor 0: what the configuration space of a PCI function says (PCI Local Bus Specification
//! 3.0, chapter 6; PCI Express Base Specification, chapter 7).
//!
//! Nothing here touches a device but through [`ConfigSpace`], so that all of it runs on the
//! host over an array of bytes, and no space that is damaged makes it loop or panic.
//!
//! | file | what |
//! |---|---|
//! | `header.rs` | offsets of registers, and [`Identity`]: who made the function, and what it is |
//! | `list.rs` | [`capabilities`] and [`extended_capabilities`], lists with a bound |
//! | `bar.rs` | base address registers: kinds, addresses, sizes |
//! | `bridge.rs` | the bus numbers and windows of a PCI-to-PCI bridge |
//! | `message.rs` | the capabilities MSI and MSI-X |
//! | `space.rs` | [`Span`]s of addresses, and free ones among them |
//! | `class.rs` | names of classes |

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod bar;
mod bridge;
mod class;
mod header;
mod list;
mod message;
mod space;
#[cfg(test)]
mod tests;

pub use bar::{BarError, BarKind, bar_address, bar_kind, bar_size};
pub use bridge::{BusNumbers, Windows};
pub use class::class_name;
pub use header::{Identity, Layout, capability_id, command, extended_id, offset, status};
pub use list::{Capability, ExtendedCapability, ListError, capabilities, extended_capabilities};
pub use message::{Msi, MsiX, MsiXTable};
pub use space::Span;

/// The configuration space of a function, as it can be read.
pub trait ConfigSpace {
    /// The double word at `offset`, a multiple of four. What is not there reads as all ones,
    /// as on the bus.
    fn read(&self, offset: u16) -> u32;

    /// Whether there are 4096 bytes, and not 256: PCI Express, through its memory-mapped
    /// access.
    fn is_extended(&self) -> bool;

    /// The word at `offset`, a multiple of two.
    fn read_u16(&self, offset: u16) -> u16 {
        (self.read(offset & !3) >> (8 * (offset & 2))) as u16
    }

    /// The byte at `offset`.
    fn read_u8(&self, offset: u16) -> u8 {
        (self.read(offset & !3) >> (8 * (offset & 3))) as u8
    }
}

/// A copy of a configuration space.
impl ConfigSpace for [u8] {
    fn read(&self, offset: u16) -> u32 {
        let bytes = self.get(usize::from(offset)..).and_then(|rest| rest.first_chunk());
        bytes.map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
    }

    fn is_extended(&self) -> bool {
        self.len() > 256
    }
}
