//! Interrupts: a table of handlers by vector, the lines of interrupt controllers
//! (`irq/lines.rs`), and counts.
//!
//! A handler runs with interrupts off, under its vector's lock, so that dropping an
//! [`IrqLine`] waits for a handler in progress. A handler may wake threads; it may not
//! sleep, and it may not claim or drop its own vector. Handlers of vectors that every CPU
//! has for itself ([`claim_local`]) run without a lock.
//!
//! The interrupt ends after its handler: by then the handler has made the device of a
//! level-triggered line release it, else the line would interrupt again.

mod lines;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::irqchip::lapic;
use spin::Once;

use crate::cpu_set::CpuSet;
use crate::percpu::PerCpu;
use crate::preempt;
use crate::sync::{IrqSpinLock, cpus};

pub use lines::{
    IrqLine, LocalNmi, NmiSource, Override, Source, Wiring, init_local_pins, source, use_io_apics,
};

/// A handler gets the word that was registered with it.
pub type Handler = fn(usize);

/// Why a vector or line cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// Somebody has it.
    InUse {
        /// Who, as registered.
        owner: &'static str,
    },
    /// There is no such line, or the vector belongs to the CPU.
    OutOfRange,
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { owner } => write!(f, "taken by {owner}"),
            Self::OutOfRange => f.write_str("no such interrupt"),
        }
    }
}

#[derive(Clone, Copy)]
struct Registration {
    owner: &'static str,
    handler: Handler,
    word: usize,
}

static SLOTS: [IrqSpinLock<Option<Registration>>; 256] =
    [const { IrqSpinLock::new("irq handler", None) }; 256];

crate::percpu! {
    /// Interrupts by vector.
    static COUNTS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
    /// Spurious interrupts by source.
    static SPURIOUS: [AtomicU64; SPURIOUS_SOURCES] =
        [const { AtomicU64::new(0) }; SPURIOUS_SOURCES];
    static IN_HANDLER: AtomicBool = AtomicBool::new(false);
}

/// Whether this CPU is in an interrupt handler: what fails then is not the task that was
/// interrupted.
pub fn in_handler() -> bool {
    let stay = preempt::disable();
    IN_HANDLER.get(&stay).load(Ordering::Relaxed)
}

/// Calls a handler, marked as one. Interrupts must be off.
fn handle(handler: impl FnOnce()) {
    let stay = preempt::disable();
    let in_handler = IN_HANDLER.get(&stay);
    in_handler.store(true, Ordering::Relaxed);
    handler();
    in_handler.store(false, Ordering::Relaxed);
}

const SPURIOUS_SOURCES: usize = 4;

/// Where an interrupt came from that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spurious {
    /// The local APIC: a request was gone before the CPU took it.
    LocalApic,
    /// The first 8259A, in the same way.
    FirstPic,
    /// The second 8259A.
    SecondPic,
    /// A vector that nobody has.
    Unclaimed,
}

impl Spurious {
    /// All of them.
    pub const ALL: [Self; SPURIOUS_SOURCES] =
        [Self::LocalApic, Self::FirstPic, Self::SecondPic, Self::Unclaimed];
}

impl fmt::Display for Spurious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LocalApic => "local APIC",
            Self::FirstPic => "first 8259A",
            Self::SecondPic => "second 8259A",
            Self::Unclaimed => "unclaimed",
        })
    }
}

/// Adds one to a counter of this CPU. Interrupts must be off.
fn count<const N: usize>(counters: &'static PerCpu<[AtomicU64; N]>, index: usize) {
    let stay = preempt::disable();
    let counter = &counters.get(&stay)[index];
    // Only this CPU writes it, and nothing interrupts this.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Handlers of the vectors that every CPU has for itself: no lock is taken for them.
struct LocalSlot {
    owner: &'static str,
    handler: fn(),
}

static LOCAL: [Once<LocalSlot>; 256] = [const { Once::new() }; 256];

/// Registers `handler` for good for a vector of the local APICs: its timer, or what CPUs
/// send each other. It may run on several CPUs at once.
///
/// # Errors
/// `OutOfRange` for the CPU's own vectors (below 32); `InUse`.
pub fn claim_local(vector: u8, owner: &'static str, handler: fn()) -> Result<(), IrqError> {
    if u64::from(vector) < arch::trap::vector::FIRST_INTERRUPT {
        return Err(IrqError::OutOfRange);
    }
    let registration = SLOTS[usize::from(vector)].lock();
    if let Some(taken) = &*registration {
        return Err(IrqError::InUse { owner: taken.owner });
    }
    let mut fresh = false;
    let slot = LOCAL[usize::from(vector)].call_once(|| {
        fresh = true;
        LocalSlot { owner, handler }
    });
    if fresh { Ok(()) } else { Err(IrqError::InUse { owner: slot.owner }) }
}

/// Resets the 8259A pair, all lines masked, and takes the local APICs' error interrupt.
/// Call once, interrupts off.
///
/// # Errors
/// Somebody has the vector.
pub fn init() -> Result<(), IrqError> {
    lines::init();
    claim_local(lapic::ERROR_VECTOR, "local APIC errors", on_apic_error)
}

/// A registered vector; dropping it takes the handler away.
#[must_use = "the handler is taken away when this is dropped"]
#[derive(Debug)]
pub struct Vector(u8);

impl Vector {
    /// Registers `handler(word)` for interrupt vector `vector`.
    ///
    /// # Errors
    /// `OutOfRange` for the CPU's own vectors (below 32); `InUse`.
    pub fn claim(
        vector: u8,
        owner: &'static str,
        handler: Handler,
        word: usize,
    ) -> Result<Self, IrqError> {
        if u64::from(vector) < arch::trap::vector::FIRST_INTERRUPT {
            return Err(IrqError::OutOfRange);
        }
        let mut registration = SLOTS[usize::from(vector)].lock();
        if let Some(taken) = LOCAL[usize::from(vector)].get() {
            return Err(IrqError::InUse { owner: taken.owner });
        }
        match &*registration {
            Some(taken) => Err(IrqError::InUse { owner: taken.owner }),
            None => {
                *registration = Some(Registration { owner, handler, word });
                Ok(Self(vector))
            }
        }
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        *SLOTS[usize::from(self.0)].lock() = None;
    }
}

/// Handles interrupt `vector`: called by the trap path, interrupts off.
pub(crate) fn dispatch(vector: u8) {
    let _in_interrupt = cpus::enter_interrupt();
    let index = usize::from(vector);
    if let Some(local) = LOCAL[index].get() {
        count(&COUNTS, index);
        handle(local.handler);
        return lapic::end_of_interrupt();
    }
    if vector == lapic::SPURIOUS_VECTOR {
        return count(&SPURIOUS, Spurious::LocalApic as usize); // the local APIC wants no end for it
    }
    let pic_line = lines::pic_line(vector);
    if let Some(line) = pic_line
        && !lines::with_pic(|pic| pic.is_real(line))
    {
        let chip = if line < 8 { Spurious::FirstPic } else { Spurious::SecondPic };
        return count(&SPURIOUS, chip as usize);
    }
    count(&COUNTS, index);
    let has_handler = {
        let registration = SLOTS[index].lock();
        if let Some(found) = &*registration {
            handle(|| (found.handler)(found.word));
        }
        registration.is_some()
    };
    if !has_handler {
        on_unclaimed(vector);
    }
    match pic_line {
        Some(line) => lines::with_pic(|pic| pic.end_of_interrupt(line)),
        None => lapic::end_of_interrupt(),
    }
}

/// An interrupt that nobody has a handler for: also one that was on its way when its line
/// was dropped.
#[cold]
fn on_unclaimed(vector: u8) {
    static TOLD: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
    count(&SPURIOUS, Spurious::Unclaimed as usize);
    lines::mask_unclaimed(vector);
    let bit = 1 << (vector % 64);
    if TOLD[usize::from(vector / 64)].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        log::warn!("interrupt vector {vector} ({:?}) has no handler", source(vector));
    }
}

/// Errors of local APICs that have been told.
static APIC_ERRORS: AtomicU32 = AtomicU32::new(0);

/// A local APIC reports an error: each kind is told once.
fn on_apic_error() {
    let errors = lapic::take_errors();
    let told = APIC_ERRORS.fetch_or(errors.bits(), Ordering::Relaxed);
    let fresh = errors - lapic::Errors::from_bits_truncate(told);
    if !fresh.is_empty() {
        log::warn!("local APIC error: {fresh}");
    }
}

/// Errors of local APICs so far.
pub fn apic_errors() -> lapic::Errors {
    lapic::Errors::from_bits_truncate(APIC_ERRORS.load(Ordering::Relaxed))
}

/// A vector that somebody has, or that has been seen.
#[derive(Clone, Copy, Debug)]
pub struct VectorInfo {
    /// The vector.
    pub vector: u8,
    /// Who has it, as registered.
    pub owner: Option<&'static str>,
    /// What makes its interrupts.
    pub source: Source,
}

/// The vectors that somebody has, or that have been seen on one of `cpus`.
pub fn vectors(cpus: CpuSet) -> impl Iterator<Item = VectorInfo> {
    (0..=255u8).filter_map(move |vector| {
        let local = LOCAL[usize::from(vector)].get().map(|local| local.owner);
        let claimed = || SLOTS[usize::from(vector)].lock().as_ref().map(|found| found.owner);
        let owner = local.or_else(claimed);
        let seen = cpus.iter().any(|cpu| count_of(vector, cpu) > 0);
        (owner.is_some() || seen).then(|| VectorInfo { vector, owner, source: source(vector) })
    })
}

/// Interrupts on `vector` that CPU number `cpu` has taken so far; 0 for one that is not
/// there.
pub fn count_of(vector: u8, cpu: u32) -> u64 {
    PerCpu::of(&COUNTS, cpu).map_or(0, |counts| counts[usize::from(vector)].load(Ordering::Relaxed))
}

/// Spurious interrupts from `from` that CPU number `cpu` has taken so far; 0 for one that
/// is not there.
pub fn spurious_of(from: Spurious, cpu: u32) -> u64 {
    PerCpu::of(&SPURIOUS, cpu).map_or(0, |counts| counts[from as usize].load(Ordering::Relaxed))
}

#[macros::kernel_test]
fn a_line_is_taken_once() {
    use arch::irqchip::{Polarity, Trigger};
    let line = IrqLine::claim(5, "first", |_| (), 0).expect("line 5 is free in a PC");
    assert_eq!(
        IrqLine::claim(5, "second", |_| (), 0).err(),
        Some(IrqError::InUse { owner: "first" })
    );
    drop(line);
    drop(IrqLine::claim(5, "third", |_| (), 0).expect("freed by the drop"));
    let again = IrqLine::claim(5, "first", |_| (), 0).expect("freed again");
    if let Source::Gsi { gsi, .. } = source(again.vector()) {
        let wiring = (Polarity::ActiveHigh, Trigger::Edge);
        let other = IrqLine::claim_gsi(gsi, wiring, "by number", |_| (), 0);
        assert_eq!(other.err(), Some(IrqError::InUse { owner: "first" }));
        let none = IrqLine::claim_gsi(u32::MAX, wiring, "none", |_| (), 0);
        assert_eq!(none.err(), Some(IrqError::OutOfRange));
    }
    drop(again);
    assert_eq!(IrqLine::claim(2, "cascade", |_| (), 0).err(), Some(IrqError::OutOfRange));
    assert_eq!(IrqLine::claim(16, "none", |_| (), 0).err(), Some(IrqError::OutOfRange));
    assert_eq!(Vector::claim(14, "cpu", |_| (), 0).err(), Some(IrqError::OutOfRange));
}

#[macros::kernel_test]
fn the_8254s_line_arrives() {
    use arch::timer::pit;
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.store(0, Ordering::Relaxed);
    let seen = || SEEN.load(Ordering::Acquire);
    let wait = |ns, until: &dyn Fn() -> bool| {
        let end = crate::time::now_ns() + ns;
        while !until() && crate::time::now_ns() < end {
            core::hint::spin_loop();
        }
    };
    let handler = |_| {
        SEEN.fetch_add(1, Ordering::Release);
    };
    // Firmware leaves the timer ticking; not any more, but the controller may remember one.
    pit::interrupt_once(u16::MAX);
    // Wherever ISA line 0 arrives: on a PC with I/O APICs that is GSI 2.
    let line = IrqLine::claim(0, "test", handler, 0).expect("nobody uses the 8254's line");
    wait(2_000_000, &|| false);
    let counted =
        || crate::smp::online().iter().map(|cpu| count_of(line.vector(), cpu)).sum::<u64>();
    let before = (seen(), counted());
    pit::interrupt_once(1_194); // 1 ms
    wait(200_000_000, &|| seen() > before.0);
    wait(2_000_000, &|| false);
    assert_eq!(seen() - before.0, 1, "one interrupt was to arrive");
    assert_eq!(counted() - before.1, 1);
    drop(line);
    let before = seen();
    pit::interrupt_once(1_194);
    wait(5_000_000, &|| false);
    assert_eq!(seen(), before, "the line is masked");
}

#[macros::kernel_test]
fn an_ipi_to_oneself_arrives() {
    static WORD: AtomicU64 = AtomicU64::new(0);
    const FREE: u8 = 0xe2;
    WORD.store(0, Ordering::Relaxed);
    let vector = Vector::claim(FREE, "test", |word| WORD.store(word as u64, Ordering::Release), 7)
        .expect("a vector that nobody has");
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
    let note = |word| SEEN.store(word as u64 + u64::from(in_handler()), Ordering::Relaxed);
    let claimed = Vector::claim(crate::crash::VECTOR, "test", note, vector).expect("it is free");
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
