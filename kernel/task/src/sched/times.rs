//! What a CPU's time goes to: [`CpuTimes`].
//!
//! All time is counted, at switches and when the timer rings. Whether a program was in user mode
//! or in the kernel is looked at only when the timer rings, so that no system call pays for it:
//! what was found holds for the program until the next look. Time in interrupt handlers is that
//! of whoever was interrupted.

use core::sync::atomic::Ordering;

use base::time;

use super::load;
use super::policy::Policy;
use super::queue::{RunQueue, with_queue_of};
use crate::task::{Sleep, State, Task};

/// What the time of one CPU went to since its start, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Programs in user mode.
    pub user: u64,
    /// The same, of programs that are nicer than usual.
    pub nice: u64,
    /// The kernel, for programs and for itself.
    pub system: u64,
    /// Nothing.
    pub idle: u64,
    /// How often the CPU has gone from one task to another.
    pub switches: u64,
}

impl CpuTimes {
    /// Adds what `task` ran just now.
    #[inline]
    pub(super) fn charge(&mut self, task: &Task, is_idle: bool, ns: u64) {
        if is_idle {
            self.idle += ns;
            return;
        }
        if task.data.get().is_none() || task.in_system.load(Ordering::Relaxed) {
            task.system_ns.fetch_add(ns, Ordering::Relaxed);
            self.system += ns;
        } else if matches!(task.policy(), Policy::Fair { nice: 1.. }) {
            self.nice += ns;
        } else {
            self.user += ns;
        }
    }
}

impl RunQueue {
    /// Notes that the CPU is about to leave `old`, which wants to go on if it was `forced`.
    #[inline]
    pub(super) fn count_switch(&mut self, old: &Task, forced: bool) {
        self.times.switches += 1;
        let [own, taken] = &old.switches;
        let count = if forced { taken } else { own };
        // Under the lock of its queue alone.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let is_deep = old.sleep.load(Ordering::Relaxed) == Sleep::Uninterruptible as u8;
        // The kernel's own tasks wait for work all the time, which is no load.
        if is_deep && !forced && old.state() == State::Blocked && old.data.get().is_some() {
            old.sleep.store(Sleep::Counted as u8, Ordering::Relaxed);
            load::count_uninterruptible(1);
        }
    }
}

/// What the time of CPU `cpu` went to until now; nothing for one that is not there.
pub fn cpu_times(cpu: u32) -> CpuTimes {
    let read = |queue: &mut RunQueue| {
        queue.account(time::now_ns());
        queue.times
    };
    with_queue_of(cpu, read).unwrap_or_default()
}

#[cfg(not(test))]
#[base::kernel_test]
fn all_time_of_a_cpu_goes_somewhere() {
    let sum = |times: CpuTimes| times.user + times.nice + times.system + times.idle;
    let me = crate::current().expect("a test is a task");
    let (before, start) = (cpu_times(0), time::now_ns());
    let (_, own_before) = me.times_ns();
    crate::sleep(30_000_000);
    let busy_until = time::now_ns() + 30_000_000;
    while time::now_ns() < busy_until {
        core::hint::spin_loop();
    }
    let end = time::now_ns();
    let after = cpu_times(0);
    let passed = sum(after) - sum(before);
    assert!(passed >= end - start, "{passed} ns of {}", end - start);
    assert!(passed <= time::now_ns() - start + 60_000_000, "{passed} ns of {}", end - start);
    assert!(after.switches > before.switches || base::smp::online().len() > 1);
    let own = {
        me.cpu_time_ns();
        me.times_ns()
    };
    assert!(
        own.0 == 0 && own.1 >= own_before + 20_000_000,
        "a kernel task is the kernel's: {own:?}"
    );
}
