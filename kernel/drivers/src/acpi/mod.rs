//! ACPI: what the firmware's tables say about the machine, in plain structs.
//!
//! [`init`] reads the tables once at boot; [`platform`] is what was understood of them,
//! [`tables`] the list of them for `print-acpi`. A table that is absent or broken leaves
//! its part of [`Platform`] as it is on a machine without ACPI: one CPU, the 8259A pair.
//!
//! | file | what |
//! |---|---|
//! | `madt.rs` | CPUs and interrupt controllers |
//! | `interrupts.rs` | puts the I/O APICs and the HPET to work |
//! | `fixed.rs` | HPET, MCFG and FADT |
//! | `namespace.rs` | host bridges, from the AML |
//! | `power.rs` | switches the machine off and resets it |

mod fixed;
mod interrupts;
mod madt;
mod namespace;
mod power;

pub use fixed::{Fadt, Hpet, PciRegion, Register, Space};
pub use interrupts::{start_hpet, use_io_apics};
pub use madt::{Cpu, IoApic, LocalNmi, Madt, NmiSource, Override};
pub(crate) use namespace::host_bridges;

pub use power::{PowerError, ResetWay, power_off, reset};

use alloc::vec::Vec;

use ::acpi::AcpiTable;
use memory::boot_data::BootData;
use memory::firmware::Tables;
use spin::Once;

/// What the kernel knows of the machine from its ACPI tables.
#[derive(Debug)]
pub struct Platform {
    /// All CPUs that are listed, each once. Never empty: without a MADT this CPU alone.
    pub cpus: Vec<Cpu>,
    /// The rest of the MADT; `None` where there is none that can be used.
    pub madt: Option<Madt>,
    /// The HPET.
    pub hpet: Option<Hpet>,
    /// Where PCI Express configuration space is.
    pub pci: Vec<PciRegion>,
    /// Power management and what a PC has, or has not.
    pub fadt: Option<Fadt>,
    /// The firmware asks not to switch x2APIC mode on.
    pub avoid_x2apic: bool,
}

impl Platform {
    /// What there is without any table.
    fn without_tables() -> Self {
        Self {
            cpus: alloc::vec![Cpu::this()],
            madt: None,
            hpet: None,
            pci: Vec::new(),
            fadt: None,
            avoid_x2apic: false,
        }
    }

    fn read(tables: &Tables) -> Self {
        let mut platform = Self::without_tables();
        let Some(parsed) = tables.parsed() else {
            log::warn!("ACPI: the root table cannot be parsed");
            return platform;
        };
        if let Ok(table) = parsed.find_table::<::acpi::madt::Madt>() {
            let (cpus, madt) = madt::read(&table.get());
            if cpus.is_empty() {
                log::warn!("ACPI: the MADT lists no CPU; this one alone is used");
            } else {
                platform.cpus = cpus;
            }
            platform.madt = Some(madt);
        }
        platform.hpet = fixed::read_hpet(&parsed);
        if let Ok(table) = parsed.find_table::<::acpi::mcfg::Mcfg>() {
            platform.pci = fixed::read_mcfg(&table);
        }
        if let Ok(table) = parsed.find_table::<::acpi::fadt::Fadt>() {
            platform.fadt = Some(fixed::read_fadt(&table, table.header().length));
        }
        let dmar = tables.listed.iter().find(|table| table.signature == *b"DMAR");
        platform.avoid_x2apic =
            dmar.and_then(|table| table.body().ok()).is_some_and(|body| fixed::opts_out(&body));
        platform
    }
}

static TABLES: Once<Option<Tables>> = Once::new();
static PLATFORM: Once<Platform> = Once::new();

/// Reads the tables. Call once, after the kernel's page tables are in use. What is wrong
/// is logged, and the kernel goes on without.
pub fn init(boot: &BootData) -> &'static Platform {
    let tables = TABLES.call_once(|| match boot.acpi.map(Tables::read) {
        Some(Ok(tables)) => Some(tables),
        Some(Err(error)) => {
            log::warn!("ACPI: the root table cannot be used: {error}");
            None
        }
        None => {
            log::warn!("ACPI: the loader named no tables");
            None
        }
    });
    for table in tables.iter().flat_map(|tables| &tables.listed) {
        if let Some(error) = table.error {
            let signature = table.signature.escape_ascii();
            log::warn!("ACPI: table {signature} at {:#x}: {error}", table.address);
        }
    }
    PLATFORM.call_once(|| match tables {
        Some(tables) => Platform::read(tables),
        None => Platform::without_tables(),
    })
}

/// What was understood.
///
/// # Panics
/// Before [`init`].
pub fn platform() -> &'static Platform {
    PLATFORM.get().expect("acpi::init comes first in the boot story")
}

/// The tables; `None` if there are none.
pub fn tables() -> Option<&'static Tables> {
    TABLES.get().and_then(Option::as_ref)
}
