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

#[cfg(not(test))]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};

    use arch::irqchip::{Polarity, Trigger};
    use base::irq::{Handled, IrqLine, action, count_of};
    use base::{smp, time};

    use super::*;

    /// The HPET, with a line of the I/O APIC that it can interrupt on and that is free: one
    /// behind those of ISA devices, for PCI devices on a PC.
    fn with_line(
        handler: impl Fn(&Hpet) -> Handled + Copy + Send + 'static,
    ) -> Option<(&'static Hpet, u8, IrqLine)> {
        let hpet = time::choice::hpet()?;
        let wiring = (Polarity::ActiveLow, Trigger::Level);
        let mut usable = (16..32u8).filter(|line| hpet.lines() >> line & 1 != 0);
        usable.find_map(|line| {
            let call = move || time::choice::hpet().map_or(Handled::No, handler);
            let call = action(call).expect("memory for a closure");
            let claim = IrqLine::claim_gsi(line.into(), wiring, None, "test", call).ok()?;
            Some((hpet, line, claim))
        })
    }

    fn taken(claim: &IrqLine) -> u64 {
        smp::online().iter().map(|cpu| count_of(claim.vector(), cpu)).sum()
    }

    #[base::kernel_test]
    fn a_level_stays_until_it_is_released() {
        static SEEN: AtomicU64 = AtomicU64::new(0);
        static RELEASED: AtomicU64 = AtomicU64::new(0);
        SEEN.store(0, Ordering::Relaxed);
        RELEASED.store(0, Ordering::Relaxed);
        // The first two interrupts leave the line active: so two more must come.
        let handler = |hpet: &Hpet| {
            if SEEN.fetch_add(1, Ordering::AcqRel) >= 2 && hpet.release() {
                RELEASED.fetch_add(1, Ordering::AcqRel);
            }
            Handled::Yes
        };
        let Some((hpet, line, claim)) = with_line(handler) else { return };
        let before = taken(&claim);
        hpet.interrupt_in(hpet.rate() / 1000, line);
        let end = time::now_ns() + 200_000_000;
        while RELEASED.load(Ordering::Acquire) == 0 && time::now_ns() < end {
            core::hint::spin_loop();
        }
        task::sleep(2_000_000);
        hpet.stop_interrupts();
        assert_eq!(RELEASED.load(Ordering::Acquire), 1, "line {line} does not interrupt");
        assert_eq!(SEEN.load(Ordering::Acquire), 3, "the line was released in the third interrupt");
        assert_eq!(taken(&claim) - before, 3);
    }

    #[base::kernel_test]
    fn a_line_that_nobody_wants_is_masked() {
        let Some((hpet, line, claim)) = with_line(|_| Handled::No) else { return };
        let before = taken(&claim);
        hpet.interrupt_in(hpet.rate() / 1000, line);
        // Until the count stands still.
        let end = time::now_ns() + 40_000_000_000;
        let mut last = before;
        loop {
            task::sleep(100_000_000);
            let now = taken(&claim);
            if (now > before && now == last) || time::now_ns() > end {
                break;
            }
            last = now;
        }
        hpet.stop_interrupts();
        let count = taken(&claim) - before;
        assert!((100_000..100_010).contains(&count), "masked after {count} interrupts");
        drop(claim);
        // Its next owner gets interrupts again.
        static SEEN: AtomicU64 = AtomicU64::new(0);
        SEEN.store(0, Ordering::Relaxed);
        let handler = |hpet: &Hpet| {
            SEEN.fetch_add(1, Ordering::AcqRel);
            if hpet.release() { Handled::Yes } else { Handled::No }
        };
        let Some((hpet, line, claim)) = with_line(handler) else { return };
        hpet.interrupt_in(hpet.rate() / 1000, line);
        let end = time::now_ns() + 200_000_000;
        while SEEN.load(Ordering::Acquire) == 0 && time::now_ns() < end {
            core::hint::spin_loop();
        }
        hpet.stop_interrupts();
        assert_eq!(SEEN.load(Ordering::Acquire), 1, "line {line} is still masked");
        drop(claim);
    }
}
