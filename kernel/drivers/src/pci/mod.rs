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
//! answers at no address. What the firmware had left on is switched off when the function is
//! found; its places for ranges and its bus numbers stay.
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
pub use resources::{PlaceError, RootWindows};

use device::Bus;

use config::Mechanism;
use scan::Root;

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
    let by_memory = regions.iter().map(|region| Root {
        segment: region.segment,
        bus: region.first_bus,
        last_bus: region.last_bus,
        mechanism: Mechanism::Memory(*region),
        windows: None,
    });
    let by_ports =
        Root { segment: 0, bus: 0, last_bus: 255, mechanism: Mechanism::Ports, windows: None };
    if regions.is_empty() {
        scan::scan(&by_ports);
    } else {
        by_memory.for_each(|root| scan::scan(&root));
    }
    log::info!("pci: {} functions", BUS.devices().len());
}
