//! What CPUs are told by NMI, which reaches them whatever they do: to show where they are,
//! or to stop because another one panics.
//!
//! The CPU that is told notes its backtrace in a per-CPU place, and goes on or stops. It
//! prints nothing itself: it may have been interrupted in the middle of printing.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::cpu::{interrupts, local};
use arch::irqchip::lapic;
use arch::trap::TrapFrame;
use arrayvec::ArrayString;

use crate::backtrace::{Backtrace, Taken};
use crate::cpu_set::CpuSet;
use crate::panic::CurrentTask;
use crate::percpu::PerCpu;
use crate::sync::IrqSpinLock;
use crate::{console, preempt, println, smp, time};

/// Nothing asked, or answered.
const NOTHING: u32 = 0;
/// Asked: note a backtrace.
const SHOW: u32 = 1;
/// Asked: note a backtrace and stop for good.
const STOP: u32 = 2;
/// The answer is there.
const ANSWERED: u32 = 3;

/// Nanoseconds that the CPUs may take to answer, all together: an emulated CPU answers when
/// its host lets it run.
const ANSWER_NS: u64 = 2_000_000_000;

/// What a CPU did.
#[derive(Clone, Debug)]
struct Place {
    task: ArrayString<64>,
    /// Where it was in user mode.
    user_ip: Option<u64>,
    /// Where it was in the kernel; empty in user mode.
    backtrace: Taken,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in task {}", self.task)?;
        match self.user_ip {
            Some(ip) => writeln!(f, ", in user mode at {ip:#x}"),
            None => write!(f, ":\n{}", self.backtrace),
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
    let user_ip = frame.from_user().then_some(frame.rip);
    let backtrace = match user_ip {
        Some(_) => Taken::default(),
        None => Backtrace::of_trap(frame).taken(),
    };
    let mut task = ArrayString::new();
    let _ = write!(task, "{CurrentTask}"); // a name that is too long is cut
    let place = Place { task, user_ip, backtrace };
    // Only the CPU that asked takes it too, and not before the answer.
    if let Some(mut slot) = PLACE.get(&stay).try_lock() {
        *slot = Some(place);
    }
    // Not if a panic asks meanwhile: its NMI comes when this one ends.
    let _ = state.compare_exchange(asked, ANSWERED, Ordering::AcqRel, Ordering::Acquire);
    if asked == STOP {
        interrupts::halt_forever();
    }
}

fn others() -> CpuSet {
    smp::online().without(CpuSet::one(local::cpu_number()))
}

/// Asks other CPUs, which answer side by side, and prints where each is. The caller
/// stays on its CPU.
fn ask(others: CpuSet, what: u32) {
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
        print(cpu);
    }
}

/// Prints where a CPU was when it answered.
fn print(cpu: u32) {
    let (Some(state), Some(place)) = (PerCpu::of(&STATE, cpu), PerCpu::of(&PLACE, cpu)) else {
        return;
    };
    let answered = state.load(Ordering::Acquire) == ANSWERED;
    let shown = place.try_lock().and_then(|mut slot| slot.take());
    match shown.filter(|_| answered) {
        Some(place) => println!("CPU {cpu}, {place}"),
        None => println!("CPU {cpu}: does not answer"),
    }
    // Withdrawn, if it would come too late; a panic's request stays.
    let _ = state.compare_exchange(SHOW, NOTHING, Ordering::AcqRel, Ordering::Acquire);
}

/// Somebody asks; there is one answer per CPU. No lock: printing takes long, and interrupts
/// stay on.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Prints where `cpu` is. Nothing if it is the caller's, or if somebody asks already.
pub fn show(cpu: u32) {
    let _stay = preempt::disable();
    if cpu != local::cpu_number() && !BUSY.swap(true, Ordering::AcqRel) {
        ask(CpuSet::one(cpu), SHOW);
        BUSY.store(false, Ordering::Release);
    }
}

/// Prints where every CPU is, this one first. One caller at a time: another one prints
/// nothing.
pub fn show_all() {
    if BUSY.swap(true, Ordering::AcqRel) {
        return;
    }
    let stay = preempt::disable();
    println!("CPU {}, in task {CurrentTask}:\n{}", local::cpu_number(), Backtrace::here());
    ask(others(), SHOW);
    drop(stay);
    BUSY.store(false, Ordering::Release);
}

/// For a panic inside a panic: stops every other CPU, and neither waits nor prints.
pub(crate) fn stop_others_silently() {
    for cpu in others().iter() {
        if let (Some(state), Some(apic_id)) = (PerCpu::of(&STATE, cpu), smp::apic_id(cpu)) {
            state.store(STOP, Ordering::Release);
            let _ = lapic::send_nmi(apic_id); // there is nobody to tell
        }
    }
}

/// For a panic: stops every other CPU and prints where it was.
pub(crate) fn stop_others() {
    ask(others(), STOP);
}
