//! How long locks were held; and what is told later rather than at once: spin locks that
//! were held for too long, and tables that are full. A log line takes locks itself, so it waits until this CPU holds none.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::class::{ClassId, all};
use super::cpus::Cpu;
use super::held::{At, Hold, Record};
use super::order;
use super::trace::Here;
use crate::time;

/// Nanoseconds that a spin lock may be held for.
static LIMIT_NS: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT_NS);
/// Long for any critical section.
const DEFAULT_LIMIT_NS: u64 = 100_000_000;

/// Something is to be told.
static PENDING: AtomicBool = AtomicBool::new(false);
/// The [`Table`] that is full; 0 if none, or told.
static FULL: AtomicU8 = AtomicU8::new(0);

/// Stands in [`FULL`] for the stack of what a CPU holds.
const STACK: u8 = 3;
static STACK_WAS_FULL: AtomicBool = AtomicBool::new(false);

/// A table that can be full.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table {
    /// Lock classes.
    Classes = 1,
    /// Orders of classes.
    Orders = 2,
}

/// States of [`super::class::Class::long_hold`].
const TO_TELL: u8 = 1;
const TOLD: u8 = 2;

/// Sets how long a spin lock may be held, in nanoseconds, before it is told (debug builds).
pub fn set_hold_limit(ns: u64) {
    LIMIT_NS.store(ns, Ordering::Relaxed);
}

/// See [`set_hold_limit`].
pub fn hold_limit() -> u64 {
    LIMIT_NS.load(Ordering::Relaxed)
}

/// A table has no more room: the checks that need it end, and that is told once.
pub(super) fn table_is_full(which: Table) {
    if order::is_on() {
        order::switch_off();
        FULL.store(which as u8, Ordering::Relaxed);
        PENDING.store(true, Ordering::Release);
    }
}

/// A CPU holds more than there is room for: the rest is not checked, which is told once.
pub(super) fn stack_is_full() {
    if !STACK_WAS_FULL.swap(true, Ordering::Relaxed) {
        PENDING.store(true, Ordering::Release);
        FULL.store(STACK, Ordering::Relaxed);
    }
}

/// A spin lock has been held until now, when `freed_by` frees it.
pub(super) fn was_held(record: &Record, freed_by: Here) {
    if let Some((hold, ns)) = held_longer_than(record, hold_limit()) {
        was_held_long(&hold, ns, freed_by);
    }
}

/// A lock that is slept with has been held until now. There is no limit: whoever has it may
/// wait for anything.
pub(super) fn was_held_sleeping(record: &Record) {
    if let Some((hold, ns)) = held_longer_than(record, u64::MAX) {
        note_longest(&hold, ns);
    }
}

/// The hold and its nanoseconds, if it was longer than any of its class, or than `limit`.
#[inline(always)]
fn held_longer_than(record: &Record, limit: u64) -> Option<(Hold, u64)> {
    let since = record.since_ns.load(Ordering::Relaxed);
    let ns = time::now_ns().saturating_sub(since);
    let id = record.class();
    // Before there is a clock everything is at 0.
    if since == 0
        || !id.is_some()
        || ns <= id.class().hold_longest.load(Ordering::Relaxed).min(limit)
    {
        return None;
    }
    Some((record.load()?, ns))
}

fn note_longest(hold: &Hold, ns: u64) {
    let class = hold.class.class();
    if ns > class.hold_longest.load(Ordering::Relaxed) {
        class.hold_longest.store(ns, Ordering::Relaxed);
        class.hold_place.store(hold.place);
    }
}

#[cold]
fn was_held_long(hold: &Hold, ns: u64, freed_by: Here) {
    note_longest(hold, ns);
    let class = hold.class.class();
    if ns > hold_limit()
        && class.long_hold.compare_exchange(0, TO_TELL, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    {
        class.long_hold_ns.store(ns, Ordering::Relaxed);
        class.long_hold_seen.store(hold.place, hold.trace);
        class.long_hold_freed.store(freed_by.trace());
        PENDING.store(true, Ordering::Release);
    }
}

/// Tells what there is to tell, if this CPU is free to.
#[inline(always)]
pub(super) fn tell(cpu: &Cpu) {
    if PENDING.load(Ordering::Relaxed) && cpu.held.is_empty() && !cpu.in_interrupt() {
        tell_all();
    }
}

#[cold]
fn tell_all() {
    if !PENDING.swap(false, Ordering::AcqRel) {
        return;
    }
    let full = match FULL.swap(0, Ordering::Relaxed) {
        0 => None,
        STACK => {
            log::warn!("locks: a CPU held more than are recorded; the rest was not checked");
            None
        }
        1 => Some("classes"),
        _ => Some("orders"),
    };
    if let Some(name) = full {
        log::warn!(
            "locks: no room for more {name}; the lock-order checker has switched itself off"
        );
    }
    for id in all() {
        if id
            .class()
            .long_hold
            .compare_exchange(TO_TELL, TOLD, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            tell_long_hold(id);
        }
    }
}

fn tell_long_hold(id: ClassId) {
    let class = id.class();
    log::warn!(
        "locks: '{}' was held for {} us (limit {} ms), taken at {} by\n{}and freed by\n{}",
        id.name(),
        class.long_hold_ns.load(Ordering::Relaxed) / 1_000,
        hold_limit() / 1_000_000,
        At(class.long_hold_seen.place.load()),
        class.long_hold_seen.trace.load(),
        class.long_hold_freed.load()
    );
}

/// Whether a long hold of the class of this name has been told.
#[cfg(debug_assertions)]
pub(super) fn was_told(name: &'static str) -> bool {
    super::class::ClassId::of(name).class().long_hold.load(Ordering::Acquire) == TOLD
}
