//! The watchdog: reports a CPU that has not scheduled for a while, with its stack.
//!
//! A CPU makes progress ([`note_progress`]) when it goes through the scheduler, and when an
//! interrupt finds it where it could be preempted. Every CPU's timer makes it [`look`] a few
//! times per limit: at itself (stuck with preemption off), and at all others (stuck with
//! interrupts off, which only another CPU can tell: it is asked by NMI where it is). So an
//! idle CPU, too, is interrupted now and then; that is all that it does.
//!
//! A report is a warning. A CPU that waits for a lock panics in the end, see
//! [`crate::sync::spin`].

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::cpu::local;
use arch::trap::TrapFrame;

use crate::backtrace::Backtrace;
use crate::panic::{self, CurrentTask};
use crate::percpu::PerCpu;
use crate::preempt::{self, PreemptGuard, RESCHEDULE};
use crate::{nmi, print, smp, time};

/// Nanoseconds without progress that are reported, unless set otherwise: more than an
/// emulator on a busy host takes a CPU away for.
const DEFAULT_LIMIT_NS: u64 = 10_000_000_000;
/// Looks per limit.
const LOOKS: u64 = 4;

static LIMIT_NS: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT_NS);

/// What is known of a CPU's progress. Any CPU may write it when it looks; two that do so at
/// once store nearly the same.
struct Seen {
    progress: AtomicU32,
    /// When that was first seen, in nanoseconds of the clock; 0 before the first look.
    since: AtomicU64,
    reported: AtomicBool,
}

crate::percpu! {
    static PROGRESS: AtomicU32 = AtomicU32::new(0);
    static SEEN: Seen = Seen {
        progress: AtomicU32::new(0),
        since: AtomicU64::new(0),
        reported: AtomicBool::new(false),
    };
    /// When this CPU is to look next, in nanoseconds of the clock.
    static NEXT_LOOK: AtomicU64 = AtomicU64::new(0);
    /// The timer has rung for a look, so many nanoseconds late, plus one; 0 if not.
    static LATE: AtomicU64 = AtomicU64::new(0);
}

/// Sets the limit, in nanoseconds; 0 switches the watchdog off. Each CPU goes by it from
/// its next look on.
pub fn set_limit_ns(ns: u64) {
    LIMIT_NS.store(ns, Ordering::Relaxed);
}

/// The limit, in nanoseconds; 0 if the watchdog is off.
pub fn limit_ns() -> u64 {
    LIMIT_NS.load(Ordering::Relaxed)
}

/// Nanoseconds that a CPU waits for another one's lock or answer before it panics: twice
/// the limit, so that the watchdog speaks first.
pub fn patience_ns() -> u64 {
    match limit_ns() {
        0 => 2 * DEFAULT_LIMIT_NS,
        limit => 2 * limit,
    }
}

/// This CPU could schedule just now. Interrupts off.
#[inline]
pub fn note_progress(stay: &PreemptGuard) {
    let progress = PROGRESS.get(stay);
    // Only this CPU writes it, and nothing interrupts this.
    progress.store(progress.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// When the CPU's timer is to interrupt at the latest, in nanoseconds of the clock.
/// Interrupts off.
pub fn next_look() -> Option<u64> {
    let stay = preempt::disable_for_lock();
    (limit_ns() != 0).then(|| NEXT_LOOK.get(&stay).load(Ordering::Relaxed))
}

/// This CPU's timer rings. Called before the timer is set anew; interrupts off.
pub fn on_timer(now_ns: u64) {
    let limit = limit_ns();
    let stay = preempt::disable_for_lock();
    let next = NEXT_LOOK.get(&stay);
    let due = next.load(Ordering::Relaxed);
    if limit != 0 && now_ns >= due {
        next.store(now_ns + limit / LOOKS, Ordering::Relaxed);
        LATE.get(&stay).store(now_ns - due + 1, Ordering::Relaxed);
    }
}

/// Looks at all CPUs if it is time to. At the end of this CPU's timer interrupt, which found
/// the CPU at `frame`; interrupts off.
pub(crate) fn look(frame: &TrapFrame) {
    let limit = limit_ns();
    let stay = preempt::disable_for_lock();
    let late = LATE.get(&stay).swap(0, Ordering::Relaxed);
    if late == 0 || limit == 0 || panic::in_progress() {
        return;
    }
    let now = time::now_ns();
    // If this look is late itself, the whole machine may have been stopped for a while.
    let forgive = late > limit / LOOKS;
    let me = local::cpu_number();
    for cpu in smp::online().iter() {
        let Some(stuck_ns) = stuck_ns(cpu, now, limit, forgive) else { continue };
        log::warn!("watchdog: CPU {cpu} has not scheduled for {} s", stuck_ns / 1_000_000_000);
        if cpu == me {
            print!("CPU {cpu}, in task {CurrentTask}:\n{}", Backtrace::of_trap(frame));
        } else {
            nmi::show(cpu);
        }
    }
    // Where preemption is off now, the end of that is to count: with a lock that is taken
    // again and again, it may never be on when an interrupt comes.
    local::set_pending(RESCHEDULE);
}

/// For how long `cpu` has made no progress, if that is to be reported now.
fn stuck_ns(cpu: u32, now: u64, limit: u64, forgive: bool) -> Option<u64> {
    let (progress, seen) = (PerCpu::of(&PROGRESS, cpu)?, PerCpu::of(&SEEN, cpu)?);
    let progress = progress.load(Ordering::Relaxed);
    let since = seen.since.load(Ordering::Relaxed);
    if since == 0 || forgive || progress != seen.progress.load(Ordering::Relaxed) {
        seen.progress.store(progress, Ordering::Relaxed);
        seen.since.store(now, Ordering::Relaxed);
        if seen.reported.swap(false, Ordering::Relaxed) {
            log::warn!("watchdog: CPU {cpu} schedules again");
        }
        return None;
    }
    let stuck = now.saturating_sub(since);
    (stuck >= limit && !seen.reported.swap(true, Ordering::Relaxed)).then_some(stuck)
}
