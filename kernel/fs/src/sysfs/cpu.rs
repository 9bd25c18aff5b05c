//! `/sys/devices/system/cpu`: which CPUs there are, and a directory for each.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use abi::Result;
use base::cpu_set::CpuSet;
use base::smp;

use super::keys::{File, Files, list};
use crate::pseudo::{Directory, Folder, Node, Text, Visit};
use crate::status::Kind;

/// Puts all of it into the folder.
pub(super) fn add(folder: &Folder) {
    folder.put("online", Node::text(|to| line(smp::online(), to)));
    folder.put("present", Node::text(|to| line(present(), to)));
    folder.put("possible", Node::text(|to| line(present(), to)));
    folder.put("offline", Node::text(|to| line(present().without(smp::online()), to)));
    folder.put("kernel_max", Node::text(|to| to.write(format_args!("{}\n", u64::BITS - 1))));
    folder.compute(Arc::new(Cpus));
}

fn line(cpus: CpuSet, to: &mut Text) -> Result<()> {
    to.write(format_args!("{cpus}\n"))
}

/// Those that the firmware says are there and usable, as far as the kernel can number them.
fn present() -> CpuSet {
    let usable = drivers::acpi::platform().cpus.iter().filter(|cpu| cpu.usable).count();
    let numbers = 0..u32::try_from(usable).unwrap_or(u32::MAX).min(u64::BITS);
    numbers.fold(smp::online(), |set, cpu| set.or(CpuSet::one(cpu)))
}

/// A directory for each CPU that runs.
struct Cpus;

impl Directory for Cpus {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let number = name.strip_prefix("cpu").and_then(|number| number.parse().ok());
        let number: Option<u32> = number.filter(|number| format!("cpu{number}") == name);
        let number = number.filter(|number| smp::online().contains(*number));
        Ok(number.map(|cpu| Node::Directory(Arc::new(Cpu(cpu)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = smp::online().iter().map(|cpu| (cpu.into(), format!("cpu{cpu}"))).collect();
        list(keyed, from, visit, |name: &String| (name, Kind::Directory))
    }
}

/// A CPU.
struct Cpu(u32);

/// `online`: it runs, and none can be taken out yet. `apic_id`: what interrupt controllers call
/// it. `interrupts`: how many it has taken.
const FILES: Files<u32> = Files(&[
    ("apic_id", File::told(|cpu, to| to.write(format_args!("{}\n", apic_id(*cpu))))),
    ("interrupts", File::told(|cpu, to| to.write(format_args!("{}\n", interrupts(*cpu))))),
    ("online", File::told(|cpu, to| to.write(format_args!("{}\n", is_online(*cpu))))),
]);

fn apic_id(cpu: u32) -> u32 {
    smp::apic_id(cpu).unwrap_or(0)
}

fn interrupts(cpu: u32) -> u64 {
    (0..=u8::MAX).map(|vector| base::irq::count_of(vector, cpu)).sum()
}

fn is_online(cpu: u32) -> u8 {
    smp::online().contains(cpu).into()
}

impl Directory for Cpu {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(FILES.find(name, || self.0))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        FILES.list(from, visit)
    }
}
