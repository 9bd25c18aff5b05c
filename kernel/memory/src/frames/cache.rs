//! Per-CPU caches of free frames: most single frames come from and go to the cache of this
//! CPU, under a lock that no other CPU wants but to take the frames back when memory is out.
//! So a frame can also be had with interrupts off and in their handlers.
//!
//! A cache is filled and emptied by [`BATCH`] frames at a time. When memory is low
//! ([`super::allocator`] decides), all caches are empty and stay so: then every frame is in
//! the bitmap, and what is refused is refused rightly.
//!
//! Order of locks: a cache, then the allocator. No CPU holds two caches.

use arch::cpu::local::MAX_CPUS;
use arch::paging::PhysAddr;
use base::percpu::PerCpu;
use base::sync::IrqOff;
use base::sync::IrqSpinLock;
use base::sync::spin::Guard;

use super::metadata::{Metadata, State};
use super::usage::{COUNT, FrameUse};

/// Most frames in a cache.
const CAPACITY: usize = 128;
/// Frames moved between a cache and the bitmap at once.
pub(super) const BATCH: usize = 64;

/// Free frames that one CPU keeps, and its part of the accounts.
pub(super) struct Cache {
    count: usize,
    /// Most frames that it may have now: [`CAPACITY`], or 0 while the cache is not used.
    limit: usize,
    /// Frames that this CPU handed out less those it took back: together with the other
    /// CPUs' and the allocator's own, the frames in use.
    pub(super) usage: [isize; COUNT],
    frames: [u32; CAPACITY],
}

base::percpu! {
    static CACHE: IrqSpinLock<Cache> = IrqSpinLock::new("frame cache", Cache {
        count: 0, limit: 0, usage: [0; COUNT], frames: [0; CAPACITY],
    });
}

pub(super) type CacheGuard = Guard<'static, Cache, IrqOff>;

/// The cache of this CPU.
#[inline(always)]
pub(super) fn here() -> CacheGuard {
    IrqSpinLock::lock_here(&CACHE)
}

/// The cache of this CPU, unless another one is looking at it just now: for the fast paths.
#[inline(always)]
pub(super) fn try_here() -> Option<CacheGuard> {
    IrqSpinLock::try_lock_here(&CACHE)
}

/// All caches that there are.
pub(super) fn all() -> impl Iterator<Item = (u32, &'static IrqSpinLock<Cache>)> {
    (0..MAX_CPUS as u32).filter_map(|cpu| Some((cpu, PerCpu::of(&CACHE, cpu)?)))
}

impl Cache {
    /// Takes a frame.
    #[inline(always)]
    pub(super) fn pop(&mut self, frame_use: FrameUse) -> Option<PhysAddr> {
        self.count = self.count.checked_sub(1)?;
        self.usage[frame_use as usize] += 1;
        Some(PhysAddr::from_frame(self.frames[self.count % CAPACITY] as usize))
    }

    /// Puts a frame in that was used until now; false if there is no room.
    #[inline(always)]
    pub(super) fn push(&mut self, address: PhysAddr, metadata: &Metadata) -> bool {
        if self.count >= self.limit {
            return false;
        }
        self.usage[metadata.use_index()] -= 1;
        metadata.set_state(State::Cached);
        self.add(address.frame());
        true
    }

    /// Puts a free frame in, for which there must be room.
    #[inline(always)]
    pub(super) fn add(&mut self, frame: usize) {
        self.frames[self.count % CAPACITY] = frame as u32;
        self.count += 1;
    }

    /// Writes a free frame to place `index`; [`Cache::set_len`] takes it in.
    #[inline(always)]
    pub(super) fn put(&mut self, index: usize, frame: usize) {
        self.frames[index % CAPACITY] = frame as u32;
    }

    /// Says how many frames are in it, all of them put in.
    pub(super) fn set_len(&mut self, count: usize) {
        self.count = count.min(CAPACITY);
    }

    /// Frames in it.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_used(&self) -> bool {
        self.limit > 0
    }

    /// Lets it keep frames from now on.
    pub(super) fn use_from_now_on(&mut self) {
        self.limit = CAPACITY;
    }

    /// Gives the `count` frames that it has had longest up, to `to`.
    pub(super) fn give_up(&mut self, count: usize, to: impl FnOnce(&[u32])) {
        let count = count.min(self.count);
        to(&self.frames[..count]);
        self.frames.copy_within(count..self.count, 0);
        self.count -= count;
    }

    /// As [`Cache::give_up`], all of them; and the cache takes none any more.
    pub(super) fn give_up_all(&mut self, to: impl FnOnce(&[u32])) {
        self.give_up(CAPACITY, to);
        self.limit = 0;
    }

    /// The frames in it.
    pub(super) fn frames(&self) -> impl Iterator<Item = usize> {
        self.frames[..self.count].iter().map(|&frame| frame as usize)
    }
}
