//! `/sys/kernel/irq`: a directory for each interrupt that somebody has or that was seen, by its
//! vector. The files are Linux's (`Documentation/ABI/testing/sysfs-kernel-irq`), with those of
//! `/proc/irq` that say where it goes.
//!
//! Writing to `smp_affinity_list` moves an interrupt to the first CPU of a list: a line at its
//! interrupt controller, a message at the PCI function that sends it, with all messages of that
//! function if it has plain MSI. An interrupt that each CPU has of its own cannot be moved, and its
//! file is read-only.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, Result};
use arch::irqchip::Trigger;
use base::cpu_set::CpuSet;
use base::irq::{self, IrqError, Source};
use base::smp;
use drivers::pci::{self, Function, InterruptError};

use super::keys::{File, Files, list};
use crate::pseudo::{Directory, Node, Text, Visit};
use crate::status::Kind;

/// All of them.
pub(super) struct Vectors;

impl Directory for Vectors {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let vector = name.parse().ok().filter(|vector: &u8| format!("{vector}") == name);
        let there = vector.filter(|vector| is_there(*vector));
        Ok(there.map(|vector| Node::Directory(Arc::new(Vector(vector)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let vectors = irq::vectors(smp::online()).map(|info| info.vector);
        let keyed = vectors.map(|vector| (vector.into(), format!("{vector}"))).collect();
        list(keyed, from, visit, |name: &String| (name, Kind::Directory))
    }
}

fn is_there(vector: u8) -> bool {
    irq::vectors(smp::online()).any(|info| info.vector == vector)
}

/// One of them.
struct Vector(u8);

/// The texts of one, with that which says where it goes.
const fn texts(smp_affinity: File<u8>) -> [(&'static str, File<u8>); 7] {
    [
        ("actions", File::told(actions)),
        ("chip_name", File::told(chip_name)),
        ("effective_affinity_list", File::told(affinity)),
        ("hwirq", File::told(line)),
        ("per_cpu_count", File::told(counts)),
        ("smp_affinity_list", smp_affinity),
        ("type", File::told(trigger)),
    ]
}

static OF_DEVICES: [(&str, File<u8>); 7] = texts(File::set(affinity, set_affinity));
static OF_CPUS: [(&str, File<u8>); 7] = texts(File::told(affinity));

/// The files of an interrupt.
fn files(vector: u8) -> Files<u8> {
    let is_local = matches!(irq::source(vector), Source::Local);
    Files(if is_local { &OF_CPUS } else { &OF_DEVICES })
}

/// Those who have it, with commas between them.
fn actions(vector: &u8, to: &mut Text) -> Result<()> {
    let found = irq::vectors(smp::online()).find(|info| info.vector == *vector);
    to.write(format_args!("{}\n", found.map(|info| info.owners).unwrap_or_default()))
}

/// What makes it, in Linux's words.
fn chip_name(vector: &u8, to: &mut Text) -> Result<()> {
    let name = match irq::source(*vector) {
        Source::Pic(_) => "XT-PIC",
        Source::Gsi { .. } => "IO-APIC",
        Source::Message => "PCI-MSI",
        Source::Local => "local APIC",
    };
    to.write(format_args!("{name}\n"))
}

/// The line of the interrupt controller; nothing if there is none.
fn line(vector: &u8, to: &mut Text) -> Result<()> {
    match irq::source(*vector) {
        Source::Pic(line) => to.write(format_args!("{line}\n")),
        Source::Gsi { gsi, .. } => to.write(format_args!("{gsi}\n")),
        Source::Message | Source::Local => Ok(()),
    }
}

fn trigger(vector: &u8, to: &mut Text) -> Result<()> {
    let level = matches!(irq::source(*vector), Source::Gsi { trigger: Trigger::Level, .. });
    to.push(if level { b"level\n" } else { b"edge\n" })
}

/// How often each CPU has had it, with commas between them.
fn counts(vector: &u8, to: &mut Text) -> Result<()> {
    for (index, cpu) in smp::online().iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        to.write(format_args!("{separator}{}", irq::count_of(*vector, cpu)))?;
    }
    to.push(b"\n")
}

/// The CPU that the device interrupts; for one of each CPU's own, all.
fn affinity(vector: &u8, to: &mut Text) -> Result<()> {
    let cpus = match irq::source(*vector) {
        Source::Pic(_) => CpuSet::one(0),
        Source::Local => smp::online(),
        Source::Gsi { .. } | Source::Message => {
            irq::cpu_of(*vector).map_or(CpuSet::EMPTY, CpuSet::one)
        }
    };
    to.write(format_args!("{cpus}\n"))
}

/// Takes the first CPU of the list that runs.
///
/// # Errors
/// `EINVAL`: there is none, or the interrupt cannot get there; `EIO`: nobody has the line;
/// `EPERM`: a message that no PCI function sends.
fn set_affinity(vector: &u8, text: &str) -> Result<()> {
    let wanted: CpuSet = text.parse().map_err(|_| Errno::EINVAL)?;
    let cpu = wanted.and(smp::online()).first().ok_or(Errno::EINVAL)?;
    if matches!(irq::source(*vector), Source::Message) {
        return move_message(*vector, cpu);
    }
    irq::set_affinity(*vector, cpu).map_err(|error| match error {
        IrqError::OutOfRange => Errno::EIO,
        _ => Errno::EINVAL,
    })
}

/// Has the function that sends the message of `vector` send it to `cpu`.
fn move_message(vector: u8, cpu: u32) -> Result<()> {
    for device in pci::BUS.devices() {
        let Some(function) = device.identity::<Function>() else { continue };
        let index = function.vectors().iter().position(|&of_function| of_function == vector);
        if let Some(index) = index {
            return function.set_affinity(index, cpu).map_err(|error| match error {
                // Its driver has given it back this moment.
                InterruptError::NoSuch => Errno::EIO,
                _ => Errno::EINVAL,
            });
        }
    }
    Err(Errno::EPERM)
}

impl Directory for Vector {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(files(self.0).find(name, || self.0))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        files(self.0).list(from, visit)
    }

    fn is_current(&self) -> bool {
        is_there(self.0)
    }
}
