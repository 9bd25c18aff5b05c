//! Clocks and timers: the time-stamp counter ([`tsc`]), the HPET ([`hpet`]), the 8254 as a
//! yardstick ([`pit`]), and how one clock is measured against another ([`calibrate`]). The
//! local APIC's timer is in [`crate::irqchip::lapic`].

pub mod calibrate;
pub mod hpet;
pub mod pit;
pub mod tsc;
