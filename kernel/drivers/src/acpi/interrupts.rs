//! Puts the I/O APICs that the MADT lists to work.

use arch::irqchip::ioapic::IoApic;
use base::irq::{self, Wiring};
use memory::firmware;

use super::Platform;

/// Maps the I/O APICs and makes the kernel use them instead of the 8259A pair; how many
/// there are. 0: the pair is used; if that is not for want of I/O APICs, it is logged. Call
/// once, after `base::irq::init`.
pub fn use_io_apics(platform: &Platform) -> usize {
    let Some(madt) = &platform.madt else { return 0 };
    let map = |address| -> Option<IoApic> {
        firmware::map_io_apic(address)
            .map_err(|error| log::warn!("I/O APIC at {address:#x}: {error}"))
            .ok()
    };
    let chips = madt.io_apics.iter();
    let chips = chips.filter_map(|chip| Some((map(chip.address)?, chip.gsi_base)));
    let wiring = Wiring {
        io_apics: chips.collect(),
        overrides: madt.overrides.clone(),
        nmi_sources: madt.nmi_sources.clone(),
        local_nmis: madt.local_nmis.clone(),
        uids: platform.cpus.iter().map(|cpu| (cpu.apic_id, cpu.uid)).collect(),
    };
    let count = wiring.io_apics.len();
    if count == 0 {
        return 0;
    }
    match irq::use_io_apics(wiring) {
        Ok(()) => count,
        Err(error) => {
            log::warn!("the I/O APICs cannot interrupt this CPU: {error}");
            0
        }
    }
}
