//! What each CPU holds, and whether it is in an interrupt handler. Guards that turn
//! preemption or interrupts off record themselves here, locks do it through
//! [`super::checker`].

use core::panic::Location;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arch::cpu::{interrupts, local};

use super::class::ClassId;
use super::held::{Hold, Kind, Stack};
use super::trace::{KnownPages, Trace};
use super::watch;

/// CPUs that are watched; what others hold is not known.
const CPUS: usize = if cfg!(debug_assertions) { 64 } else { 0 };
/// Locks and guards that one CPU may hold; more are not recorded.
const DEPTH: usize = 24;
/// What one CPU holds.
#[repr(align(64))]
pub(super) struct Cpu {
    pub(super) held: Stack<DEPTH>,
    /// Interrupt handlers that it is in.
    interrupts: AtomicU32,
    pub(super) stack: KnownPages,
}

impl Cpu {
    pub(super) fn in_interrupt(&self) -> bool {
        self.interrupts.load(Ordering::Relaxed) != 0
    }
}

// Not per-CPU variables: every CPU must see all of them, and the first lock is taken before
// there are any.
static WATCHED: [Cpu; CPUS] = [const {
    Cpu { held: Stack::new(), interrupts: AtomicU32::new(0), stack: KnownPages::none() }
}; CPUS];

/// This CPU's, as long as the caller stays on it; `None` if it is not watched.
#[inline(always)]
pub(super) fn this_cpu() -> Option<&'static Cpu> {
    WATCHED.get(local::cpu_number() as usize)
}

/// CPU number `cpu`'s.
pub(super) fn of_cpu(cpu: usize) -> Option<&'static Cpu> {
    WATCHED.get(cpu)
}

/// Cleared by a panic.
static ON: AtomicBool = AtomicBool::new(true);

/// Whether locks are watched: in debug builds, until a panic.
#[inline(always)]
pub(super) fn on() -> bool {
    cfg!(debug_assertions) && ON.load(Ordering::Relaxed)
}

/// Ends all checks, for a panic: its report must come out whatever it has to take.
pub(crate) fn switch_off() {
    ON.store(false, Ordering::Relaxed);
}

/// Records what this CPU, `cpu`, holds.
pub(super) fn push(cpu: &Cpu, hold: &Hold) {
    if !cpu.held.push(hold) {
        watch::stack_is_full();
    }
}

/// A guard has been entered on this CPU.
#[inline(never)]
fn push_guard(kind: Kind, place: &'static Location<'static>) {
    let were_enabled = interrupts::save_and_disable();
    if let Some(cpu) = this_cpu() {
        let hold = Hold {
            kind,
            key: 0,
            class: ClassId::NONE,
            level: 0,
            place: Some(place),
            since_ns: 0,
            trace: Trace::default(),
        };
        push(cpu, &hold);
    }
    interrupts::restore(were_enabled);
}

#[inline(never)]
fn pop_guard(kind: Kind) {
    let were_enabled = interrupts::save_and_disable();
    if let Some(cpu) = this_cpu()
        && let Some(index) = cpu.held.position(kind, 0)
    {
        cpu.held.remove(index);
    }
    interrupts::restore(were_enabled);
}

/// In a guard: that its place is in the stack, so that dropping it takes it away. Empty in
/// release builds.
#[derive(Debug)]
pub(crate) struct Recorded {
    #[cfg(debug_assertions)]
    is: bool,
}

impl Recorded {
    /// The guard of a lock, which is recorded itself.
    pub(crate) const NO: Self = Self {
        #[cfg(debug_assertions)]
        is: false,
    };

    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn new(kind: Kind) -> Self {
        let is = on();
        if is {
            push_guard(kind, Location::caller());
        }
        Self {
            #[cfg(debug_assertions)]
            is,
        }
    }

    #[inline(always)]
    pub(crate) fn end(&self, kind: Kind) {
        #[cfg(debug_assertions)]
        let is = self.is;
        #[cfg(not(debug_assertions))]
        let is = false;
        if is {
            pop_guard(kind);
        }
    }
}

/// While it lives this CPU is in an interrupt handler.
#[must_use = "the handler ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct InInterrupt(());

/// Called before an interrupt's handler, interrupts off.
#[inline(always)]
pub(crate) fn enter_interrupt() -> InInterrupt {
    if let Some(cpu) = this_cpu() {
        cpu.interrupts.fetch_add(1, Ordering::Relaxed);
    }
    InInterrupt(())
}

impl Drop for InInterrupt {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cpu) = this_cpu() {
            cpu.interrupts.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Forgets what this CPU holds: for a test that ends with what it held. The locks stay
/// taken.
pub fn forget_all() {
    if let Some(cpu) = this_cpu() {
        cpu.held.clear();
        cpu.interrupts.store(0, Ordering::Relaxed);
    }
}

/// What all CPUs hold as far as it can be seen now; with the number of the CPU. Nothing in
/// release builds.
pub fn all() -> impl Iterator<Item = (usize, Hold)> {
    WATCHED
        .iter()
        .enumerate()
        .flat_map(|(number, cpu)| cpu.held.iter().map(move |hold| (number, hold)))
}
