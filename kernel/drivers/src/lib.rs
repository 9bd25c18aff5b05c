//! Floor 7: device drivers.
//!
//! What the firmware's tables say ([`acpi`]), PCI ([`pci`]), the devices of virtual machines
//! ([`virtio`]), SATA disks ([`ahci`]) and NVMe disks ([`nvme`]), the serial line ([`serial`]) and
//! where its bytes go ([`console_input`]), the clock that runs on a battery ([`rtc`]), and random
//! numbers ([`random`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

base::module!();

pub mod acpi;
pub mod ahci;
pub mod console_input;
pub mod nvme;
pub mod pci;
pub mod random;
pub mod rtc;
#[cfg(not(test))]
mod scratch_tests;
pub mod serial;
pub mod virtio;
