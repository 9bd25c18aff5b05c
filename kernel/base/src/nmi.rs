//! What CPUs are told by NMI, which reaches them whatever they do: to show where they are,
//! or to stop because another one panics.
//!
//! The CPU that is told puts a backtrace into a per-CPU place and waits (or stops), so that
//! its stack stays as it is while the one that asked prints. It prints nothing itself: it may
//! have been interrupted in the middle of printing.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch::cpu::{interrupts, local};
use arch::irqchip::lapic;
use arch::trap::TrapFrame;
use arrayvec::ArrayString;

use crate::backtrace::Backtrace;
use crate::cpu_set::CpuSet;
use crate::panic::CurrentTask;
use crate::percpu::PerCpu;
use crate::sync::IrqSpinLock;
use crate::{console, preempt, println, smp, time};

/// Nothing asked, or answered.
const NOTHING: u32 = 0;
/// Asked: show a backtrace and go on when it has been printed.
const SHOW: u32 = 1;
/// Asked: show a backtrace and stop for good.
const STOP: u32 = 2;
/// The answer is there.
const ANSWERED: u32 = 3;
/// The answer has been printed: go on.
const PRINTED: u32 = 4;

/// Nanoseconds that a CPU may take to answer, and that it waits for being printed.
const ANSWER_NS: u64 = 100_000_000;
const PRINT_NS: u64 = 1_000_000_000;

/// What a CPU did.
#[derive(Clone, Copy, Debug)]
struct Place {
    task: ArrayString<64>,
    at: At,
}

/// Where it was.
#[derive(Clone, Copy, Debug)]
enum At {
    Kernel(Backtrace),
    User { ip: u64 },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in task {}", self.task)?;
        match &self.at {
            At::Kernel(backtrace) => write!(f, ":\n{backtrace}"),
            At::User { ip } => writeln!(f, ", in user mode at {ip:#x}"),
        }
    }
}

crate::percpu! {
    static STATE: AtomicU32 = AtomicU32::new(NOTHING);
    static PLACE: IrqSpinLock<Option<Place>> = IrqSpinLock::new("NMI backtrace", None);
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Non-maskable interrupts so far.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Handles an NMI; one that nobody sent is counted. No log line: the CPU may hold the
/// console.
pub(crate) fn on_nmi(frame: &TrapFrame) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let stay = preempt::disable();
    let state = STATE.get(&stay);
    let asked = state.load(Ordering::Acquire);
    if asked != SHOW && asked != STOP {
        return;
    }
    let at = if frame.from_user() {
        At::User { ip: frame.rip }
    } else {
        At::Kernel(Backtrace::of_trap(frame))
    };
    let mut task = ArrayString::new();
    let _ = write!(task, "{CurrentTask}"); // a name that is too long is cut
    let place = Place { task, at };
    // Only the CPU that asked takes it too, and not before the answer.
    if let Some(mut slot) = PLACE.get(&stay).try_lock() {
        *slot = Some(place);
    }
    state.store(ANSWERED, Ordering::Release);
    if asked == STOP {
        interrupts::halt_forever();
    }
    let begin = time::now_ns();
    while state.load(Ordering::Acquire) != PRINTED
        && time::now_ns().saturating_sub(begin) < PRINT_NS
    {
        interrupts::spin_hint();
    }
    state.store(NOTHING, Ordering::Release);
}

/// Asks `cpu` and prints where it is.
fn ask(cpu: u32, what: u32) {
    let (Some(state), Some(place)) = (PerCpu::of(&STATE, cpu), PerCpu::of(&PLACE, cpu)) else {
        return;
    };
    let Some(apic_id) = smp::apic_id(cpu) else { return };
    state.store(what, Ordering::Release);
    let mut answered = lapic::send_nmi(apic_id).is_ok();
    let begin = time::now_ns();
    while answered && state.load(Ordering::Acquire) != ANSWERED {
        answered = time::now_ns().saturating_sub(begin) < ANSWER_NS;
        interrupts::spin_hint();
    }
    if what == STOP {
        // It may have stopped in the middle of printing.
        console::break_lock();
    }
    let shown = place.try_lock().and_then(|mut slot| slot.take());
    match shown.filter(|_| answered) {
        Some(place) => println!("CPU {cpu}, {place}"),
        None => println!("CPU {cpu}: does not answer"),
    }
    if what == SHOW {
        state.store(PRINTED, Ordering::Release);
    }
}

fn others() -> impl Iterator<Item = u32> {
    smp::online().without(CpuSet::one(local::cpu_number())).iter()
}

/// Prints where `cpu`, another one, is, which waits meanwhile.
pub(crate) fn show(cpu: u32) {
    if let Some(_one) = ONE.try_lock() {
        ask(cpu, SHOW);
    }
}

/// One caller at a time: there is one answer per CPU.
static ONE: IrqSpinLock<()> = IrqSpinLock::new("backtraces of all CPUs", ());

/// Prints where every other CPU is. They wait meanwhile. One caller at a time.
pub fn show_others() {
    let Some(_one) = ONE.try_lock() else { return };
    others().for_each(|cpu| ask(cpu, SHOW));
}

/// For a panic: stops every other CPU and prints where it was.
pub(crate) fn stop_others() {
    others().for_each(|cpu| ask(cpu, STOP));
}
