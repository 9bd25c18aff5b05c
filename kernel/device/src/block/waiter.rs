//! [`Waiter`]: the [`Completion`] of a task that sleeps until its request has ended.

use alloc::sync::Arc;

use base::sync::IrqSpinLock;
use base::time;
use task::{WaitError, WaitOptions, WaitQueue};

use super::disk::Disk;
use super::error::BlockError;
use super::request::{Completion, Finished};
use super::segment::Segments;
use super::watch;

/// Nanoseconds between two looks at whether the disk was given up.
const LOOK_NS: u64 = 1_000_000_000;

/// Where one task waits for one request.
pub struct Waiter {
    finished: IrqSpinLock<Option<Finished>>,
    sleep: WaitQueue,
}

impl Waiter {
    /// A waiter for a request that it is made the completion of.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            finished: IrqSpinLock::new("block waiter", None),
            sleep: WaitQueue::new("a disk"),
        })
    }

    /// Sleeps until the request, which was submitted to `disk`, has ended; no signal ends that.
    /// Returns its memory. If the disk was given up because its driver does not bring back
    /// requests, that is the end too: the memory stays with the driver then.
    ///
    /// # Errors
    /// As the request ended.
    pub fn wait(&self, disk: &Disk) -> Result<Segments, BlockError> {
        let since = time::now_ns();
        loop {
            let finished =
                self.sleep.wait_with(WaitOptions::within(LOOK_NS), || self.finished.lock().take());
            match finished {
                Ok(finished) => return finished.result.map(|()| finished.segments),
                Err(WaitError::TimedOut | WaitError::Interrupted) => {}
            }
            let waited = time::now_ns().saturating_sub(since);
            if disk.is_gone() && waited > (watch::MOST_TIMEOUTS + 2) * disk.timeout_ns() {
                return Err(BlockError::TimedOut);
            }
        }
    }
}

impl Completion for Waiter {
    fn finished(&self, finished: Finished) {
        *self.finished.lock() = Some(finished);
        self.sleep.wake_one();
    }
}
