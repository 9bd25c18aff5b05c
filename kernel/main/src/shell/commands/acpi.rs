//! `print-acpi`.

use alloc::string::{String, ToString};

use arch::irqchip::{Polarity, Trigger};
use base::println;
use drivers::acpi::{self, Cpu, Fadt, Hpet, Madt, PciRegion, Register, Space};
use memory::firmware::{Table, Tables};

use crate::shell::command::{Context, Failure, Outcome, none};

/// Prints all tables, and what was understood.
pub(in crate::shell) fn print_acpi(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    let platform = acpi::platform();
    let Some(tables) = acpi::tables() else {
        return Err(Failure::Message("there are no ACPI tables that can be used".into()));
    };
    println!(
        "{:9} {:>14} {:>7} {:>3}  {:6} {:8}  CHECKSUM",
        "TABLE", "ADDRESS", "LENGTH", "REV", "OEM", "OEM'S"
    );
    print_table(&tables.root);
    for table in &tables.listed {
        print_table(table);
    }
    if let Some(address) = platform.fadt.and_then(|fadt| fadt.dsdt) {
        print_table(&Tables::at(address));
    }
    println!();
    print_cpus(&platform.cpus);
    match &platform.madt {
        Some(madt) => print_madt(madt),
        None => println!("MADT    none: one CPU, interrupts through the 8259A pair"),
    }
    match &platform.hpet {
        Some(hpet) => print_hpet(hpet),
        None => println!("HPET    none"),
    }
    if platform.pci.is_empty() {
        println!("MCFG    none");
    }
    for &PciRegion { address, segment, first_bus, last_bus } in &platform.pci {
        println!("MCFG    segment {segment}, buses {first_bus} to {last_bus}, at {address:#x}");
    }
    match &platform.fadt {
        Some(fadt) => print_fadt(fadt),
        None => println!("FADT    none"),
    }
    Ok(())
}

fn print_table(table: &Table) {
    let &Table { address, signature, length, revision, oem, oem_table, error, .. } = table;
    let checksum = error.map_or("ok".to_string(), |error| error.to_string());
    println!(
        "{:9} {address:#14x} {length:>7} {revision:>3}  {:6} {:8}  {checksum}",
        text(&signature),
        text(&oem),
        text(&oem_table)
    );
}

/// Characters of a table; bytes that are none as dots.
fn text(bytes: &[u8]) -> String {
    let show = |&byte: &u8| {
        if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' }
    };
    bytes.iter().map(show).collect()
}

fn wiring(polarity: Polarity, trigger: Trigger) -> &'static str {
    match (polarity, trigger) {
        (Polarity::ActiveHigh, Trigger::Edge) => "edge, active high",
        (Polarity::ActiveHigh, Trigger::Level) => "level, active high",
        (Polarity::ActiveLow, Trigger::Edge) => "edge, active low",
        (Polarity::ActiveLow, Trigger::Level) => "level, active low",
    }
}

fn print_cpus(cpus: &[Cpu]) {
    for (number, cpu) in cpus.iter().enumerate() {
        let state = match (cpu.usable, cpu.online_capable) {
            (true, _) => "usable",
            (false, true) => "can be plugged in",
            (false, false) => "disabled",
        };
        println!("CPU     {number}: APIC id {}, uid {}, {state}", cpu.apic_id, cpu.uid);
    }
}

fn print_madt(madt: &Madt) {
    let pair = if madt.has_8259 { "there is an 8259A pair" } else { "there is no 8259A pair" };
    println!("MADT    local APICs at {:#x}; {pair}", madt.local_apic_address);
    for chip in &madt.io_apics {
        println!(
            "        I/O APIC {} at {:#x}, GSIs from {}",
            chip.id, chip.address, chip.gsi_base
        );
    }
    for line in &madt.overrides {
        let wiring = wiring(line.polarity, line.trigger);
        println!("        ISA line {} is GSI {}, {wiring}", line.isa_line, line.gsi);
    }
    for line in &madt.nmi_sources {
        println!("        GSI {} raises NMIs, {}", line.gsi, wiring(line.polarity, line.trigger));
    }
    for pin in &madt.local_nmis {
        let cpus =
            pin.uid.map_or("all CPUs".to_string(), |uid| alloc::format!("the CPU with uid {uid}"));
        let wiring = wiring(pin.polarity, pin.trigger);
        println!("        LINT{} of {cpus} raises NMIs, {wiring}", pin.lint);
    }
}

fn print_hpet(hpet: &Hpet) {
    let bits = if hpet.is_64_bits { 64 } else { 32 };
    let legacy = if hpet.legacy_capable { "can" } else { "cannot" };
    println!(
        "HPET    number {} at {:#x}, {bits} bits, {} comparators, {legacy} take the 8254's line",
        hpet.number, hpet.address, hpet.comparators
    );
}

fn register(register: &Register) -> String {
    let Register { space, address, bits } = register;
    let space = match space {
        Space::Memory => "memory",
        Space::Io => "port",
        Space::PciConfig => "PCI configuration",
        Space::Other => "other address",
    };
    alloc::format!("{space} {address:#x}, {bits} bits")
}

fn print_fadt(fadt: &Fadt) {
    let yes = |there| if there { "yes" } else { "no" };
    let enable = match fadt.smi_command {
        0 => "ACPI mode is always on".to_string(),
        port => alloc::format!("ACPI mode by {:#x} to port {port:#x}", fadt.acpi_enable),
    };
    println!("FADT    SCI {}; {enable}", fadt.sci);
    let registers = [
        ("PM1a event", fadt.pm1a_event),
        ("PM1b event", fadt.pm1b_event),
        ("PM1a control", fadt.pm1a_control),
        ("PM1b control", fadt.pm1b_control),
    ];
    for (name, place) in registers.iter().filter_map(|(name, place)| Some((name, place.as_ref()?)))
    {
        println!("        {name}: {}", register(place));
    }
    match &fadt.reset {
        Some((place, value)) => println!("        reset: {value:#x} to {}", register(place)),
        None => println!("        reset: no register"),
    }
    println!(
        "        legacy devices: {}, keyboard controller: {}, VGA may be probed: {}, MSI may be used: {}",
        yes(fadt.has_legacy_devices),
        yes(fadt.has_8042),
        yes(!fadt.no_vga),
        yes(!fadt.no_msi)
    );
    println!(
        "        real-time clock at its ports: {}, hardware-reduced: {}",
        yes(!fadt.no_rtc),
        yes(fadt.hardware_reduced)
    );
}
