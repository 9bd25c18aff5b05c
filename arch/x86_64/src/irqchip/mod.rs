//! Interrupt controllers: the local APIC ([`lapic`]), I/O APICs ([`ioapic`]) and the
//! 8259A pair ([`pic`]).

pub mod ioapic;
mod ipi;
pub mod lapic;
pub mod pic;

/// When an interrupt line counts as active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// While it is high, or when it rises.
    ActiveHigh,
    /// While it is low, or when it falls.
    ActiveLow,
}

/// What of an interrupt line makes an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Becoming active.
    Edge,
    /// Being active.
    Level,
}
