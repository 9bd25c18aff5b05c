//! Clocks and timers: the time-stamp counter ([`tsc`]) and the 8254 as a yardstick
//! ([`pit`]). The local APIC's timer is in [`crate::irqchip::lapic`].

pub mod pit;
pub mod tsc;
