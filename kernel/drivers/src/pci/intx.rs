//! Interrupt pins: on which line a function's pin arrives, and the right to that.
//!
//! The firmware tells it of some buses (`_PRT`): of the root buses, and often of those behind
//! bridges on the board. Behind a bridge of which it does not, a pin arrives at one of the
//! bridge's own: the bridge turns them by the number of the device (PCI-to-PCI Bridge
//! Architecture Specification 1.2, section 9.1). What the firmware says and is not understood
//! is no line, never a guess.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use aml::pci::{HostBridge, Routing};
use aml::resource::Line as Wire;
use arch::irqchip::{Polarity, Trigger};
use base::irq::{self, Action, IrqError, IrqLine};
use pci_config::{ConfigSpace, offset};
use spin::Once;

use super::command::{Held, Right};
use super::function::Inner;

/// What the firmware says of the lines behind each host bridge.
static FIRMWARE: Once<Vec<HostBridge>> = Once::new();

/// Notes what the firmware says. Call once, before any driver wants a line.
pub(super) fn set_firmware(bridges: Vec<HostBridge>) -> &'static [HostBridge] {
    FIRMWARE.call_once(|| bridges)
}

/// Where a pin arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A line of an I/O APIC, with how it is wired.
    Gsi(u32, Polarity, Trigger),
    /// A line of the 8259A pair, which the firmware has made level-triggered.
    Pic(u8),
}

/// Why it is not known where a pin arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The function has no pin, and no messages that can be used.
    NoPin,
    /// The firmware says nothing of the function's root bus.
    Unknown,
    /// What the firmware says is not understood.
    Firmware(aml::Error),
    /// The firmware says: nowhere.
    NotConnected,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPin => {
                f.write_str("the function has neither messages that can be used nor a pin")
            }
            Self::Unknown => {
                f.write_str("the firmware does not say on which line the function's pin arrives")
            }
            Self::Firmware(error) => {
                write!(f, "on which line the function's pin arrives is not understood: {error}")
            }
            Self::NotConnected => f.write_str("the function's pin is not connected"),
        }
    }
}

/// The way to a function from its root bus: device and function of each bridge.
fn way_to(function: &Inner) -> Vec<(u8, u8)> {
    let above = core::iter::successors(function.parent.as_ref(), |bridge| bridge.parent.as_ref());
    let mut way: Vec<_> =
        above.map(|bridge| (bridge.address.device, bridge.address.function)).collect();
    way.reverse();
    way
}

/// The device at which a pin arrives that is `pin` (0 for INTA) at `device` behind a bridge:
/// at which of the bridge's own.
fn turned(pin: u8, device: u8) -> u8 {
    (pin + device) % 4
}

/// What the firmware says of the bus at the end of `way`.
fn routing<'a>(host: &'a HostBridge, way: &[(u8, u8)]) -> Option<&'a Routing> {
    host.routing.iter().find(|routing| routing.bridges == way)
}

/// The line of pin `pin` of device and function `at`, on the bus at the end of `way`.
fn line(
    host: &HostBridge,
    mut way: &[(u8, u8)],
    mut at: (u8, u8),
    mut pin: u8,
) -> Result<Wire, RouteError> {
    loop {
        if let Some(routing) = routing(host, way) {
            let routes = routing.routes.as_ref().map_err(|error| RouteError::Firmware(*error))?;
            let is_it = |route: &&aml::pci::Route| {
                let function = route.function.is_none_or(|function| function == at.1);
                route.device == at.0 && route.pin == pin && function
            };
            let route = routes.iter().find(is_it).ok_or(RouteError::NotConnected)?;
            return route.line.map_err(RouteError::Firmware);
        }
        let (bridge, above) = way.split_last().ok_or(RouteError::Unknown)?;
        pin = turned(pin, at.0);
        (way, at) = (above, *bridge);
    }
}

/// Where the pin of a function arrives.
///
/// # Errors
/// As [`RouteError`] says.
pub(super) fn route(function: &Inner) -> Result<Route, RouteError> {
    let pin = function.identity.pin.ok_or(RouteError::NoPin)? - 1;
    if !irq::uses_io_apics() {
        // With the 8259A pair the firmware has connected it, and noted where (PCI 3.0, 6.2.4).
        return match function.config.read_u8(offset::INTERRUPT_LINE) {
            line @ 1..=15 => Ok(Route::Pic(line)),
            _ => Err(RouteError::NotConnected),
        };
    }
    let above = core::iter::successors(function.parent.as_ref(), |bridge| bridge.parent.as_ref());
    let root = above.last().map_or(function.address, |bridge| bridge.address);
    let hosts = FIRMWARE.get().map_or(&[][..], |hosts| hosts);
    let host = hosts.iter().find(|host| (host.segment, host.bus) == (root.segment, root.bus));
    let at = (function.address.device, function.address.function);
    let wire = line(host.ok_or(RouteError::Unknown)?, &way_to(function), at, pin)?;
    let polarity = if wire.active_low { Polarity::ActiveLow } else { Polarity::ActiveHigh };
    let trigger = if wire.level { Trigger::Level } else { Trigger::Edge };
    Ok(Route::Gsi(wire.gsi, polarity, trigger))
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

#[base::kernel_test]
fn pins_are_turned_by_bridges_of_which_the_firmware_says_nothing() {
    let wire = |gsi| Ok(Wire { gsi, level: true, active_low: true });
    let route = |device, function, pin, line| aml::pci::Route { device, function, pin, line };
    let root = Routing {
        bridges: Vec::new(),
        routes: Ok((0..4).map(|pin| route(5, None, pin, wire(20 + u32::from(pin)))).collect()),
    };
    let told = Routing {
        bridges: alloc::vec![(6, 1)],
        routes: Ok(alloc::vec![
            route(0, Some(2), 0, wire(40)),
            route(0, Some(3), 0, Err(aml::Error::NotReadable))
        ]),
    };
    let bad = Routing { bridges: alloc::vec![(7, 0)], routes: Err(aml::Error::Effect) };
    let host = HostBridge {
        segment: 0,
        bus: 0,
        ranges: Err(aml::Error::BadType),
        routing: alloc::vec![root, told, bad],
    };
    let gsi = |way: &[(u8, u8)], at, pin| line(&host, way, at, pin).map(|wire| wire.gsi);
    assert_eq!(gsi(&[], (5, 0), 2), Ok(22));
    assert_eq!(gsi(&[], (4, 0), 2), Err(RouteError::NotConnected));
    // Behind the bridge 5.0, and behind another one there.
    assert_eq!(gsi(&[(5, 0)], (3, 0), 1), Ok(20));
    assert_eq!(gsi(&[(5, 0), (2, 0)], (3, 0), 1), Ok(22));
    // The firmware tells of the bus behind 6.1, of two functions.
    assert_eq!(gsi(&[(6, 1)], (0, 2), 0), Ok(40));
    let not_understood = Err(RouteError::Firmware(aml::Error::NotReadable));
    assert_eq!(gsi(&[(6, 1)], (0, 3), 0), not_understood);
    assert_eq!(gsi(&[(6, 1)], (0, 1), 0), Err(RouteError::NotConnected));
    assert_eq!(gsi(&[(7, 0)], (0, 0), 0), Err(RouteError::Firmware(aml::Error::Effect)));
    let silent = HostBridge { routing: Vec::new(), ..host };
    assert_eq!(line(&silent, &[(1, 0)], (0, 0), 0), Err(RouteError::Unknown));
}
