//! Interrupt controllers: the local APIC ([`lapic`]) and the 8259A pair ([`pic`]).

pub mod lapic;
pub mod pic;
