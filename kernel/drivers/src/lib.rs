//! Floor 7: device drivers.
//!
//! What the firmware's tables say ([`acpi`]), PCI ([`pci`]), the devices of virtual machines
//! ([`virtio`]), the serial line ([`serial`]) and where its bytes go ([`console_input`]), the
//! clock that runs on a battery ([`rtc`]), and random numbers ([`random`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

base::module!();

pub mod acpi;
pub mod console_input;
pub mod pci;
pub mod random;
pub mod rtc;
pub mod serial;
pub mod virtio;
