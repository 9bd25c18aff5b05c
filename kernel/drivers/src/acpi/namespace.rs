//! The firmware's AML, as far as PCI needs it: host bridges, with what they let through and
//! the lines of the interrupt pins behind them.
//!
//! AML only looks: at memory that the memory map calls ACPI's own, and at configuration space
//! through whoever asks. See [`aml`].

use alloc::vec::Vec;
use aml::pci::HostBridge;
use aml::{Aml, Host, PciPlace, Problem};
use memory::firmware::{self, Table, Tables};
use memory::frames::{RegionKind, regions};

/// Reads a register of configuration space: function, offset, bytes; `None`: it is not there.
pub(crate) type ReadPci<'a> = &'a mut dyn FnMut(PciPlace, u16, usize) -> Option<u64>;

/// What AML may look at.
struct Machine<'a> {
    read_pci: ReadPci<'a>,
}

/// Whether the memory map calls all of `[start, end)` ACPI's.
fn is_acpi_memory(start: u64, end: u64) -> bool {
    let mut found = false;
    regions(|region| {
        let is_acpi = matches!(region.kind, RegionKind::AcpiTables | RegionKind::AcpiNvs);
        found |= is_acpi && region.start <= start && end <= region.end;
    });
    found
}

impl Host for Machine<'_> {
    fn read_memory(&mut self, address: u64, bytes: usize) -> Option<u64> {
        if !is_acpi_memory(address, address.checked_add(bytes as u64)?) {
            return None;
        }
        let copy = firmware::read_physical(address, bytes).ok()?;
        let copy = copy.get(..bytes)?;
        Some(copy.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn read_pci(&mut self, place: PciPlace, offset: u16, bytes: usize) -> Option<u64> {
        (self.read_pci)(place, offset, bytes)
    }
}

/// Loads the AML of a table; what is wrong with it is logged.
fn load(aml: &mut Aml, table: &Table, revision: u8, machine: &mut Machine<'_>) {
    let signature = table.signature.escape_ascii();
    match table.body() {
        Ok(code) => {
            for Problem { scope, offset, error } in aml.load(code, revision, machine) {
                let name = aml.name(scope);
                let name = name.escape_ascii();
                log::warn!("ACPI: {signature}, at {offset:#x} in {name}: {error}; left out");
            }
        }
        Err(error) => log::warn!("ACPI: {signature} at {:#x}: {error}", table.address),
    }
}

/// The host bridges that the firmware tells of, for interrupts through I/O APICs or not. None
/// if there are no tables.
pub(crate) fn host_bridges(io_apics: bool, read_pci: ReadPci<'_>) -> Vec<HostBridge> {
    let dsdt = super::platform().fadt.and_then(|fadt| fadt.dsdt);
    let (Some(tables), Some(dsdt)) = (super::tables(), dsdt) else { return Vec::new() };
    let mut machine = Machine { read_pci };
    let mut aml = Aml::new();
    let dsdt = Tables::at(dsdt);
    load(&mut aml, &dsdt, dsdt.revision, &mut machine);
    for table in tables.listed.iter().filter(|table| table.signature == *b"SSDT") {
        // The DSDT's revision says how wide integers are in all of them.
        load(&mut aml, table, dsdt.revision, &mut machine);
    }
    let told = if io_apics { aml::pci::use_io_apics(&mut aml, &mut machine) } else { Ok(()) };
    let bridges = aml::pci::host_bridges(&mut aml, &mut machine);
    let mut bridges = bridges.unwrap_or_else(|error| {
        log::warn!("ACPI: host bridges: {error}");
        Vec::new()
    });
    if let Err(error) = told {
        log::warn!("ACPI: _PIC: {error}; no interrupt pin can be used");
        bridges.iter_mut().for_each(|bridge| bridge.routing.clear());
    }
    bridges
}

#[base::kernel_test]
fn aml_looks_at_acpi_memory_alone() {
    let mut machine = Machine { read_pci: &mut |_, _, _| None };
    assert_eq!(machine.read_memory(0x20_0000, 4), None, "the kernel's image");
    assert_eq!(machine.read_memory(0xfee0_0020, 4), None, "the local APIC");
    assert_eq!(machine.read_memory(u64::MAX, 4), None);
    let Some(dsdt) = super::platform().fadt.and_then(|fadt| fadt.dsdt) else { return };
    if is_acpi_memory(dsdt, dsdt + 4) {
        let signature = u64::from(u32::from_le_bytes(*b"DSDT"));
        assert_eq!(machine.read_memory(dsdt, 4), Some(signature));
    }
}
