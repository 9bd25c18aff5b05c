//! The load of the machine, as Linux computes it (`kernel/sched/loadavg.c`): how many tasks want
//! a CPU or sleep so that no signal ends it, averaged over 1, 5 and 15 minutes.
//!
//! Every five seconds the averages come nearer to the number of that moment. No timer is set for
//! that: whichever CPU's timer rings next does it, and each rings for the watchdog every few
//! seconds even if it is idle. Without a watchdog an idle machine is late; then what was missed
//! counts as idle, for a busy one is not late.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use base::{smp, time};

use super::queue::load_of;

/// Bits behind the point.
pub const LOAD_SHIFT: u32 = 11;
const ONE: u64 = 1 << LOAD_SHIFT;
/// Nanoseconds between two looks.
const PERIOD_NS: u64 = 5_000_000_000;
/// What is left of the old average after one: 1/exp(5 s/1 min), and for 5 and 15 minutes.
const FACTORS: [u64; 3] = [1884, 2014, 2037];
/// Periods after which nothing is left of the longest average.
const MOST_PERIODS: u64 = 4096;

/// With a point, as [`LOAD_SHIFT`] says.
static AVERAGES: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// When to look next.
static NEXT: AtomicU64 = AtomicU64::new(PERIOD_NS);
/// Programs that sleep so that no signal ends it.
static UNINTERRUPTIBLE: AtomicI32 = AtomicI32::new(0);

pub(super) fn count_uninterruptible(change: i32) {
    UNINTERRUPTIBLE.fetch_add(change, Ordering::Relaxed);
}

/// Tasks that run or want to.
pub fn running() -> u32 {
    smp::online().iter().map(load_of).sum()
}

/// Programs that sleep so that no signal ends it.
pub fn blocked() -> u32 {
    // Counted up and down on different CPUs.
    UNINTERRUPTIBLE.load(Ordering::Relaxed).max(0) as u32
}

/// The next value of an average of the load when `active` tasks make it; it is rounded up as it
/// rises, so that it comes to the number itself.
fn step(average: u64, factor: u64, active: u64) -> u64 {
    let sum = average * factor + active * (ONE - factor);
    let round = if active >= average { ONE - 1 } else { 0 };
    (sum + round) / ONE
}

/// Called when a timer rings, interrupts off, before it wakes anybody.
pub(super) fn note(now: u64) {
    let due = NEXT.load(Ordering::Relaxed);
    if now >= due {
        look(now, due);
    }
}

#[cold]
fn look(now: u64, due: u64) {
    let periods = (now - due) / PERIOD_NS + 1;
    let next = due + periods * PERIOD_NS;
    // Who comes later finds it done.
    if NEXT.compare_exchange(due, next, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    let active = u64::from(running() + blocked()) * ONE;
    for (average, factor) in AVERAGES.iter().zip(FACTORS) {
        let mut value = average.load(Ordering::Relaxed);
        for _ in 1..periods.min(MOST_PERIODS) {
            value = step(value, factor, 0);
        }
        average.store(step(value, factor, active), Ordering::Relaxed);
    }
}

/// The averages over 1, 5 and 15 minutes, with [`LOAD_SHIFT`] bits behind the point.
pub fn load_averages() -> [u64; 3] {
    note(time::now_ns());
    [0, 1, 2].map(|index: usize| {
        AVERAGES.get(index).map_or(0, |average| average.load(Ordering::Relaxed))
    })
}

#[base::kernel_test]
fn averages_come_to_the_load() {
    let [minute, ..] = FACTORS;
    let mut average = 0;
    for _ in 0..12 {
        average = step(average, minute, 2 * ONE);
    }
    // 1 - 1/e of it after a minute.
    assert!((1250..1300).contains(&(average * 1000 / ONE)), "{average}");
    for factor in FACTORS {
        let mut average = 0;
        (0..3000).for_each(|_| average = step(average, factor, 3 * ONE));
        assert_eq!(average, 3 * ONE, "it comes to the number itself");
        (0..MOST_PERIODS).for_each(|_| average = step(average, factor, 0));
        assert_eq!(average, 0, "and nothing is left of it");
    }
}
