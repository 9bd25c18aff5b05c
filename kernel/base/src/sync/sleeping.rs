//! The door for locks that sleep (floor 4): they join the same graph of orders, and what is
//! held belongs to the task. In release builds all but the statistics is nothing.

use core::panic::Location;

use spin::Once;

use super::checker::{broken, waited};
use super::class::Tag;
use super::cpus;
use super::held::{HeldLocks, Kind, hold_now};
use super::order::{self, Wanted};
use super::trace::Here;
use super::watch;

/// Calls its argument with the current task's locks, or not, if there is no task.
pub type CurrentHook = fn(&mut dyn FnMut(&HeldLocks));

static CURRENT: Once<CurrentHook> = Once::new();

/// Tells where the current task's [`HeldLocks`] are. Before this is called sleeping locks
/// are not checked.
pub fn set_current_hook(hook: CurrentHook) {
    CURRENT.call_once(|| hook);
}

fn with_current(mut look: impl FnMut(&HeldLocks)) {
    if let Some(current) = CURRENT.get() {
        current(&mut look);
    }
}

/// Called before a task may have to sleep for the lock at address `key`.
///
/// # Panics
/// If the order is wrong, the task has the lock already, or it may not sleep.
#[inline(always)]
#[track_caller]
pub fn before_sleeping(tag: &Tag, key: usize, level: u16) {
    if cpus::on() {
        super::may_sleep::assert_may_sleep();
        check(tag, key, level);
    }
}

/// Called when the current task has the lock at address `key`.
#[inline(always)]
#[track_caller]
pub fn acquired_sleeping(tag: &Tag, key: usize, level: u16) {
    if cpus::on() {
        record(tag, key, level);
    }
}

/// Called before the current task frees the lock at address `key`.
#[inline(always)]
pub fn released_sleeping(key: usize) {
    if cpus::on() {
        with_current(|held| {
            if let Some(index) = held.0.position(Kind::Sleeping, key) {
                held.0.at(index).inspect(|record| watch::was_held_sleeping(record));
                held.0.remove(index);
            }
        });
    }
}

/// Called when the current task had to sleep for a lock, and got it after `ns`.
#[cold]
pub fn waited_sleeping(tag: &Tag, ns: u64) {
    waited(tag, ns);
}

#[inline(never)]
#[track_caller]
fn check(tag: &Tag, key: usize, level: u16) {
    let place = Location::caller();
    let here = Here::of_caller();
    let mut result = Ok(());
    with_current(|held| {
        if let Some(hold) = held.0.find(key) {
            panic!(
                "deadlock: {hold} is wanted again by the same task at {place}, taken by\n{}",
                hold.trace
            );
        }
        let wanted = Wanted { class: tag.class(), key, level, place, here };
        result = order::check_order(&held.0, &wanted);
    });
    if let Err(problem) = result {
        broken(&problem);
    }
}

#[inline(never)]
#[track_caller]
fn record(tag: &Tag, key: usize, level: u16) {
    let place = Location::caller();
    let here = Here::of_caller();
    let class = tag.class();
    class.class().acquisitions.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    with_current(|held| {
        held.0.push(&hold_now(Kind::Sleeping, key, (class, level), place, here.trace()));
    });
}
