//! What CPUs are told by NMI, which reaches them whatever they do: to show where they are,
//! or to stop because another one panics.
//!
//! The CPU that is told puts a backtrace into a per-CPU place and waits (or stops), so that
//! its stack stays as it is while the one that asked prints. It prints nothing itself: it may
//! have been interrupted in the middle of printing.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::cpu::{interrupts, local};
use arch::irqchip::lapic;
use arch::trap::TrapFrame;

use crate::backtrace::Backtrace;
use crate::cpu_set::CpuSet;
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

/// Nanoseconds that the CPUs may take to answer, all together: an emulated CPU answers when
/// its host lets it run.
const ANSWER_NS: u64 = 2_000_000_000;
/// Nanoseconds that a CPU waits for being printed.
const PRINT_NS: u64 = 1_000_000_000;

/// Where a CPU was.
#[derive(Clone, Copy, Debug)]
enum Place {
    Kernel(Backtrace),
    User { ip: u64 },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(backtrace) => write!(f, "\n{backtrace}"),
            Self::User { ip } => writeln!(f, " in user mode at {ip:#x}"),
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
    let place = if frame.from_user() {
        Place::User { ip: frame.rip }
    } else {
        Place::Kernel(Backtrace::of_trap(frame))
    };
    // Only the CPU that asked takes it too, and not before the answer.
    if let Some(mut slot) = PLACE.get(&stay).try_lock() {
        *slot = Some(place);
    }
    state.store(ANSWERED, Ordering::Release);
    if asked == STOP {
        interrupts::halt_forever();
    }
    let begin = time::now_ns();
    while state.load(Ordering::Acquire) == ANSWERED
        && time::now_ns().saturating_sub(begin) < PRINT_NS
    {
        interrupts::spin_hint();
    }
    // Not if a panic asks meanwhile: its NMI comes when this one ends.
    for ended in [PRINTED, ANSWERED] {
        let _ = state.compare_exchange(ended, NOTHING, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Asks all other CPUs, which answer side by side, and prints where each is. The caller
/// stays on its CPU.
fn ask_others(what: u32) {
    let others = smp::online().without(CpuSet::one(local::cpu_number()));
    let mut asked = CpuSet::EMPTY;
    for cpu in others.iter() {
        let (Some(state), Some(apic_id)) = (PerCpu::of(&STATE, cpu), smp::apic_id(cpu)) else {
            continue;
        };
        state.store(what, Ordering::Release);
        if lapic::send_nmi(apic_id).is_ok() {
            asked = asked.or(CpuSet::one(cpu));
        }
    }
    let has_answered =
        |cpu| PerCpu::of(&STATE, cpu).is_none_or(|state| state.load(Ordering::Acquire) == ANSWERED);
    let begin = time::now_ns();
    while !asked.iter().all(has_answered) && time::now_ns().saturating_sub(begin) < ANSWER_NS {
        interrupts::spin_hint();
    }
    if what == STOP {
        // One may have stopped in the middle of printing.
        console::break_lock();
    }
    for cpu in others.iter() {
        print(cpu, what);
    }
}

/// Prints where a CPU is that was asked for `what`, and lets it go on.
fn print(cpu: u32, what: u32) {
    let (Some(state), Some(place)) = (PerCpu::of(&STATE, cpu), PerCpu::of(&PLACE, cpu)) else {
        return;
    };
    let answered = state.load(Ordering::Acquire) == ANSWERED;
    let shown = place.try_lock().and_then(|mut slot| slot.take());
    match shown.filter(|_| answered) {
        Some(place) => println!("CPU {cpu}:{place}"),
        None => println!("CPU {cpu}: does not answer"),
    }
    if what == SHOW {
        // Withdrawn, if it comes too late; a panic's request stays.
        for (from, to) in [(ANSWERED, PRINTED), (SHOW, NOTHING)] {
            let _ = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

/// Prints where every CPU is, this one first. They wait meanwhile. One caller at a time:
/// another one prints nothing.
pub fn show_all() {
    static BUSY: AtomicBool = AtomicBool::new(false);
    if BUSY.swap(true, Ordering::AcqRel) {
        return;
    }
    // No lock: printing takes long, and interrupts stay on.
    let stay = preempt::disable();
    println!("CPU {}:\n{}", local::cpu_number(), Backtrace::here());
    ask_others(SHOW);
    drop(stay);
    BUSY.store(false, Ordering::Release);
}

/// For a panic: stops every other CPU and prints where it was.
pub(crate) fn stop_others() {
    ask_others(STOP);
}
