//! [`IrqLine`]: the right to a line of an interrupt controller, alone or with others.

use arch::irqchip::{Polarity, Trigger};

use super::slots::{Action, Claim, slot};
use super::wiring::{Line, Place, Source, source};
use super::{IrqError, vectors};

/// How ISA lines are wired where nothing else is said.
const ISA: (Polarity, Trigger) = (Polarity::ActiveHigh, Trigger::Edge);

/// A claimed line; dropping it takes the handler away, which does not run any more
/// afterwards, and masks the line if nobody else has it.
///
/// A handler of a level-triggered line must make its device release the line: the interrupt
/// ends when the handlers return, and comes again if the line is still active. A line that
/// hardly ever interrupts for anybody who has it is masked, with a line in the log; it opens
/// again with its next first claim.
#[must_use = "the line is masked when this is dropped"]
#[derive(Debug)]
pub struct IrqLine {
    claim: Claim,
    line: Line,
}

impl IrqLine {
    /// Claims ISA line `line` alone, wherever it arrives, and opens it.
    ///
    /// # Errors
    /// `OutOfRange` for lines past 15, the cascade (2), and lines that arrive nowhere;
    /// `InUse`, `RaisesNmi`, `NoVectors`, `OutOfMemory`.
    pub fn claim(line: u8, owner: &str, action: Action) -> Result<Self, IrqError> {
        let place = Line::isa(line)?;
        Self::at(place, place.how.unwrap_or(ISA), false, None, owner, action)
    }

    /// Claims ISA line `line` together with others: for a PCI device where there are no I/O
    /// APICs. The firmware has made such a line level-triggered.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn claim_shared(line: u8, owner: &str, action: Action) -> Result<Self, IrqError> {
        let place = Line::isa(line)?;
        Self::at(place, place.how.unwrap_or(ISA), true, None, owner, action)
    }

    /// Claims a GSI alone, and opens it with the polarity and trigger that its device has. It
    /// interrupts CPU number `cpu`; `None`: the one that the fewest devices interrupt.
    ///
    /// # Errors
    /// `OutOfRange` if no I/O APIC has the line; `InUse`, `RaisesNmi`, `Unreachable`,
    /// `NoVectors`, `OutOfMemory`.
    pub fn claim_gsi(
        gsi: u32,
        how: (Polarity, Trigger),
        cpu: Option<u32>,
        owner: &str,
        action: Action,
    ) -> Result<Self, IrqError> {
        Self::at(Line::gsi(gsi)?, how, false, cpu, owner, action)
    }

    /// Claims a GSI together with others, all of whose handlers are called for each interrupt.
    /// The first one chooses the CPU.
    ///
    /// # Errors
    /// As [`claim_gsi`](Self::claim_gsi); `WiredDifferently` if those who have it say that it
    /// has another polarity or trigger.
    pub fn claim_shared_gsi(
        gsi: u32,
        how: (Polarity, Trigger),
        cpu: Option<u32>,
        owner: &str,
        action: Action,
    ) -> Result<Self, IrqError> {
        Self::at(Line::gsi(gsi)?, how, true, cpu, owner, action)
    }

    fn at(
        place: Place,
        how: (Polarity, Trigger),
        shared: bool,
        cpu: Option<u32>,
        owner: &str,
        action: Action,
    ) -> Result<Self, IrqError> {
        let Place { line, vector, .. } = place;
        let open = || line.open(how, cpu);
        let claim = Claim::new(vector, Some(line), shared, owner, action, open)?;
        // Whoever came first has opened it; it stays as it is while this claim lives.
        if line.how().is_some_and(|open| open != how) {
            return Err(IrqError::WiredDifferently);
        }
        Ok(Self { claim, line })
    }

    /// The vector that the line's interrupts have.
    pub fn vector(&self) -> u8 {
        self.claim.vector()
    }

    /// The CPU that it interrupts.
    pub fn cpu(&self) -> u32 {
        // The 8259A pair hangs on the boot CPU.
        vectors::cpu_of(self.vector()).unwrap_or(0)
    }

    /// Makes the line interrupt another CPU from now on, for all who have it.
    ///
    /// # Errors
    /// `Unreachable`; lines of the 8259A pair reach the boot CPU alone.
    pub fn set_affinity(&self, cpu: u32) -> Result<(), IrqError> {
        // Not while it is opened or masked.
        let _slot = slot(self.vector()).lock();
        self.line.retarget(cpu)
    }
}

/// Makes the line behind `vector` interrupt another CPU from now on, whoever has it. A device
/// that interrupts by message has to be told by its driver.
///
/// # Errors
/// `OutOfRange` if there is no line behind the vector; `Unreachable`.
pub fn set_affinity(vector: u8, cpu: u32) -> Result<(), IrqError> {
    let line = match source(vector) {
        Source::Pic(line) => Line::Pic(line),
        Source::Gsi { gsi, .. } => Line::Gsi(gsi),
        Source::Message | Source::Local => return Err(IrqError::OutOfRange),
    };
    // Not while it is opened or masked.
    let _slot = slot(vector).lock();
    line.retarget(cpu)
}

#[cfg(not(test))]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};

    use arch::irqchip::lapic;

    use super::super::{Handled, action, count_of};
    use super::*;
    use crate::{smp, time};

    fn nothing() -> Action {
        action(|| Handled::Yes).expect("it has no state")
    }

    const SHARED: (Polarity, Trigger) = (Polarity::ActiveLow, Trigger::Level);

    #[macros::kernel_test]
    fn a_line_is_taken_once() {
        let in_use = |owner| Some(IrqError::InUse { owner: super::super::Owner::new(owner) });
        let line = IrqLine::claim(5, "first", nothing()).expect("line 5 is free in a PC");
        assert_eq!(IrqLine::claim(5, "second", nothing()).err(), in_use("first"));
        assert_eq!(IrqLine::claim_shared(5, "third", nothing()).err(), in_use("first"));
        drop(line);
        drop(IrqLine::claim(5, "third", nothing()).expect("freed by the drop"));
        let again = IrqLine::claim(5, "first", nothing()).expect("freed again");
        if let Source::Gsi { gsi, .. } = source(again.vector()) {
            let other = IrqLine::claim_gsi(gsi, ISA, None, "by number", nothing());
            assert_eq!(other.err(), in_use("first"));
            let none = IrqLine::claim_gsi(u32::MAX, ISA, None, "none", nothing());
            assert_eq!(none.err(), Some(IrqError::OutOfRange));
        }
        drop(again);
        assert_eq!(IrqLine::claim(2, "cascade", nothing()).err(), Some(IrqError::OutOfRange));
        assert_eq!(IrqLine::claim(16, "none", nothing()).err(), Some(IrqError::OutOfRange));
    }

    #[macros::kernel_test]
    fn a_line_can_be_shared() {
        static CALLS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
        CALLS.iter().for_each(|calls| calls.store(0, Ordering::Relaxed));
        let calls = || [0, 1].map(|index: usize| CALLS[index].load(Ordering::Acquire));
        let note = |index: usize| {
            action(move || {
                CALLS[index].fetch_add(1, Ordering::Release);
                Handled::No
            })
            .expect("memory for a closure")
        };
        let claim = |index, how| IrqLine::claim_shared_gsi(18, how, None, "test", note(index));
        let Ok(first) = claim(0, SHARED) else { return }; // there is no such line, or in use
        let second = claim(1, SHARED).expect("it can be shared");
        assert_eq!(claim(1, ISA).err(), Some(IrqError::WiredDifferently));
        assert_eq!(first.vector(), second.vector());
        assert_eq!(super::super::slots::owners(first.vector()).as_str(), "test, test");
        // As the line would.
        let interrupt = || {
            let before = calls();
            lapic::send_ipi(lapic::id(), first.vector()).expect("the APIC sends");
            let end = time::now_ns() + 500_000_000;
            while calls() == before && time::now_ns() < end {
                core::hint::spin_loop();
            }
        };
        interrupt();
        assert_eq!(calls(), [1, 1], "all handlers are called");
        drop(second);
        interrupt();
        assert_eq!(calls(), [2, 1]);
        for cpu in smp::online().iter() {
            assert_eq!(first.set_affinity(cpu), Ok(()));
            assert_eq!(first.cpu(), cpu);
        }
    }

    #[macros::kernel_test]
    fn the_8254s_line_arrives_at_each_cpu() {
        use arch::timer::pit;
        static SEEN: AtomicU64 = AtomicU64::new(0);
        SEEN.store(0, Ordering::Relaxed);
        let seen = || SEEN.load(Ordering::Acquire);
        let wait = |ns, until: &dyn Fn() -> bool| {
            let end = time::now_ns() + ns;
            while !until() && time::now_ns() < end {
                core::hint::spin_loop();
            }
        };
        let handler = action(|| {
            SEEN.fetch_add(1, Ordering::Release);
            Handled::Yes
        });
        // Firmware leaves the timer ticking; not any more, but the controller may remember one.
        pit::interrupt_once(u16::MAX);
        // Wherever ISA line 0 arrives: on a PC with I/O APICs that is GSI 2.
        let line = IrqLine::claim(0, "test", handler.expect("it has no state"));
        let line = line.expect("nobody uses the 8254's line");
        wait(2_000_000, &|| false);
        for cpu in smp::online().iter() {
            if line.set_affinity(cpu).is_err() {
                assert!(cpu != 0 && !super::super::uses_io_apics());
                continue;
            }
            let before = (seen(), count_of(line.vector(), cpu));
            pit::interrupt_once(1_194); // 1 ms
            wait(200_000_000, &|| seen() > before.0);
            wait(2_000_000, &|| false);
            assert_eq!(seen() - before.0, 1, "one interrupt was to arrive");
            assert_eq!(count_of(line.vector(), cpu) - before.1, 1, "at CPU {cpu}");
        }
        drop(line);
        let before = seen();
        pit::interrupt_once(1_194);
        wait(5_000_000, &|| false);
        assert_eq!(seen(), before, "the line is masked");
    }
}
