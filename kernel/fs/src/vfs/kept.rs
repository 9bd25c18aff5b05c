//! Which dentries are kept though nobody may be using them: [`Slots`], one for each, and a hand
//! that goes round when there are none left. It takes the mark off those that were found again
//! since it came by last, and lets those go that had none (the second-chance algorithm).
//!
//! One spin lock, under which nothing is taken. No dentry is dropped under it, since its inode may
//! sleep then.

use alloc::sync::Arc;
use alloc::vec::Vec;

use arrayvec::ArrayVec;
use base::sync::SpinLock;
use memory::OutOfMemory;

use crate::vfs::dentry::Dentry;

/// Dentries that are let go at a time.
pub(super) const BATCH: usize = 16;

struct Slots {
    all: Vec<Option<Arc<Dentry>>>,
    /// Those that are empty.
    free: Vec<u32>,
    /// Where the hand comes by next.
    hand: usize,
}

static SLOTS: SpinLock<Slots> =
    SpinLock::new("kept dentries", Slots { all: Vec::new(), free: Vec::new(), hand: 0 });

/// Makes `count` slots. Call once.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn init(count: usize) -> Result<(), OutOfMemory> {
    let (mut all, mut free) = (Vec::new(), Vec::new());
    all.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    free.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    all.resize_with(count, || None);
    free.extend((0..count as u32).rev());
    *SLOTS.lock() = Slots { all, free, hand: 0 };
    Ok(())
}

/// How many there are.
pub(super) fn len() -> usize {
    let slots = SLOTS.lock();
    slots.all.len() - slots.free.len()
}

impl Slots {
    /// Empties a slot.
    fn take(&mut self, slot: usize) -> Option<Arc<Dentry>> {
        let dentry = self.all.get_mut(slot)?.take()?;
        dentry.set_slot(None);
        self.free.push(slot as u32); // there is room for all
        Some(dentry)
    }

    /// Lets the hand go on by one.
    fn step(&mut self) -> usize {
        let at = self.hand;
        self.hand = if at + 1 < self.all.len() { at + 1 } else { 0 };
        at
    }
}

/// Keeps a dentry that is not kept yet, unless all slots are full of what is used.
pub(super) fn keep(dentry: &Arc<Dentry>) {
    for _ in 0..2 {
        let mut slots = SLOTS.lock();
        if dentry.slot().is_some() {
            return;
        }
        if let Some(slot) = slots.free.pop() {
            if let Some(place) = slots.all.get_mut(slot as usize) {
                *place = Some(dentry.clone());
                dentry.set_slot(Some(slot));
            }
            return;
        }
        drop(slots);
        shrink(BATCH, 4 * BATCH);
    }
}

/// Keeps it no more, whose name is gone.
pub(super) fn let_go(dentry: &Dentry) {
    let kept = {
        let mut slots = SLOTS.lock();
        dentry.slot().and_then(|slot| slots.take(slot))
    };
    drop(kept);
}

/// Lets up to `wanted` dentries go that were not found again since the last time; how many.
/// None that is used by others: it would not be gone. Looks at `turns` dentries at most: once
/// round takes all marks off, twice finds all there is.
pub(super) fn shrink(wanted: usize, mut turns: usize) -> usize {
    let mut gone = 0;
    let mut steps = 2 * SLOTS.lock().all.len();
    while gone < wanted && turns > 0 && steps > 0 {
        let mut batch: ArrayVec<Arc<Dentry>, BATCH> = ArrayVec::new();
        let mut slots = SLOTS.lock();
        for _ in 0..BATCH {
            steps = steps.saturating_sub(1);
            let slot = slots.step();
            let unused = |dentry: &Arc<Dentry>| {
                turns = turns.saturating_sub(1);
                !dentry.take_used() && Arc::strong_count(dentry) == 1
            };
            if slots.all.get(slot).and_then(Option::as_ref).is_some_and(unused) {
                batch.extend(slots.take(slot));
            }
        }
        drop(slots);
        gone += batch.len();
    }
    gone
}

/// Lets all go that `unwanted` says.
pub(super) fn forget(unwanted: impl Fn(&Dentry) -> bool) {
    let mut at = 0;
    loop {
        let mut batch: ArrayVec<Arc<Dentry>, BATCH> = ArrayVec::new();
        let mut slots = SLOTS.lock();
        // Not all at once: others wait for the lock.
        let end = slots.all.len().min(at + 16 * BATCH);
        while at < end && !batch.is_full() {
            if slots.all.get(at).and_then(Option::as_ref).is_some_and(|dentry| unwanted(dentry)) {
                batch.extend(slots.take(at));
            }
            at += 1;
        }
        let is_over = at >= slots.all.len();
        drop(slots);
        if is_over {
            return;
        }
    }
}
