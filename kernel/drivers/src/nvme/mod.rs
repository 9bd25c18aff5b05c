//! NVMe: disks behind controllers on PCI (NVM Express Base Specification 1.4).
//!
//! What is said to a controller is in the library `nvme_protocol`; here is how it is said. Each
//! CPU has a pair of I/O queues, as far as the controller grants them, whose interrupt goes to
//! that CPU. A namespace is a disk, `nvme0n1`.
//!
//! | file | what |
//! |---|---|
//! | `registers.rs` | the mapped registers and doorbells |
//! | `rings.rs` | a pair of queues in memory |
//! | `admin.rs` | commands about the controller, which tasks wait for |
//! | `io_queue.rs` | reads and writes: requests of the block layer |
//! | `controller.rs` | the controller, its interrupts |
//! | `lifecycle.rs` | start, reset, stop; requests that take too long |
//! | `namespace.rs` | namespaces as disks |
//!
//! Locks: the controller's (a mutex), then a queue's, which interrupt handlers take. None is held
//! while a request is completed but the controller's.

mod admin;
mod controller;
mod error;
mod io_queue;
mod lifecycle;
mod namespace;
mod registers;
mod rings;

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use base::sync::SpinLock;
use device::block::Registration;
use device::{Bound, Bus, Device, Driver, ProbeError, register_driver};
use nvme_protocol::{Controller as About, Identify, Version, namespace_list};

use crate::pci::{self, Bar, BarClaimError, Function};
use controller::{Answer, Controller};
use registers::Hardware;

pub use error::NvmeError;

/// Base class, subclass and interface of NVMe controllers.
const CLASS: u32 = 0x01_08_02;
/// Most namespaces of a controller that become disks.
const MOST_NAMESPACES: usize = 64;

base::initcall!(Drivers, register_nvme);

fn register_nvme() {
    register_driver(&NvmeDriver);
}

struct NvmeDriver;

/// The number of a controller, the 0 of nvme0, until this is dropped.
struct Number(u32);

/// The numbers that are in use, a bit each.
static NUMBERS: SpinLock<u64> = SpinLock::new("NVMe numbers", 0);

impl Number {
    fn take() -> Option<Self> {
        let mut numbers = NUMBERS.lock();
        let number = numbers.trailing_ones();
        *numbers |= 1u64.checked_shl(number)?;
        Some(Self(number))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        *NUMBERS.lock() &= !(1 << self.0);
    }
}

/// What is kept of a controller, in the order in which it goes: disks take no requests any more,
/// the controller stops, then its registers go.
struct Kept {
    _disks: Vec<Registration>,
    running: Running,
    _registers: Bar,
    _number: Number,
}

/// A controller, which is stopped when this is dropped.
struct Running(Arc<Controller>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Bound for Kept {
    fn shutdown(&self) {
        self.running.0.stop();
    }
}

impl Driver for NvmeDriver {
    fn name(&self) -> &'static str {
        "nvme"
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

fn probe(device: &Arc<Device>, function: &Function) -> Result<Kept, NvmeError> {
    let number = Number::take().ok_or(NvmeError::OutOfMemory)?;
    let bar = function.claim_bar(0)?;
    let memory = bar.memory().ok_or(NvmeError::Bar(BarClaimError::Absent))?;
    let hardware = Hardware::new(memory, base::smp::online().len() as u16)?;
    let controller = Controller::new(format!("nvme{}", number.0), hardware)?;
    let running = Running(controller.clone());
    controller.start(function)?;
    let answer = controller.identify(Identify::Controller)?;
    let about = About::new(&answer);
    if !about.has_usual_entries() {
        return Err(NvmeError::Unusual);
    }
    if let Some(ns) = about.shutdown_ns() {
        controller.shutdown_ns.store(ns, Ordering::Relaxed);
    }
    let version = controller.hardware.version();
    let queues = controller.queues().len();
    let plural = if queues == 1 { "" } else { "s" };
    log::info!("{}: NVMe {version}, {queues} queue{plural}", controller.name);
    let mut disks = Vec::new();
    for namespace in namespaces(&controller, &answer, version)? {
        let name = format!("{}n{namespace}", controller.name);
        match namespace::add(device, &controller, &answer, namespace, name) {
            Ok(disk) => disks.extend(disk),
            // The others may work.
            Err(error) => log::error!("{}n{namespace}: {error}", controller.name),
        }
    }
    Ok(Kept { _disks: disks, running, _registers: bar, _number: number })
}

/// The numbers of the namespaces that there may be.
fn namespaces(
    controller: &Controller,
    answer: &Answer,
    version: Version,
) -> Result<Vec<u32>, NvmeError> {
    if version >= Version::V1_1 {
        let list = controller.identify(Identify::NamespacesAfter(0))?;
        return Ok(namespace_list(&list).take(MOST_NAMESPACES).collect());
    }
    let last = About::new(answer).namespaces().min(MOST_NAMESPACES as u32);
    Ok((1..=last).collect())
}
