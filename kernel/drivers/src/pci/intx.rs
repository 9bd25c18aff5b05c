//! Interrupt pins: on which line a function's pin arrives, and the right to that.

use alloc::sync::Arc;
use core::fmt;

use arch::irqchip::{Polarity, Trigger};
use base::irq::{self, Action, IrqError, IrqLine};
use pci_config::{ConfigSpace, offset};

use super::command::{Held, Right};
use super::function::Inner;

/// Where a pin arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A line of an I/O APIC, with how it is wired.
    #[expect(dead_code, reason = "until the routing of the firmware is read")]
    Gsi(u32, Polarity, Trigger),
    /// A line of the 8259A pair, which the firmware has made level-triggered.
    Pic(u8),
}

/// Why it is not known where a pin arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The function has no pin, and no messages that can be used.
    NoPin,
    /// The firmware does not say, or not in a way that is understood.
    Unknown,
    /// The firmware says: nowhere.
    NotConnected,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPin => "the function has neither messages that can be used nor a pin",
            Self::Unknown => "it is not known on which line the function's pin arrives",
            Self::NotConnected => "the function's pin is not connected",
        })
    }
}

/// Where the pin of a function arrives.
///
/// # Errors
/// As [`RouteError`] says.
pub(super) fn route(function: &Inner) -> Result<Route, RouteError> {
    function.identity.pin.ok_or(RouteError::NoPin)?;
    if irq::uses_io_apics() {
        return Err(RouteError::Unknown);
    }
    // With the 8259A pair the firmware has connected it, and noted where (PCI 3.0, 6.2.4).
    match function.config.read_u8(offset::INTERRUPT_LINE) {
        line @ 1..=15 => Ok(Route::Pic(line)),
        _ => Err(RouteError::NotConnected),
    }
}

/// The right to a function's line.
#[derive(Debug)]
pub(super) struct Line {
    // Dropped first: the function releases the line.
    _pin: Held,
    line: IrqLine,
}

impl Line {
    /// Has `action` called for interrupts of the line, and lets the function use its pin.
    ///
    /// # Errors
    /// As [`IrqError`] says.
    pub(super) fn claim(
        function: &Arc<Inner>,
        route: Route,
        owner: &str,
        action: Action,
    ) -> Result<Self, IrqError> {
        let line = match route {
            Route::Gsi(gsi, polarity, trigger) => {
                IrqLine::claim_shared_gsi(gsi, (polarity, trigger), None, owner, action)?
            }
            Route::Pic(line) => IrqLine::claim_shared(line, owner, action)?,
        };
        Ok(Self { _pin: Held::new(function, Right::Intx), line })
    }

    pub(super) fn vector(&self) -> u8 {
        self.line.vector()
    }

    pub(super) fn set_affinity(&self, cpu: u32) -> Result<(), IrqError> {
        self.line.set_affinity(cpu)
    }
}
