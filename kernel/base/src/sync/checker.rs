//! What a lock tells the checker, and when: [`before`] it is waited for, [`taken`], and
//! [`freeing`] and [`freed`] around its release. In release builds these are nothing.
//!
//! The rules are in [`super::order`], what is held in [`super::held`]. All of it works from
//! the first lock of the boot, in interrupt handlers, and takes no lock that is checked; in
//! an NMI the tables may be out of reach, and the check is skipped.

use core::panic::Location;

use arch::cpu::interrupts;

use super::class::{ClassId, Tag};
use super::cpus::{self, this_cpu};
use super::held::{Hold, Kind, hold_now};
use super::order::{self, Usage, Wanted};
use super::report::Problem;
use super::trace::Here;
use super::watch;

/// A spin lock, as the checker sees it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) tag: &'a Tag,
    /// Its address.
    pub(super) key: usize,
    /// Its place in an order among locks of its class.
    pub(super) level: u16,
}

/// Called before a CPU may have to wait for a spin lock, in the lock's discipline.
///
/// # Panics
/// If a rule is broken.
#[inline(always)]
#[track_caller]
pub(super) fn before(subject: Subject<'_>) {
    if cpus::on() {
        check(subject);
    }
}

/// Called when a spin lock has been taken; `waited` unless it was an attempt.
#[inline(always)]
#[track_caller]
pub(super) fn taken(subject: Subject<'_>, waited: bool) {
    if cpus::on() {
        record(subject, waited);
    }
}

/// Called before a spin lock is freed.
#[inline(always)]
pub(super) fn freeing(key: usize) {
    if cpus::on() {
        forget(key);
    }
}

/// Called when a spin lock has been freed, still in its discipline.
#[inline(always)]
pub(super) fn freed() {
    if cpus::on()
        && let Some(cpu) = this_cpu()
    {
        watch::tell(cpu);
    }
}

#[inline(never)]
#[track_caller]
fn check(subject: Subject<'_>) {
    let place = Location::caller();
    let here = Here::of_caller();
    let Some(cpu) = this_cpu() else { return };
    let were_enabled = interrupts::save_and_disable();
    let Subject { tag, key, level } = subject;
    let wanted = Wanted { class: tag.class(), key, level, place, here };
    let usage = match (cpu.in_interrupt(), were_enabled) {
        (true, _) => Some(Usage::InInterrupt),
        (false, true) => Some(Usage::InterruptsOn),
        (false, false) => None,
    };
    // Itself, again, is the lock's to report: it knows best.
    let result = if cpu.held.find(key).is_some() {
        Ok(())
    } else {
        usage
            .map_or(Ok(()), |usage| order::check_usage(&wanted, usage))
            .and_then(|()| order::check_order(&cpu.held, &wanted))
    };
    interrupts::restore(were_enabled);
    if let Err(problem) = result {
        broken(&problem);
    }
}

#[inline(never)]
#[track_caller]
fn record(subject: Subject<'_>, waited: bool) {
    let place = Location::caller();
    let here = Here::of_caller();
    let Some(cpu) = this_cpu() else { return };
    let were_enabled = interrupts::save_and_disable();
    let Subject { tag, key, level } = subject;
    let class = tag.class();
    class.class().acquisitions.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    let hold = hold_now(Kind::Spin, key, (class, level), place, here.trace());
    cpus::push(cpu, &hold);
    // An attempt cannot deadlock in a handler, but it can be what a handler waits for.
    let attempt_with_interrupts = !waited && were_enabled && !cpu.in_interrupt();
    let result = if attempt_with_interrupts {
        order::check_usage(&Wanted { class, key, level, place, here }, Usage::InterruptsOn)
    } else {
        Ok(())
    };
    interrupts::restore(were_enabled);
    if let Err(problem) = result {
        broken(&problem);
    }
}

#[inline(never)]
fn forget(key: usize) {
    let here = Here::of_caller();
    let Some(cpu) = this_cpu() else { return };
    let were_enabled = interrupts::save_and_disable();
    if let Some(index) = cpu.held.position(Kind::Spin, key) {
        cpu.held.at(index).inspect(|record| watch::was_held(record, here));
        cpu.held.remove(index);
    }
    interrupts::restore(were_enabled);
}

#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn broken(problem: &Problem) -> ! {
    panic!("{problem}");
}

/// The record of the spin lock at `key` that CPU `cpu` holds, as far as it can be seen.
pub(super) fn holder(cpu: u32, key: usize) -> Option<Hold> {
    cpus::of_cpu(cpu as usize)?.held.find(key)
}

/// A CPU had to wait for a lock, and got it after `ns`.
pub(super) fn waited(tag: &Tag, ns: u64) {
    use core::sync::atomic::Ordering::Relaxed;
    let class: ClassId = tag.class();
    let class = class.class();
    class.contended.fetch_add(1, Relaxed);
    class.wait_total.fetch_add(ns, Relaxed);
    class.wait_longest.fetch_max(ns, Relaxed);
}
