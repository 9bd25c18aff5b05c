//! Reclaim: when memory is out, those who keep memory that they could do without are asked
//! to free it. Each registers a shrinker once.
//!
//! A shrinker of the first kind is called by the frame allocator itself, whatever the
//! caller holds: it takes locks with `try_lock` alone, and never sleeps. One that may sleep is
//! called by [`reclaim`] only, from a task that holds nothing.

use core::sync::atomic::{AtomicUsize, Ordering};

use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;

use crate::frames;

/// Frees memory, some `frames` frames if it can, and returns how many frames it freed.
pub type Shrink = fn(frames: usize) -> usize;

/// What a shrinker may be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By any allocation: it must neither sleep nor wait for a lock.
    Anywhere,
    /// Only where a task may sleep.
    MaySleep,
}

/// Most shrinkers.
const MOST: usize = 8;

#[derive(Clone, Copy)]
struct Shrinker {
    name: &'static str,
    kind: Kind,
    shrink: Shrink,
}

static SHRINKERS: IrqSpinLock<ArrayVec<Shrinker, MOST>> =
    IrqSpinLock::new("shrinkers", ArrayVec::new_const());

/// Frames that each has freed so far.
static SHRUNK: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// Calls `visit` with each shrinker's name, and how many frames it has freed so far.
pub fn for_each(mut visit: impl FnMut(&'static str, usize)) {
    for (index, shrunk) in SHRUNK.iter().enumerate() {
        let Some(shrinker) = SHRINKERS.lock().get(index).copied() else { break };
        visit(shrinker.name, shrunk.load(Ordering::Relaxed));
    }
}

/// Registers a shrinker, to be asked after those that were registered before.
///
/// # Panics
/// If there are too many.
pub fn register(name: &'static str, kind: Kind, shrink: Shrink) {
    SHRINKERS.lock().push(Shrinker { name, kind, shrink });
}

fn ask(frames: usize, may_sleep: bool) -> usize {
    let mut freed = 0;
    for (index, shrunk) in SHRUNK.iter().enumerate() {
        // Called without the lock: a shrinker may take its time.
        let Some(shrinker) = SHRINKERS.lock().get(index).copied() else { break };
        if freed >= frames {
            break;
        }
        if may_sleep || shrinker.kind == Kind::Anywhere {
            let part = (shrinker.shrink)(frames - freed);
            freed += part;
            shrunk.fetch_add(part, Ordering::Relaxed);
        }
    }
    freed
}

/// Asks the shrinkers for some `frames` free frames, until they are there. Returns how many
/// came, which may be more or less. May sleep; the caller holds no lock.
pub fn reclaim(frames: usize) -> usize {
    base::sync::assert_may_sleep();
    let freed = ask(frames, true);
    frames::drain_caches();
    freed
}

/// As [`reclaim`], without those that may sleep: under any lock.
pub(crate) fn reclaim_now(frames: usize) -> usize {
    ask(frames, false)
}

#[cfg(not(test))]
#[base::kernel_test]
fn what_is_kept_ready_is_reclaimed() {
    use crate::kernel_space::{KernelStack, stack};
    drop(KernelStack::allocate().expect("memory at boot"));
    let kept = stack::statistics().cached;
    assert!(kept > 0);
    let (before, frames) = (frames::statistics(), kept * (stack::STACK_BYTES / 4096) as usize);
    let freed = reclaim(usize::MAX);
    let after = frames::statistics();
    // Another task may end, and its stack be kept, meanwhile.
    assert!(stack::statistics().cached < kept);
    assert!(freed >= frames && after.free >= before.free + frames, "{before:?}, {after:?}");
}
