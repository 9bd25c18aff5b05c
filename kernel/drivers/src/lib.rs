//! Floor 7: device drivers.
//!
//! So far one: the serial line ([`serial`]), and where its bytes go ([`console_input`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console_input;
pub mod serial;
