//! `/proc/interrupts`: a line for each vector that somebody has or that was seen, with a count for
//! each CPU. Vectors stand in the place of Linux's interrupt numbers.

use abi::Result;
use arch::irqchip::Trigger;
use base::irq::{self, Source, Spurious};
use base::smp;

use crate::pseudo::Text;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let online = smp::online();
    let counts = |to: &mut Text, count: &dyn Fn(u32) -> u64| {
        online.iter().try_for_each(|cpu| to.write(format_args!(" {:>10}", count(cpu))))
    };
    to.push(b"    ")?;
    for cpu in online.iter() {
        to.write(format_args!(" {:<10}", Cpu(cpu)))?;
    }
    to.push(b"\n")?;
    for info in irq::vectors(online) {
        to.write(format_args!("{:>3}:", info.vector))?;
        counts(to, &|cpu| irq::count_of(info.vector, cpu))?;
        match info.source {
            Source::Pic(line) => to.write(format_args!("  XT-PIC  {line:>3}-edge "))?,
            Source::Gsi { gsi, trigger: Trigger::Edge } => {
                to.write(format_args!("  IO-APIC {gsi:>3}-edge "))?;
            }
            Source::Gsi { gsi, trigger: Trigger::Level } => {
                to.write(format_args!("  IO-APIC {gsi:>3}-fasteoi "))?;
            }
            Source::Message => to.write(format_args!("  PCI-MSI {:>3}-edge ", info.vector))?,
            Source::Local => to.push(b"  APIC    local    ")?,
        }
        to.write(format_args!("     {}\n", info.owners))?;
    }
    to.push(b"SPU:")?;
    let spurious = |cpu| Spurious::ALL.iter().map(|from| irq::spurious_of(*from, cpu)).sum();
    counts(to, &spurious)?;
    to.write(format_args!(
        "   Spurious interrupts\nNMI: {:>10}   Non-maskable interrupts, of all CPUs\n",
        base::nmi::count()
    ))
}

/// The heading of a column.
struct Cpu(u32);

impl core::fmt::Display for Cpu {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut name = arrayvec::ArrayString::<16>::new();
        core::fmt::write(&mut name, format_args!("      CPU{}", self.0))?;
        f.pad(&name)
    }
}
