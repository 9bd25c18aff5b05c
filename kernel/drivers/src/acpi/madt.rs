//! The MADT: CPUs and interrupt controllers (ACPI specification 6.5, section 5.2.12).

use alloc::vec::Vec;
use core::pin::Pin;

use ::acpi::madt::{Madt as Table, MadtEntry};
use arch::irqchip::{Polarity, Trigger};
pub use base::irq::{LocalNmi, NmiSource, Override};

/// A CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its local APIC's id.
    pub apic_id: u32,
    /// How other ACPI objects name it.
    pub uid: u32,
    /// It can be started.
    pub usable: bool,
    /// It is not there yet but may be plugged in.
    pub online_capable: bool,
}

impl Cpu {
    /// The CPU that runs this.
    pub(super) fn this() -> Self {
        let apic_id = arch::irqchip::lapic::initial_id();
        Self { apic_id, uid: 0, usable: true, online_capable: false }
    }
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its id, as the MADT says.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u64,
    /// The global system interrupt of its first line.
    pub gsi_base: u32,
}

/// Interrupt controllers and how they are wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Madt {
    /// Physical address of the local APICs' registers.
    pub local_apic_address: u64,
    /// The machine has the 8259A pair too.
    pub has_8259: bool,
    /// I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// ISA lines that are wired in an unusual way.
    pub overrides: Vec<Override>,
    /// I/O APIC lines that raise NMIs.
    pub nmi_sources: Vec<NmiSource>,
    /// Local APIC pins that raise NMIs.
    pub local_nmis: Vec<LocalNmi>,
}

/// The uid in an NMI entry that means all CPUs.
const ALL_CPUS: u32 = u32::MAX;

/// Polarity and trigger of MPS INTI flags; `None` if they are not defined. Where they
/// follow the bus it is ISA: active high, edge-triggered.
fn wiring(flags: u16) -> Option<(Polarity, Trigger)> {
    let polarity = match flags & 3 {
        0 | 1 => Polarity::ActiveHigh,
        3 => Polarity::ActiveLow,
        _ => return None,
    };
    let trigger = match flags >> 2 & 3 {
        0 | 1 => Trigger::Edge,
        3 => Trigger::Level,
        _ => return None,
    };
    Some((polarity, trigger))
}

fn add_cpu(cpus: &mut Vec<Cpu>, apic_id: u32, uid: u32, flags: u32) {
    let usable = flags & 1 != 0;
    let online_capable = !usable && flags & 2 != 0;
    match cpus.iter_mut().find(|cpu| cpu.apic_id == apic_id) {
        // Firmware lists CPUs in both ways at times; unused entries repeat an id.
        Some(known) => {
            if usable && !known.usable {
                *known = Cpu { apic_id, uid, usable, online_capable };
            }
        }
        None => cpus.push(Cpu { apic_id, uid, usable, online_capable }),
    }
}

/// What a MADT says. Entries that make no sense are logged and left out.
pub(super) fn read(table: &Pin<&Table>) -> (Vec<Cpu>, Madt) {
    let mut cpus = Vec::new();
    let mut madt = Madt {
        local_apic_address: table.local_apic_address.into(),
        has_8259: table.supports_8259(),
        io_apics: Vec::new(),
        overrides: Vec::new(),
        nmi_sources: Vec::new(),
        local_nmis: Vec::new(),
    };
    for entry in table.as_ref().entries() {
        if let Err(what) = add(&entry, &mut cpus, &mut madt) {
            log::warn!("ACPI: MADT: {what}: left out: {entry:?}");
        }
    }
    (cpus, madt)
}

fn add(entry: &MadtEntry<'_>, cpus: &mut Vec<Cpu>, madt: &mut Madt) -> Result<(), &'static str> {
    const BAD_FLAGS: &str = "polarity or trigger is not defined";
    let local_nmi = |uid, lint, flags| {
        let (polarity, trigger) = wiring(flags).ok_or(BAD_FLAGS)?;
        let uid = (uid != ALL_CPUS).then_some(uid);
        if lint > 1 { Err("no such pin") } else { Ok(LocalNmi { uid, lint, polarity, trigger }) }
    };
    match entry {
        // 0xff is the broadcast id, which firmware writes into entries without a CPU.
        MadtEntry::LocalApic(cpu) if cpu.apic_id != 0xff => {
            add_cpu(cpus, cpu.apic_id.into(), cpu.processor_id.into(), cpu.flags);
        }
        MadtEntry::LocalX2Apic(cpu) if cpu.x2apic_id != u32::MAX => {
            add_cpu(cpus, cpu.x2apic_id, cpu.processor_uid, cpu.flags);
        }
        MadtEntry::IoApic(chip) => {
            let address = chip.io_apic_address.into();
            let gsi_base = chip.global_system_interrupt_base;
            if madt
                .io_apics
                .iter()
                .any(|known| known.gsi_base == gsi_base || known.address == address)
            {
                return Err("the same I/O APIC again");
            }
            madt.io_apics.push(IoApic { id: chip.io_apic_id, address, gsi_base });
        }
        MadtEntry::InterruptSourceOverride(line) => {
            let (isa_line, gsi) = (line.irq, line.global_system_interrupt);
            if line.bus != 0 || isa_line > 15 {
                return Err("not an ISA line");
            }
            if madt.overrides.iter().any(|known| known.isa_line == isa_line) {
                return Err("the same ISA line again");
            }
            let (polarity, trigger) = wiring(line.flags).ok_or(BAD_FLAGS)?;
            madt.overrides.push(Override { isa_line, gsi, polarity, trigger });
        }
        MadtEntry::NmiSource(line) => {
            let (polarity, trigger) = wiring(line.flags).ok_or(BAD_FLAGS)?;
            madt.nmi_sources.push(NmiSource {
                gsi: line.global_system_interrupt,
                polarity,
                trigger,
            });
        }
        MadtEntry::LocalApicNmi(pin) => {
            let uid = if pin.processor_id == 0xff { ALL_CPUS } else { pin.processor_id.into() };
            madt.local_nmis.push(local_nmi(uid, pin.nmi_line, pin.flags)?);
        }
        MadtEntry::X2ApicNmi(pin) => {
            madt.local_nmis.push(local_nmi(pin.processor_uid, pin.nmi_line, pin.flags)?);
        }
        MadtEntry::LocalApicAddressOverride(chip) => {
            madt.local_apic_address = chip.local_apic_address;
        }
        _ => {}
    }
    Ok(())
}

#[base::kernel_test]
fn flags_say_how_a_line_is_wired() {
    assert_eq!(wiring(0), Some((Polarity::ActiveHigh, Trigger::Edge)));
    assert_eq!(wiring(0b0101), Some((Polarity::ActiveHigh, Trigger::Edge)));
    assert_eq!(wiring(0b1101), Some((Polarity::ActiveHigh, Trigger::Level)));
    assert_eq!(wiring(0b1111), Some((Polarity::ActiveLow, Trigger::Level)));
    assert_eq!(wiring(0b0010), None);
    assert_eq!(wiring(0b1000), None);
}

#[base::kernel_test]
fn a_cpu_that_is_listed_twice_is_one() {
    let mut cpus = Vec::new();
    add_cpu(&mut cpus, 0, 1, 0);
    add_cpu(&mut cpus, 1, 2, 1);
    add_cpu(&mut cpus, 0, 3, 1);
    add_cpu(&mut cpus, 1, 4, 0);
    add_cpu(&mut cpus, 2, 5, 2);
    let found: Vec<_> = cpus.iter().map(|cpu| (cpu.uid, cpu.usable, cpu.online_capable)).collect();
    assert_eq!(found, [(3, true, false), (2, true, false), (5, false, true)]);
}
