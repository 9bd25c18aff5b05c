//! Floor 7: device drivers.
//!
//! What the firmware's tables say ([`acpi`]), the serial line ([`serial`]) and where its bytes go ([`console_input`]), the clock that
//! runs on a battery ([`rtc`]), random numbers ([`random`]), and the devices of virtual machines
//! ([`virtio`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod console_input;
pub mod random;
pub mod rtc;
pub mod serial;
pub mod virtio;
