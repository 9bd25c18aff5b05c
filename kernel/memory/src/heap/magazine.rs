//! Magazines: for each CPU and size class some free objects, in front of the slabs. They move
//! between the two several at a time. What a magazine has counts as used in its slab.
//!
//! Order of locks: the magazines of a CPU, then a class's slabs, then the frames. No CPU holds
//! two CPUs' magazines.

use arch::cpu::local::MAX_CPUS;
use base::percpu::PerCpu;
use base::sync::IrqSpinLock;

use super::slab::{CLASSES, Cache};
use super::{CACHES, poison};
use crate::frames;

/// Most objects of a class.
const CAPACITY: usize = 16;
const COUNT: usize = CLASSES.len();

/// The magazines of one CPU.
pub(super) struct Magazines {
    count: [u8; COUNT],
    /// Most objects of each class now; 0 until this CPU has its own per-CPU variables.
    limit: [u8; COUNT],
    objects: [[usize; CAPACITY]; COUNT],
}

base::percpu! {
    static MAGAZINES: IrqSpinLock<Magazines> = IrqSpinLock::new("heap magazine", Magazines {
        count: [0; COUNT], limit: [0; COUNT], objects: [[0; CAPACITY]; COUNT],
    });
}

/// How many objects of a class a magazine keeps: at most 4 KiB of the larger ones.
const LIMITS: [u8; COUNT] = {
    let mut limits = [CAPACITY as u8; COUNT];
    let mut class = 0;
    while class < COUNT {
        let fit = 4096 / CLASSES[class].size;
        if fit < CAPACITY {
            limits[class] = fit as u8;
        }
        class += 1;
    }
    limits
};

impl Magazines {
    #[inline(always)]
    fn pop(&mut self, class: usize) -> Option<*mut u8> {
        let count = self.count[class].checked_sub(1)?;
        self.count[class] = count;
        Some(self.objects[class][count as usize % CAPACITY] as *mut u8)
    }

    #[inline(always)]
    fn push(&mut self, class: usize, object: *mut u8) -> bool {
        let count = self.count[class];
        if count >= self.limit[class] {
            return false;
        }
        self.objects[class][count as usize % CAPACITY] = object as usize;
        self.count[class] = count + 1;
        true
    }

    /// Gives the objects of a class that are above `keep` back to its slabs, `cache`.
    fn give_back(&mut self, class: usize, keep: u8, cache: &mut Cache) {
        while self.count[class] > keep
            && let Some(object) = self.pop(class)
        {
            // SAFETY: it was put in by `deallocate` or came from this class's slabs, and nobody
            // has it.
            unsafe { cache.free(object) };
        }
    }
}

/// An object of `class`, or null when memory is out.
#[inline(never)] // or it would stand in every place that allocates
pub(super) fn allocate(class: usize) -> *mut u8 {
    if let Some(mut magazines) = IrqSpinLock::try_lock_here(&MAGAZINES)
        && let Some(object) = magazines.pop(class)
    {
        drop(magazines);
        check(object, class);
        return object;
    }
    allocate_slowly(class)
}

fn check(object: *mut u8, class: usize) {
    if cfg!(debug_assertions) {
        // SAFETY: a free object of this class, taken out by the caller: `deallocate` or the slab
        // has filled it.
        unsafe { poison::check(object, CLASSES[class].size) };
    }
}

#[cold]
#[inline(never)]
fn allocate_slowly(class: usize) -> *mut u8 {
    // Without the magazines' lock: the slabs may ask for frames, and these for magazines.
    let object = CACHES[class].lock().allocate();
    if object.is_null() {
        return object;
    }
    if frames::has_caches() {
        let mut magazines = IrqSpinLock::lock_here(&MAGAZINES);
        magazines.limit[class] = LIMITS[class];
        let mut cache = CACHES[class].lock();
        // What is at hand: no new slab for a stock.
        while magazines.count[class] < LIMITS[class] / 2
            && let Some(object) = cache.allocate_at_hand()
        {
            magazines.push(class, object);
        }
    }
    check(object, class);
    object
}

/// Takes an object of `class` back.
///
/// # Safety
/// `object` came from [`allocate`] for that class, and is not used any more.
#[inline(never)]
pub(super) unsafe fn deallocate(object: *mut u8, class: usize, places: poison::Places) {
    if cfg!(debug_assertions) {
        // SAFETY: an object of this class that the caller gives up.
        unsafe { poison::fill(object, CLASSES[class].size, places) };
    }
    if let Some(mut magazines) = IrqSpinLock::try_lock_here(&MAGAZINES)
        && magazines.push(class, object)
    {
        return;
    }
    deallocate_slowly(object, class);
}

#[cold]
#[inline(never)]
fn deallocate_slowly(object: *mut u8, class: usize) {
    let mut magazines = IrqSpinLock::lock_here(&MAGAZINES);
    let limit = magazines.limit[class];
    let mut cache = CACHES[class].lock();
    if magazines.count[class] == limit {
        magazines.give_back(class, limit / 2, &mut cache);
    }
    if !magazines.push(class, object) {
        // SAFETY: `deallocate`'s caller gave it up, and it is in no magazine.
        unsafe { cache.free(object) };
    }
}

fn all() -> impl Iterator<Item = &'static IrqSpinLock<Magazines>> {
    (0..MAX_CPUS as u32).filter_map(|cpu| PerCpu::of(&MAGAZINES, cpu))
}

/// How many objects of `class` magazines have.
pub(super) fn held(class: usize) -> usize {
    all().map(|magazines| usize::from(magazines.lock().count[class])).sum()
}

/// Gives what magazines have back to the slabs, and the empty slabs back. Neither waits for a
/// lock nor sleeps. Returns how many frames that freed.
pub(super) fn shrink() -> usize {
    for magazines in all() {
        if let Some(mut magazines) = magazines.try_lock() {
            for (class, cache) in CACHES.iter().enumerate() {
                // The caller may hold one.
                if let Some(mut cache) = cache.try_lock() {
                    magazines.give_back(class, 0, &mut cache);
                }
            }
        }
    }
    let free_empty =
        |cache: &IrqSpinLock<Cache>| cache.try_lock().map_or(0, |mut cache| cache.free_empty());
    CACHES.iter().map(free_empty).sum()
}
