//! AHCI: SATA disks behind controllers on PCI (Serial ATA AHCI 1.3.1).
//!
//! What is said to a disk is in the library `ata`; here is how it is said. Each port of a
//! controller may have a disk, `sda`, which may come and go. CD drives and other things with a
//! packet interface are named and left alone.
//!
//! | file | what |
//! |---|---|
//! | `registers.rs` | the mapped registers |
//! | `host.rs` | the controller: reset, ports, its interrupt |
//! | `port.rs` | a port: its requests, and what the block layer sees |
//! | `memory.rs` | what a port reads and writes in memory |
//! | `link.rs` | the link to the device: start, stop, reset |
//! | `attend.rs` | what tasks do about a port: finding its disk, recovering from errors |
//!
//! Locks: a port's `control` (a mutex), then its `state`, which interrupt handlers take. The
//! latter is not held while a request is completed.

mod attend;
mod error;
mod host;
mod link;
mod memory;
mod port;
mod registers;

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use device::{Bound, Bus, Device, Driver, ProbeError, register_driver};

use crate::pci::{self, Bar, BarClaimError, BusMaster, Function, Interrupts};
use host::Host;

pub use error::AhciError;

/// Base class, subclass and interface of AHCI controllers.
const CLASS: u32 = 0x01_06_01;
/// The base address register of a controller's registers.
const REGISTERS: usize = 5;

base::initcall!(Drivers, register);

fn register() {
    register_driver(&AhciDriver);
}

struct AhciDriver;

/// What is kept of a controller, in the order in which it goes: the ports stop, the controller
/// loses its rights, then its registers go.
struct Kept {
    running: Running,
    _interrupts: Interrupts,
    _bus_master: BusMaster,
    /// The memory that the controller knows of, which is there until it cannot write any more.
    _host: Arc<Host>,
    _registers: Bar,
}

/// A controller, which is stopped when this is dropped.
struct Running(Arc<Host>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
        self.0.ports().iter().for_each(|port| port.forget_disk());
    }
}

impl Bound for Kept {
    fn shutdown(&self) {
        self.running.0.stop();
    }
}

impl Driver for AhciDriver {
    fn name(&self) -> &'static str {
        "ahci"
    }

    fn bus(&self) -> &'static Bus {
        &pci::BUS
    }

    fn matches(&self, device: &Device) -> bool {
        device.identity::<Function>().is_some_and(|function| function.identity().class == CLASS)
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let function = device.identity::<Function>().ok_or(ProbeError::NotMine)?;
        Ok(Box::new(probe(device, function)?))
    }
}

fn probe(device: &Arc<Device>, function: &Function) -> Result<Kept, AhciError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("ahci{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let registers = function.claim_bar(REGISTERS)?;
    let memory = registers.memory().ok_or(AhciError::Bar(BarClaimError::Absent))?;
    let host = Arc::new(Host::new(name.clone(), memory, device)?);
    let bus_master = function.enable_bus_master();
    let interrupts = function.interrupts(&name, 1, |_| host.action())?;
    log::info!("{name}: {} ports", host.ports().len());
    host.start();
    Ok(Kept {
        _host: host.clone(),
        running: Running(host),
        _interrupts: interrupts,
        _bus_master: bus_master,
        _registers: registers,
    })
}
