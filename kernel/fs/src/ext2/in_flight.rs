//! [`InFlight`]: the pages of files that are on their way to the disk.
//!
//! A block that a file lost may be used for another file when a batch of everything has been stored
//! that began after that. By then no page may be on its way to it that was sent when it was the
//! first file's: the disk would take it for the second one's. So such a batch waits for all pages
//! that were sent before it began: those sent later go where blocks are then.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use task::WaitQueue;

/// Counts pages on their way, by whether they were sent before the newest batch began.
pub(super) struct InFlight {
    /// How many batches have begun.
    batches: AtomicUsize,
    /// On their way, sent after an even number of batches, or an odd one.
    flying: [AtomicUsize; 2],
    over: WaitQueue,
}

/// Pages on their way: dropped when they have arrived, also in interrupt handlers.
pub(crate) struct Flight {
    all: Arc<InFlight>,
    parity: usize,
}

impl InFlight {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            batches: AtomicUsize::new(0),
            flying: [const { AtomicUsize::new(0) }; 2],
            over: WaitQueue::new("pages of ext2"),
        })
    }

    /// Some are about to be sent. Where they go is to be looked up after this.
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        loop {
            let parity = self.batches.load(Ordering::SeqCst) % 2;
            let flight = Flight { all: self.clone(), parity };
            if let Some(flying) = self.flying.get(parity) {
                flying.fetch_add(1, Ordering::SeqCst);
            }
            if self.batches.load(Ordering::SeqCst) % 2 == parity {
                return flight;
            }
            // A batch began in between, and may not have seen it.
            drop(flight);
        }
    }

    /// A batch of everything begins, and none is on its way: what was freed is not looked up any more. Returns
    /// what is to be waited for.
    pub(super) fn batch_begins(&self) -> usize {
        self.batches.fetch_add(1, Ordering::SeqCst) % 2
    }

    /// Waits until all that was sent before the batch began has arrived. The block layer has a
    /// bound for that.
    pub(super) fn wait(&self, parity: usize) {
        let Some(flying) = self.flying.get(parity) else { return };
        self.over.wait(|| (flying.load(Ordering::SeqCst) == 0).then_some(()));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let before =
            self.all.flying.get(self.parity).map(|flying| flying.fetch_sub(1, Ordering::SeqCst));
        if before == Some(1) {
            self.all.over.wake_all();
        }
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn a_batch_waits_for_what_was_sent_before_it() {
    let all = InFlight::new();
    let before = all.begin();
    let batch = all.batch_begins();
    let after = all.begin();
    assert_ne!(before.parity, after.parity);
    let waiter = {
        let all = all.clone();
        task::spawn("waiter", move || all.wait(batch)).expect("memory for a task")
    };
    task::sleep(2_000_000);
    assert!(!waiter.has_ended());
    drop(before);
    waiter.join();
    // The next one waits for the others.
    assert_eq!(all.batch_begins(), after.parity);
    drop(after);
    all.wait(0);
    all.wait(1);
}
