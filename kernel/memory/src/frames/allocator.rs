//! The frame allocator: the zones with their lock, what is done when a CPU's cache cannot
//! help, and the counts.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arch::boot::BOOT_MAPPED_BYTES;
use arch::paging::{PAGE_SIZE, PhysAddr};
use base::sync::IrqSpinLock;

use super::cache::{self, BATCH, Cache};
use super::metadata::{self, Metadata, State};
use super::usage::{COUNT, FrameUse};
use super::zones::Zones;
use crate::{OutOfMemory, reclaim};

/// The state behind the lock.
pub(super) struct Allocator {
    pub(super) zones: Zones,
    /// Frames that are not for users: see [`FrameUse::is_for_user`].
    reserve: usize,
    /// First frame number that the page tables in use do not show.
    reach: usize,
    /// Frames handed out less those taken back by no CPU's cache.
    usage: [isize; COUNT],
}

pub(super) static ALLOCATOR: IrqSpinLock<Option<Allocator>> = IrqSpinLock::new("frames", None);

/// Each CPU has its own copy of the per-CPU variables.
static HAS_CACHES: AtomicBool = AtomicBool::new(false);
/// Few frames are left: no CPU keeps any for itself.
static IS_LOW: AtomicBool = AtomicBool::new(false);

/// [`Statistics::total`].
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// [`Statistics::reserve`].
static RESERVE: AtomicUsize = AtomicUsize::new(0);

/// Lets CPUs keep free frames. To be called when this one runs on its own copy of the
/// per-CPU variables.
pub(crate) fn use_caches() {
    HAS_CACHES.store(true, Ordering::Relaxed);
    let Statistics { total, reserve, .. } = statistics();
    TOTAL.store(total, Ordering::Relaxed);
    RESERVE.store(reserve, Ordering::Relaxed);
}

/// Hands out all frames from now on: the kernel's own page tables show them.
pub(crate) fn use_all_memory() {
    if let Some(allocator) = ALLOCATOR.lock().as_mut() {
        allocator.reach = usize::MAX;
    }
}

/// Whether [`use_caches`] was called.
pub(crate) fn has_caches() -> bool {
    HAS_CACHES.load(Ordering::Relaxed)
}

impl Allocator {
    pub(super) fn new(zones: Zones) -> Self {
        let total = zones.free();
        let reserve = (total / 64).clamp(64, 4096).min(total / 4);
        let reach = (BOOT_MAPPED_BYTES / PAGE_SIZE) as usize;
        Self { zones, reserve, reach, usage: [0; COUNT] }
    }

    fn total(&self) -> usize {
        self.zones.0.iter().map(|zone| zone.total).sum()
    }

    /// Sees whether few frames are left. True if that is new.
    fn becomes_low(&self) -> bool {
        let is_low = self.zones.free() <= 2 * self.reserve + 8 * BATCH;
        !IS_LOW.swap(is_low, Ordering::Relaxed) && is_low
    }

    /// Whether `count` frames may be taken.
    fn may_take(&self, count: usize, frame_use: FrameUse) -> bool {
        let kept = if frame_use.is_for_user() { self.reserve } else { 0 };
        self.zones.free().checked_sub(count).is_some_and(|left| left >= kept)
    }

    /// Takes a frame, and some for `cache`.
    fn take_one(&mut self, cache: &mut Cache, frame_use: FrameUse) -> Option<PhysAddr> {
        if !self.may_take(1, frame_use) {
            return None;
        }
        if cache.len() == 0 && HAS_CACHES.load(Ordering::Relaxed) && !IS_LOW.load(Ordering::Relaxed)
        {
            cache.use_from_now_on();
            let mut count = cache.len();
            self.zones.take_some(BATCH, usize::MAX, |frame| {
                metadata::of_frame(frame).set_state(State::Cached);
                cache.put(count, frame);
                count += 1;
            });
            cache.set_len(count);
        }
        cache.pop(frame_use).or_else(|| {
            let frame = self.zones.take_run(1, 1, self.reach)?;
            self.usage[frame_use as usize] += 1;
            Some(PhysAddr::from_frame(frame))
        })
    }

    /// Takes free frames back, from a cache.
    fn put_back(&mut self, frames: &[u32]) {
        for &frame in frames {
            metadata::of(PhysAddr::from_frame(frame as usize)).set_state(State::Free);
        }
        expect_order(self.zones.release_some(frames));
    }
}

/// The bitmap and the metadata say the same of every frame.
fn expect_order(result: Result<(), bitmap::FrameError>) {
    if let Err(error) = result {
        panic!("the free frames are in disorder: {error}");
    }
}

/// Counts, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Handed out and free together: RAM without what the kernel image, the loader's
    /// data and the allocator's own tables take.
    pub total: usize,
    /// Free now, those that CPUs keep among them.
    pub free: usize,
    /// Of the free ones, kept for the kernel.
    pub reserve: usize,
    /// Of the free ones, kept by CPUs for themselves.
    pub cached: usize,
}

/// The counts of now, exact if no other CPU allocates or frees meanwhile; all zero before
/// the allocator is there.
pub fn statistics() -> Statistics {
    let cached = cache::all().map(|(_, cache)| cache.lock().len()).sum::<usize>();
    ALLOCATOR.lock().as_ref().map_or(Statistics::default(), |allocator| Statistics {
        total: allocator.total(),
        free: allocator.zones.free() + cached,
        reserve: allocator.reserve,
        cached,
    })
}

/// For each use, how many frames are handed out for it; exact as [`statistics`].
pub fn usage() -> impl Iterator<Item = (FrameUse, usize)> {
    let mut sum = ALLOCATOR.lock().as_ref().map(|allocator| allocator.usage).unwrap_or_default();
    for (_, cache) in cache::all() {
        sum.iter_mut().zip(cache.lock().usage).for_each(|(sum, part)| *sum += part);
    }
    FrameUse::ALL.into_iter().zip(sum.map(|count| count.max(0) as usize))
}

/// How many frames are handed out for `frame_use`; exact as [`statistics`].
pub fn frames_for(frame_use: FrameUse) -> usize {
    usage().find(|(of, _)| *of == frame_use).map_or(0, |(_, count)| count)
}

/// For each CPU that has a cache, how many free frames it keeps.
pub fn cached_frames() -> impl Iterator<Item = (u32, usize)> {
    cache::all().map(|(cpu, cache)| (cpu, cache.lock().len()))
}

/// A stretch of RAM, in bytes and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneStatistics {
    /// First byte, and the first behind it.
    pub range: (PhysAddr, PhysAddr),
    /// Frames that are the allocator's.
    pub total: usize,
    /// Free, without those that CPUs keep.
    pub free: usize,
}

/// Calls `visit` with each zone.
pub fn zones(mut visit: impl FnMut(ZoneStatistics)) {
    let mut zones = arrayvec::ArrayVec::<_, { super::zones::MAX_ZONES }>::new();
    if let Some(allocator) = ALLOCATOR.lock().as_ref() {
        zones.extend(allocator.zones.0.iter().map(|zone| ZoneStatistics {
            range: zone.range(),
            total: zone.total,
            free: zone.free(),
        }));
    }
    zones.into_iter().for_each(&mut visit);
}

/// Frames that are handed out and free together, without taking a lock.
pub fn total() -> usize {
    TOTAL.load(Ordering::Relaxed)
}

/// Frames kept for the kernel, without taking a lock; 0 before there are caches.
pub(super) fn reserve() -> usize {
    RESERVE.load(Ordering::Relaxed)
}

/// Whether few frames are left.
pub(super) fn is_low() -> bool {
    IS_LOW.load(Ordering::Relaxed)
}

/// Takes one frame that this CPU keeps.
#[inline(always)]
pub(super) fn take_at_hand(frame_use: FrameUse) -> Option<PhysAddr> {
    let address = cache::try_here()?.pop(frame_use)?;
    metadata::hand_out(address, frame_use);
    Some(address)
}

/// Takes one frame.
#[inline(never)]
pub(super) fn take_one(frame_use: FrameUse) -> Result<PhysAddr, OutOfMemory> {
    take_at_hand(frame_use).map_or_else(|| take_one_slowly(frame_use), Ok)
}

/// What is done for frames that are not at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Nothing: the caller has another way.
    Glance,
    /// Caches are drained, and memory is reclaimed.
    Insist,
}

/// Calls `take` until it succeeds, and sees to more free frames in between.
fn insist<T>(
    count: usize,
    effort: Effort,
    mut take: impl FnMut() -> Option<T>,
) -> Result<T, OutOfMemory> {
    if let Some(taken) = take() {
        return Ok(taken);
    }
    if effort == Effort::Glance {
        return Err(OutOfMemory);
    }
    drain_caches();
    if let Some(taken) = take() {
        return Ok(taken);
    }
    if reclaim::reclaim_now(count) > 0 {
        drain_caches();
        return take().ok_or(OutOfMemory);
    }
    Err(OutOfMemory)
}

#[cold]
#[inline(never)]
fn take_one_slowly(frame_use: FrameUse) -> Result<PhysAddr, OutOfMemory> {
    let mut becomes_low = false;
    let taken = insist(BATCH, Effort::Insist, || {
        let mut cache = cache::here();
        let mut guard = ALLOCATOR.lock();
        let allocator = guard.as_mut()?;
        // None, but for a cache that was locked before, or another CPU's.
        let taken = cache.pop(frame_use).or_else(|| allocator.take_one(&mut cache, frame_use));
        becomes_low |= allocator.becomes_low();
        taken
    });
    if becomes_low {
        drain_caches();
    }
    metadata::hand_out(taken?, frame_use);
    taken
}

/// Takes `count` neighbouring frames, the first a multiple of `align` frames (a power of
/// two), all below physical address `below`.
pub(super) fn take_run(
    count: usize,
    align: usize,
    below: u64,
    frame_use: FrameUse,
    effort: Effort,
) -> Result<PhysAddr, OutOfMemory> {
    if count == 1 && align <= 1 && below == u64::MAX {
        return take_one(frame_use);
    }
    let limit = (below / PAGE_SIZE) as usize;
    let mut becomes_low = false;
    let first = insist(count, effort, || {
        let mut guard = ALLOCATOR.lock();
        let allocator = guard.as_mut()?;
        if !allocator.may_take(count, frame_use) {
            return None;
        }
        let first = allocator.zones.take_run(count, align, limit.min(allocator.reach))?;
        allocator.usage[frame_use as usize] += count as isize;
        becomes_low |= allocator.becomes_low();
        Some(first)
    })?;
    if becomes_low {
        drain_caches();
    }
    for frame in first..first + count {
        metadata::hand_out(PhysAddr::from_frame(frame), frame_use);
    }
    Ok(PhysAddr::from_frame(first))
}

/// Frees a frame that nobody holds a reference to.
#[inline(always)]
pub(super) fn give_back_one(address: PhysAddr, metadata: &Metadata) {
    if let Some(mut cache) = cache::try_here()
        && cache.push(address, metadata)
    {
        return;
    }
    give_back_slowly(address);
}

#[cold]
#[inline(never)]
fn give_back_slowly(address: PhysAddr) {
    let mut cache = cache::here();
    let metadata = metadata::of(address);
    if cache.push(address, metadata) {
        return;
    }
    let mut guard = ALLOCATOR.lock();
    let Some(allocator) = guard.as_mut() else {
        panic!("a frame is freed before there is an allocator");
    };
    allocator.becomes_low();
    if cache.is_used() {
        cache.give_up(BATCH, |frames| allocator.put_back(frames));
    } else if HAS_CACHES.load(Ordering::Relaxed) && !IS_LOW.load(Ordering::Relaxed) {
        cache.use_from_now_on();
    }
    if !cache.push(address, metadata) {
        allocator.usage[metadata.use_index()] -= 1;
        allocator.put_back(&[address.frame() as u32]);
    }
}

/// Frees `count` frames, none or some in a row, that nobody holds a reference to.
pub(super) fn give_back(start: PhysAddr, count: usize) {
    match count {
        0 => return,
        1 => return give_back_one(start, metadata::of(start)),
        _ => {}
    }
    let mut guard = ALLOCATOR.lock();
    let Some(allocator) = guard.as_mut() else {
        panic!("frames are freed before there is an allocator");
    };
    for index in 0..count as u64 {
        let metadata = metadata::of(start.offset(index * PAGE_SIZE));
        allocator.usage[metadata.use_index()] -= 1;
        metadata.set_state(State::Free);
    }
    expect_order(allocator.zones.release(start.frame(), count));
    allocator.becomes_low();
}

/// Puts the free frames that CPUs keep back into the bitmap. Returns how many those were.
/// For callers that hold no cache and not the allocator.
pub(crate) fn drain_caches() -> usize {
    if !HAS_CACHES.load(Ordering::Relaxed) {
        return 0;
    }
    let mut drained = 0;
    for (_, cache) in cache::all() {
        let mut cache = cache.lock();
        drained += cache.len();
        if let Some(allocator) = ALLOCATOR.lock().as_mut() {
            cache.give_up_all(|frames| allocator.put_back(frames));
            allocator.becomes_low();
        }
    }
    drained
}

/// Gives frames to the allocator that have no owner: loader data that nobody needs any
/// more.
///
/// # Safety
/// Nothing refers to the memory any more, and no owner of these frames exists.
pub unsafe fn free_unowned(start: PhysAddr, count: usize) {
    if let Some(allocator) = ALLOCATOR.lock().as_mut() {
        allocator.zones.add_total(start.frame(), count);
        TOTAL.store(allocator.total(), Ordering::Relaxed);
        allocator.usage[FrameUse::Other as usize] += count as isize;
    }
    for index in 0..count as u64 {
        let address = start.offset(index * PAGE_SIZE);
        assert_eq!(metadata::of(address).state(), State::Unmanaged, "the frame at {address}");
        metadata::hand_out(address, FrameUse::Other);
    }
    super::release::release_frames(start, count);
}
