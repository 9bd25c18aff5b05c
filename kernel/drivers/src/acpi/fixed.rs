//! HPET, MCFG, FADT and one flag of the DMAR (ACPI specification 6.5, section 5.2.9; PCI Firmware specification
//! 3.2, section 4.1.2; IA-PC HPET specification 1.0a, section 3.2.4; Intel Virtualization
//! Technology for Directed I/O 4.1, section 8.1).

use alloc::vec::Vec;

use ::acpi::address::{AddressSpace, GenericAddress};
use ::acpi::fadt::Fadt as FadtTable;
use ::acpi::mcfg::Mcfg;
use ::acpi::{AcpiHandler, AcpiTables, HpetInfo};

/// What kind of address a register has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Physical memory.
    Memory,
    /// I/O ports.
    Io,
    /// Configuration space of a PCI device on bus 0.
    PciConfig,
    /// Something that needs more than these tables.
    Other,
}

/// A register that a table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// What `address` is.
    pub space: Space,
    /// Where.
    pub address: u64,
    /// Width in bits.
    pub bits: u8,
}

impl Register {
    /// `None` for one that is not there.
    fn new(address: GenericAddress) -> Option<Self> {
        let space = match address.address_space {
            AddressSpace::SystemMemory => Space::Memory,
            AddressSpace::SystemIo => Space::Io,
            AddressSpace::PciConfigSpace => Space::PciConfig,
            _ => Space::Other,
        };
        (address.address != 0).then_some(Self {
            space,
            address: address.address,
            bits: address.bit_width,
        })
    }
}

/// A high-precision event timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    /// Physical address of its registers.
    pub address: u64,
    /// Its number, of several.
    pub number: u8,
    /// Comparators.
    pub comparators: u8,
    /// The main counter has 64 bits, not 32.
    pub is_64_bits: bool,
    /// It can take the lines of the 8254 and the real-time clock.
    pub legacy_capable: bool,
}

/// Configuration space of a range of PCI Express buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciRegion {
    /// Physical address for bus 0, even if that is not in the range.
    pub address: u64,
    /// PCI segment group.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
}

impl PciRegion {
    /// Whether the configuration space of a bus is there.
    pub fn contains(&self, segment: u16, bus: u8) -> bool {
        segment == self.segment && (self.first_bus..=self.last_bus).contains(&bus)
    }
}

/// What the FADT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fadt {
    /// The system control interrupt: an ISA line, or with I/O APICs a GSI.
    pub sci: u16,
    /// I/O port by which ACPI mode is switched on; 0: it is always on.
    pub smi_command: u32,
    /// What is written there to switch it on.
    pub acpi_enable: u8,
    /// Event registers (status, enable).
    pub pm1a_event: Option<Register>,
    /// Second half of them.
    pub pm1b_event: Option<Register>,
    /// Control registers, with the sleep type.
    pub pm1a_control: Option<Register>,
    /// Second half of them.
    pub pm1b_control: Option<Register>,
    /// The register that resets the machine, and what is written there.
    pub reset: Option<(Register, u8)>,
    /// Physical address of the DSDT.
    pub dsdt: Option<u64>,
    /// Without the fixed hardware above.
    pub hardware_reduced: bool,
    /// There are devices on the ISA bus that the tables need not describe. Old tables do
    /// not say; they are of machines that have them.
    pub has_legacy_devices: bool,
    /// A keyboard controller is at ports 0x60 and 0x64, or old tables do not say.
    pub has_8042: bool,
    /// There is no VGA to be looked for.
    pub no_vga: bool,
    /// Message-signalled interrupts must not be used.
    pub no_msi: bool,
    /// There is no real-time clock at its ports.
    pub no_rtc: bool,
    /// Where the real-time clock has the century; 0: nowhere.
    pub century: u8,
}

/// What the HPET table says.
pub(super) fn read_hpet<H: AcpiHandler>(tables: &AcpiTables<H>) -> Option<Hpet> {
    // The crate asserts that the registers are in memory; floor 3 has looked.
    let hpet = HpetInfo::new(tables).ok()?;
    Some(Hpet {
        address: hpet.base_address as u64,
        number: hpet.hpet_number,
        comparators: hpet.num_comparators(),
        is_64_bits: hpet.main_counter_is_64bits(),
        legacy_capable: hpet.legacy_irq_capable(),
    })
}

/// What an MCFG says. Entries that make no sense are logged and left out.
pub(super) fn read_mcfg(table: &Mcfg) -> Vec<PciRegion> {
    let mut regions = Vec::new();
    for entry in table.entries() {
        let region = PciRegion {
            address: entry.base_address,
            segment: entry.pci_segment_group,
            first_bus: entry.bus_number_start,
            last_bus: entry.bus_number_end,
        };
        // A bus has 1 MiB.
        if region.address == 0
            || !region.address.is_multiple_of(1 << 20)
            || region.first_bus > region.last_bus
        {
            log::warn!("ACPI: MCFG: left out: {region:x?}");
        } else {
            regions.push(region);
        }
    }
    regions
}

/// Whether a DMAR, without its header, asks software not to switch x2APIC mode on.
pub(super) fn opts_out(body: &[u8]) -> bool {
    const X2APIC_OPT_OUT: u8 = 1 << 1;
    // Host address width, then the flags.
    body.get(1).is_some_and(|flags| flags & X2APIC_OPT_OUT != 0)
}

/// What a FADT of `length` bytes says.
pub(super) fn read_fadt(table: &FadtTable, length: u32) -> Fadt {
    let register = |address: Result<GenericAddress, _>| address.ok().and_then(Register::new);
    let maybe =
        |address: Result<Option<GenericAddress>, _>| address.ok().flatten().and_then(Register::new);
    let (boot, flags) = (table.iapc_boot_arch, table.flags);
    // The first revision ends behind the flags, with the boot flags reserved.
    let first_revision = length < 129;
    let reset = register(table.reset_register())
        .filter(|_| !first_revision && flags.supports_system_reset_via_fadt())
        .map(|register| (register, table.reset_value));
    Fadt {
        sci: table.sci_interrupt,
        smi_command: table.smi_cmd_port,
        acpi_enable: table.acpi_enable,
        pm1a_event: register(table.pm1a_event_block()),
        pm1b_event: maybe(table.pm1b_event_block()),
        pm1a_control: register(table.pm1a_control_block()),
        pm1b_control: maybe(table.pm1b_control_block()),
        reset,
        dsdt: table.dsdt_address().ok().map(|address| address as u64),
        hardware_reduced: flags.system_is_hw_reduced_acpi(),
        has_legacy_devices: first_revision || boot.legacy_devices_are_accessible(),
        has_8042: first_revision || boot.motherboard_implements_8042(),
        no_vga: !first_revision && boot.dont_probe_vga(),
        no_msi: !first_revision && boot.dont_enable_msi(),
        no_rtc: !first_revision && boot.use_time_and_alarm_namespace_for_rtc(),
        century: table.century,
    }
}

#[base::kernel_test]
fn firmware_may_opt_out_of_x2apic_mode() {
    assert!(opts_out(&[38, 0b11]) && opts_out(&[38, 0b10, 0]));
    assert!(!opts_out(&[38, 0b101]) && !opts_out(&[38]) && !opts_out(&[]));
}
