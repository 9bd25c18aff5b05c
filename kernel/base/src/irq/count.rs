//! Counts of interrupts, by vector, and of those that nobody asked for; and whether this CPU
//! is in a handler.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::percpu::PerCpu;
use crate::{preempt, smp};

crate::percpu! {
    /// Interrupts by vector.
    static COUNTS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
    /// Spurious interrupts by source.
    static SPURIOUS: [AtomicU64; SPURIOUS_SOURCES] =
        [const { AtomicU64::new(0) }; SPURIOUS_SOURCES];
    static IN_HANDLER: AtomicBool = AtomicBool::new(false);
    /// Whether the last interrupt came while user code ran.
    static FROM_USER: AtomicBool = AtomicBool::new(false);
}

/// Whether this CPU is in an interrupt handler: what fails then is not the task that was
/// interrupted.
pub fn in_handler() -> bool {
    let stay = preempt::disable();
    IN_HANDLER.get(&stay).load(Ordering::Relaxed)
}

/// Notes what an interrupt came upon, interrupts off.
pub(crate) fn note_interrupted(user: bool) {
    let stay = preempt::disable_for_lock();
    FROM_USER.get(&stay).store(user, Ordering::Relaxed);
}

/// Whether user code ran when the interrupt came whose handler calls. Interrupts off.
pub fn interrupted_user() -> bool {
    let stay = preempt::disable_for_lock();
    FROM_USER.get(&stay).load(Ordering::Relaxed)
}

/// Interrupts that CPU number `cpu` has taken so far, of all vectors; 0 for a CPU that is not
/// there.
pub fn all_of(cpu: u32) -> u64 {
    let counts = PerCpu::of(&COUNTS, cpu);
    counts.map_or(0, |counts| counts.iter().map(|count| count.load(Ordering::Relaxed)).sum())
}

/// Calls a handler, marked as one. Interrupts must be off.
pub(super) fn handle<T>(handler: impl FnOnce() -> T) -> T {
    let stay = preempt::disable();
    let in_handler = IN_HANDLER.get(&stay);
    in_handler.store(true, Ordering::Relaxed);
    let result = handler();
    in_handler.store(false, Ordering::Relaxed);
    result
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

/// Counts an interrupt on `vector`, interrupts off.
pub(super) fn count_vector(vector: u8) {
    count(&COUNTS, vector.into());
}

/// Counts an interrupt that nobody asked for, interrupts off.
pub(super) fn count_spurious(from: Spurious) {
    count(&SPURIOUS, from as usize);
}

/// Begins anew for a vector whose interrupts were somebody else's.
pub(super) fn forget(vector: u8) {
    for counts in smp::online().iter().filter_map(|cpu| PerCpu::of(&COUNTS, cpu)) {
        counts[usize::from(vector)].store(0, Ordering::Relaxed);
    }
}

/// Interrupts on `vector` that CPU number `cpu` has taken so far, for its owner of now; 0 for
/// a CPU that is not there.
pub fn count_of(vector: u8, cpu: u32) -> u64 {
    PerCpu::of(&COUNTS, cpu).map_or(0, |counts| counts[usize::from(vector)].load(Ordering::Relaxed))
}

/// Spurious interrupts from `from` that CPU number `cpu` has taken so far; 0 for one that
/// is not there.
pub fn spurious_of(from: Spurious, cpu: u32) -> u64 {
    PerCpu::of(&SPURIOUS, cpu).map_or(0, |counts| counts[from as usize].load(Ordering::Relaxed))
}
