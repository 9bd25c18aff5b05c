//! What kernel tests of several files need: to start tasks, and to wait with a bound.

use alloc::sync::Arc;
use alloc::vec::Vec;

use arch::cpu::{interrupts, local};
use base::{preempt, time};

use crate::{Task, spawn, yield_now};

/// Nanoseconds that a busy host may make a test wait: far more than anything needs.
pub(crate) const PATIENCE_NS: u64 = 20_000_000_000;

/// The CPU that the caller is on, or was a moment ago.
pub(crate) fn here() -> u32 {
    let _stay = preempt::disable();
    local::cpu_number()
}

/// Starts `count` tasks that run `body`, each with its number from 0 on.
pub(crate) fn start(
    count: usize,
    name: &str,
    body: impl Fn(usize) + Send + Sync + 'static,
) -> Vec<Arc<Task>> {
    let body = Arc::new(body);
    let one = |number| {
        let body = body.clone();
        spawn(name, move || body(number)).expect("memory for a task")
    };
    (0..count).map(one).collect()
}

/// Calls `pause` until `done`; false if that does not come.
fn pause_until(done: impl Fn() -> bool, pause: impl Fn()) -> bool {
    let end = time::now_ns() + PATIENCE_NS;
    while !done() {
        if time::now_ns() > end {
            return false;
        }
        pause();
    }
    true
}

/// Spins until `done`; false if that does not come.
pub(crate) fn spin_until(done: impl Fn() -> bool) -> bool {
    pause_until(done, interrupts::spin_hint)
}

/// Yields until `done`; false if that does not come.
pub(crate) fn comes(done: impl Fn() -> bool) -> bool {
    pause_until(done, yield_now)
}
