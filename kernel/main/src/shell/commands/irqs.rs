//! `irqs`.

use alloc::string::String;

use arch::irqchip::{Trigger, lapic};
use base::irq::{self, Source, Spurious};
use base::{print, println, smp};

use crate::shell::command::{Context, Outcome, none};

/// Most CPUs with a column of their own; more are added up.
const COLUMNS: usize = 8;

/// Lists the interrupts.
pub(in crate::shell) fn irqs(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let cpus = smp::online();
    let each = cpus.len() as usize <= COLUMNS;
    print!("{:>6}  {:>4}  {:15} {:>3}  {:20}", "VECTOR", "LINE", "KIND", "CPU", "OWNER");
    if each {
        cpus.iter().for_each(|cpu| print!(" {:>9}", alloc::format!("CPU {cpu}")));
    }
    println!(" {:>9}", "ALL");
    for info in irq::vectors(cpus) {
        let (line, kind) = match info.source {
            Source::Pic(line) => (Some(line.into()), "8259A"),
            Source::Gsi { gsi, trigger: Trigger::Edge } => (Some(gsi), "I/O APIC, edge"),
            Source::Gsi { gsi, trigger: Trigger::Level } => (Some(gsi), "I/O APIC, level"),
            Source::Message => (None, "MSI"),
            Source::Local => (None, "local"),
        };
        let line = line.map_or(String::from("-"), |line| alloc::format!("{line}"));
        let cpu = info.cpu.map_or(String::from("-"), |cpu| alloc::format!("{cpu}"));
        let owner = if info.owners.is_empty() { "nobody" } else { &info.owners };
        print!("{:>6}  {line:>4}  {kind:15} {cpu:>3}  {owner:20}", info.vector);
        print_counts(|cpu| irq::count_of(info.vector, cpu), each);
    }
    println!("spurious:");
    for from in Spurious::ALL {
        print!("{:>6}  {:>4}  {from:15} {:>3}  {:20}", "", "", "", "");
        print_counts(|cpu| irq::spurious_of(from, cpu), each);
    }
    println!("non-maskable: {}", base::nmi::count());
    println!("local APICs: {} mode, errors: {}", lapic::mode(), irq::apic_errors());
    println!("bytes of console input lost: {}", drivers::console_input::lost());
    Ok(())
}

fn print_counts(count: impl Fn(u32) -> u64, each: bool) {
    let cpus = smp::online();
    if each {
        cpus.iter().for_each(|cpu| print!(" {:>9}", count(cpu)));
    }
    println!(" {:>9}", cpus.iter().map(count).sum::<u64>());
}
