//! Puts the I/O APICs that the MADT lists to work, and the HPET.

use arch::irqchip::ioapic::IoApic;
use arch::timer::hpet::Hpet;
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

/// Maps the HPET and sets it running. `None` if there is none, or, with a log line, if it
/// does not answer. Call once.
pub fn start_hpet(platform: &Platform) -> Option<Hpet> {
    let table = platform.hpet.as_ref()?;
    firmware::map_hpet(table.address)
        .map_err(|error| log::warn!("HPET at {:#x}: {error}", table.address))
        .ok()
}

#[base::kernel_test]
fn a_level_stays_until_it_is_released() {
    use arch::irqchip::{Polarity, Trigger};
    use base::irq::{IrqLine, count_of};
    use base::{smp, time};
    use core::sync::atomic::{AtomicU64, Ordering};
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static RELEASED: AtomicU64 = AtomicU64::new(0);
    SEEN.store(0, Ordering::Relaxed);
    RELEASED.store(0, Ordering::Relaxed);
    let Some(hpet) = time::choice::hpet() else { return };
    // The first two interrupts leave the line active: so two more must come.
    let handler = |_| {
        let Some(hpet) = time::choice::hpet() else { return };
        if SEEN.fetch_add(1, Ordering::AcqRel) >= 2 && hpet.release() {
            RELEASED.fetch_add(1, Ordering::AcqRel);
        }
    };
    let wiring = (Polarity::ActiveLow, Trigger::Level);
    // A line behind those of ISA devices, for PCI devices on a PC; none is used yet.
    let usable = (16..32u8).filter(|line| hpet.lines() >> line & 1 != 0);
    let mut claims = usable.filter_map(|line| {
        Some((line, IrqLine::claim_gsi(line.into(), wiring, "test", handler, 0).ok()?))
    });
    let Some((line, claim)) = claims.next() else { return };
    let taken = || smp::online().iter().map(|cpu| count_of(claim.vector(), cpu)).sum::<u64>();
    let before = taken();
    hpet.interrupt_in(hpet.rate() / 1000, line);
    let end = time::now_ns() + 200_000_000;
    while RELEASED.load(Ordering::Acquire) == 0 && time::now_ns() < end {
        core::hint::spin_loop();
    }
    task::sleep(2_000_000);
    hpet.stop_interrupts();
    assert_eq!(RELEASED.load(Ordering::Acquire), 1, "line {line} does not interrupt");
    assert_eq!(SEEN.load(Ordering::Acquire), 3, "the line was released in the third interrupt");
    assert_eq!(taken() - before, 3);
}
