//! Preemption: counted per CPU, and caught up when the count falls to zero.
//!
//! A CPU may take the running kernel thread away at the end of any interrupt, unless
//! its count is not zero. Somebody who wants another thread to run sets
//! [`RESCHEDULE`] in the running thread's word of pending work; the switch happens at
//! the next moment that allows it.

use core::marker::PhantomData;

use arch::cpu::{interrupts, local};
use spin::Once;

use crate::sync::cpus::Recorded;
use crate::sync::held::Kind;

/// Bit of a thread's pending word: another thread should run.
pub const RESCHEDULE: u32 = 1 << 0;
/// Bit of a thread's pending word: its process wants it to look at a signal or to end.
pub const SIGNAL: u32 = 1 << 1;
/// Bit of a thread's pending word: it lost its CPU for a while in the middle of user code.
pub const SWITCHED: u32 = 1 << 2;

static SCHEDULE: Once<fn()> = Once::new();

/// Registers the scheduler's entry: called with preemption possible and interrupts on
/// or off as they were, when [`RESCHEDULE`] is set in the running thread's word.
pub fn set_schedule_hook(hook: fn()) {
    SCHEDULE.call_once(|| hook);
}

/// Preemption is off until this is dropped; the thread stays on its CPU.
#[must_use = "preemption is on again when this is dropped"]
#[derive(Debug)]
pub struct PreemptGuard {
    recorded: Recorded,
    not_send: PhantomData<*const ()>,
}

/// Turns preemption off.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub fn disable() -> PreemptGuard {
    local::preempt_count_increment();
    PreemptGuard { recorded: Recorded::new(Kind::Preempt), not_send: PhantomData }
}

/// As [`disable`], for a lock: the lock is recorded, and not this.
#[inline(always)]
pub(crate) fn disable_for_lock() -> PreemptGuard {
    local::preempt_count_increment();
    PreemptGuard { recorded: Recorded::NO, not_send: PhantomData }
}

impl Drop for PreemptGuard {
    #[inline(always)]
    fn drop(&mut self) {
        self.recorded.end(Kind::Preempt);
        if local::preempt_count_decrement() && local::pending() & RESCHEDULE != 0 {
            catch_up();
        }
    }
}

#[cold]
fn catch_up() {
    // With interrupts off the caller is in the middle of something; the end of the
    // next interrupt, or of the system call, catches up.
    if interrupts::enabled() {
        schedule_if_wanted();
    }
}

/// Lets the scheduler run if it wants to and preemption is on.
pub fn schedule_if_wanted() {
    if local::preempt_count() == 0
        && local::pending() & RESCHEDULE != 0
        && let Some(schedule) = SCHEDULE.get()
    {
        schedule();
    }
}

/// Whether the caller may not sleep: preemption or interrupts are off.
pub fn in_atomic() -> bool {
    local::preempt_count() != 0 || !interrupts::enabled()
}
