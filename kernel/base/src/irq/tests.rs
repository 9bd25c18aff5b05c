//! Tests: interrupts that a CPU makes itself.

use super::*;

#[macros::kernel_test]
fn an_ipi_to_oneself_arrives() {
    static WORD: AtomicU64 = AtomicU64::new(0);
    const FREE: u8 = 0xe2;
    WORD.store(0, Ordering::Relaxed);
    let note = action(|| {
        WORD.store(7, Ordering::Release);
        Handled::Yes
    });
    let note = note.expect("it has no state");
    let vector = Vector::claim(FREE, "test", note).expect("a vector that nobody has");
    lapic::send_ipi(lapic::id(), FREE).expect("the APIC sends");
    let end = crate::time::now_ns() + 100_000_000;
    while WORD.load(Ordering::Acquire) == 0 && crate::time::now_ns() < end {
        core::hint::spin_loop();
    }
    assert_eq!(WORD.load(Ordering::Acquire), 7);
    drop(vector);
    if lapic::mode() == lapic::Mode::XApic {
        assert_eq!(lapic::send_nmi(0x100), Err(lapic::IpiError::BadTarget));
    }
}

#[macros::kernel_test]
fn a_handler_is_known_to_be_one() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.store(0, Ordering::Relaxed);
    let vector = usize::from(crate::crash::VECTOR);
    let note = action(move || {
        SEEN.store(vector as u64 + u64::from(in_handler()), Ordering::Relaxed);
        Handled::Yes
    });
    let note = note.expect("memory for a closure");
    let claimed = Vector::claim(crate::crash::VECTOR, "test", note).expect("it is free");
    assert!(!in_handler());
    crate::crash::interrupt();
    assert_eq!(SEEN.load(Ordering::Relaxed), vector as u64 + 1);
    assert!(!in_handler() && !crate::preempt::in_atomic());
    drop(claimed);
    crate::crash::interrupt(); // nobody's: a log line
    assert!(!in_handler());
}

#[macros::kernel_test]
fn spurious_interrupts_are_counted_by_source() {
    use crate::crash::interrupt_on;
    use arch::irqchip::pic::FIRST_VECTOR;
    const FREE: u8 = 0xe3;
    let counts = || {
        let of = |from| crate::smp::online().iter().map(|cpu| spurious_of(from, cpu)).sum::<u64>();
        Spurious::ALL.map(of)
    };
    let handled =
        |vector| crate::smp::online().iter().map(|cpu| count_of(vector, cpu)).sum::<u64>();
    let before = counts();
    // No device asks: so neither the local APIC nor an 8259A has a request in service.
    interrupt_on::<{ lapic::SPURIOUS_VECTOR }>();
    interrupt_on::<{ FIRST_VECTOR + 7 }>();
    interrupt_on::<{ FIRST_VECTOR + 15 }>();
    interrupt_on::<FREE>(); // a log line
    assert_eq!(counts(), before.map(|count| count + 1));
    // They are nobody's, and the next ones arrive.
    assert_eq!(handled(lapic::SPURIOUS_VECTOR) + handled(FIRST_VECTOR + 7), 0);
    interrupt_on::<{ lapic::SPURIOUS_VECTOR }>();
    assert_eq!(counts()[Spurious::LocalApic as usize], before[Spurious::LocalApic as usize] + 2);
}

#[macros::kernel_test]
fn vectors_that_are_not_for_the_taking() {
    let claim = |vector| {
        let nothing = action(|| Handled::Yes).expect("it has no state");
        Vector::claim(vector, "test", nothing).err()
    };
    assert_eq!(claim(14), Some(IrqError::OutOfRange));
    assert_eq!(claim(100), Some(IrqError::OutOfRange), "devices get it");
    let owner = Owner::new("timer");
    assert_eq!(claim(lapic::TIMER_VECTOR), Some(IrqError::InUse { owner }));
    assert_eq!(Owner::new("ääääääääääääää").name(), "ääääääääääää");
}
