//! PCI: all functions of the machine, on the bus `pci` of the device model.
//!
//! A driver registers itself for the [`BUS`], matches by [`Function::is`] or the class in
//! [`Function::identity`], and takes in its probe what it needs, as guards:
//!
//! ```ignore
//! let function = device.identity::<Function>().ok_or(ProbeError::NotMine)?;
//! let bar = function.claim_bar(0)?;                  // answers at its addresses from now on
//! let registers = Registers::<Layout>::new(bar.memory().ok_or(…)?, 0)?;
//! let bus_master = function.enable_bus_master();     // may use memory from now on
//! let interrupts = function.interrupts("nvme", queues, |which| {
//!     let queue = queues[which.index].clone();
//!     irq::action(move || queue.on_interrupt())
//! })?;
//! ```
//!
//! Dropping the guards undoes it: the function then has no interrupts, reaches no memory and
//! answers at no address. Bus mastering and interrupts that the firmware had left on are switched
//! off when the function is found. That it answers at its addresses stays as the firmware had it
//! until the first guard is taken, and so for good without a driver, for a display may be one of
//! those (`command.rs`); places for ranges and bus numbers stay in any case. Bridges forward
//! always, and what the machine stands on goes on as it was.
//!
//! | file | what |
//! |---|---|
//! | `address.rs` | [`Address`]: segment, bus, device, function |
//! | `config.rs` | access to configuration space, through memory or ports |
//! | `scan.rs` | finds the functions, behind bridges too |
//! | `function.rs` | [`Function`] |
//! | `bridge.rs` | [`Bridge`]: bus numbers and windows |
//! | `command.rs` | what a function may do: [`BusMaster`] |
//! | `bar.rs`, `resources.rs` | its ranges: [`Bar`], and where they may be |
//! | `interrupts.rs`, `msi_x.rs`, `intx.rs` | its [`Interrupts`] |
//! | `reset.rs` | resetting a function by itself |
//! | `attributes.rs` | what sysfs shows |

mod address;
mod attributes;
mod bar;
mod bridge;
mod command;
mod config;
mod function;
mod interrupts;
mod intx;
mod msi_x;
mod reset;
mod resources;
mod scan;
#[cfg(not(test))]
mod tests;

pub use address::Address;
pub use bar::{Bar, BarClaimError, BarInfo};
pub use bridge::Bridge;
pub use command::BusMaster;
pub(crate) use config::reset_by_ports;
pub use function::Function;
pub use interrupts::{InterruptError, InterruptKind, Interrupts, Which};
pub use intx::RouteError;
pub use reset::ResetError;
pub use resources::{PlaceError, RootWindows};

use alloc::sync::Arc;
use alloc::vec::Vec;

use aml::PciPlace;
use aml::pci::HostBridge;
use device::Bus;

use crate::acpi::PciRegion;
use config::Mechanism;
use scan::{Root, Seen};

/// All PCI functions, and the drivers for them.
pub static BUS: Bus = Bus::new("pci");

base::initcall!(Buses, register);
base::initcall!(Devices, find_functions);

fn register() {
    device::register_bus(&BUS);
}

/// Finds all functions: where the MCFG says, or through ports without one.
fn find_functions() {
    let regions = &crate::acpi::platform().pci;
    let mut read =
        |place: PciPlace, offset, bytes| config::read_for_firmware(regions, place, offset, bytes);
    let bridges = crate::acpi::host_bridges(base::irq::uses_io_apics(), &mut read);
    let bridges = intx::set_firmware(bridges);
    log::debug!("pci: the firmware tells of {} host bridges", bridges.len());
    let mut seen = Seen::default();
    let mut all = roots(regions, bridges);
    if !regions.is_empty() && !all.iter().any(scan::answers) {
        log::warn!("pci: nothing answers where the MCFG says: the ports are tried");
        all = roots(&[], bridges);
    }
    for root in all {
        scan::scan(&root, &mut seen);
    }
    log::info!("pci: {} functions", BUS.devices().len());
}

/// The root buses: the first one of each segment, and those of which the firmware tells.
fn roots(regions: &[PciRegion], bridges: &[HostBridge]) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    let mut add = |segment, bus, last: u8, mechanism| {
        if roots.iter().any(|root| (root.segment, root.bus) == (segment, bus)) {
            return;
        }
        let bridge = bridges.iter().find(|bridge| (bridge.segment, bridge.bus) == (segment, bus));
        let ranges = bridge.and_then(|bridge| match &bridge.ranges {
            Ok(ranges) => Some(ranges),
            Err(error) => {
                log::info!("pci: what is let through to bus {segment:04x}:{bus:02x}: {error}");
                None
            }
        });
        let windows = ranges.map(|ranges| Arc::new(RootWindows::new(ranges)));
        let buses = windows.as_ref().and_then(|windows| windows.last_bus(bus));
        let last_bus = buses.map_or(last, |of_firmware| of_firmware.min(last));
        roots.push(Root { segment, bus, last_bus, mechanism, windows });
    };
    for region in regions {
        let mechanism = Mechanism::Memory(*region);
        add(region.segment, region.first_bus, region.last_bus, mechanism);
        for bridge in bridges.iter().filter(|bridge| region.contains(bridge.segment, bridge.bus)) {
            add(bridge.segment, bridge.bus, region.last_bus, mechanism);
        }
    }
    if regions.is_empty() {
        add(0, 0, u8::MAX, Mechanism::Ports);
        for bridge in bridges.iter().filter(|bridge| bridge.segment == 0) {
            add(0, bridge.bus, u8::MAX, Mechanism::Ports);
        }
    }
    roots
}
