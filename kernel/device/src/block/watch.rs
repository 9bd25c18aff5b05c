//! The watch: a task that looks at disks with something to do, so that a request that takes too
//! long is noticed, and a queue that the driver refused to serve is tried again.
//!
//! It sleeps while no disk has anything to do. It looks at a disk four times in the disk's
//! timeout, so that a request is noticed at most a quarter late.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use base::sync::SpinLock;
use base::time;
use memory::OutOfMemory;
use task::{WaitOptions, WaitQueue};

use super::disk::Disk;

/// How often the driver is told that a request takes too long before the disk is given up.
pub(super) const MOST_TIMEOUTS: u64 = 4;
/// Nanoseconds after which a queue that was refused is tried again.
pub(super) const RETRY_NS: u64 = 3_000_000;

static DISKS: SpinLock<Vec<Weak<Disk>>> = SpinLock::new("watched disks", Vec::new());
static WANTED: AtomicBool = AtomicBool::new(false);
static SLEEP: WaitQueue = WaitQueue::new("disks with something to do");
static STARTED: task::Mutex<bool> = task::named_mutex("block watch", false);

/// Nanoseconds between two looks at a disk whose requests may take `timeout` nanoseconds.
pub(super) fn period(timeout: u64) -> u64 {
    (timeout / 4).max(1_000_000)
}

/// Has the watch look at all disks soon. For any context.
pub(super) fn wake() {
    WANTED.store(true, Ordering::Release);
    SLEEP.wake_one();
}

/// Adds a disk, and starts the task with the first. May sleep.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn add(disk: &Arc<Disk>) -> Result<(), OutOfMemory> {
    let mut started = STARTED.lock();
    if !*started {
        task::spawn("block-watch", watch)?;
        *started = true;
    }
    drop(started);
    let mut disks = DISKS.lock();
    disks.retain(|disk| disk.strong_count() > 0);
    disks.try_reserve(1).map_err(|_| OutOfMemory)?;
    disks.push(Arc::downgrade(disk));
    Ok(())
}

/// The disk at `index` of the list, if it still lives.
fn at(index: usize) -> Option<Option<Arc<Disk>>> {
    DISKS.lock().get(index).map(Weak::upgrade)
}

fn watch() {
    let mut next: Option<u64> = None;
    loop {
        let options = WaitOptions { deadline: next, interruptible: false };
        // A deadline that has come is as good as being woken.
        let _ = SLEEP.wait_with(options, || WANTED.swap(false, Ordering::Acquire).then_some(()));
        next = None;
        let mut index = 0;
        while let Some(disk) = at(index) {
            index += 1;
            let at = disk.and_then(|disk| disk.look_after(time::now_ns()));
            next = [next, at].into_iter().flatten().min();
        }
    }
}
