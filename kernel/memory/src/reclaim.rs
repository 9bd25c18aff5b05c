//! Reclaim: when memory is out, those who keep memory that they could do without are asked
//! to free it. Each registers a shrinker once.
//!
//! A shrinker of the first kind is called by the frame allocator itself, whatever the
//! caller holds: it takes locks with `try_lock` alone, and never sleeps. One that may sleep is
//! called by [`reclaim`] only, from a task that holds nothing.

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

#[derive(Clone, Copy)]
struct Shrinker {
    name: &'static str,
    kind: Kind,
    shrink: Shrink,
}

static SHRINKERS: IrqSpinLock<ArrayVec<Shrinker, 16>> =
    IrqSpinLock::new("shrinkers", ArrayVec::new_const());

/// Registers a shrinker, to be asked after those that were registered before.
///
/// # Panics
/// If there are too many.
pub fn register(name: &'static str, kind: Kind, shrink: Shrink) {
    SHRINKERS.lock().push(Shrinker { name, kind, shrink });
}

fn ask(frames: usize, may_sleep: bool) -> usize {
    let shrinkers = SHRINKERS.lock().clone();
    let mut freed = 0;
    for shrinker in shrinkers.iter().filter(|s| may_sleep || s.kind == Kind::Anywhere) {
        let part = (shrinker.shrink)(frames.saturating_sub(freed));
        freed += part;
        if part > 0 {
            log::debug!("reclaim: {part} frames from {}", shrinker.name);
        }
        if freed >= frames {
            break;
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
