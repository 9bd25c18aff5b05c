//! Per-frame metadata: one [`Metadata`] for each frame of RAM, in an array of its own part of
//! the address space, by frame number. Only what describes RAM is mapped, so a hole in the
//! memory map costs nothing.
//!
//! | state | references | who may change the entry |
//! |---|---|---|
//! | `Unmanaged` | 0 | nobody: firmware, the image, the allocator's own tables |
//! | `Free` | 0 | the allocator, under its lock |
//! | `Cached` | 0 | the holder of the lock of the CPU's cache that has the frame |
//! | `Used` | 1 or more | the count: holders of references; the rest: who uses the frame |
//!
//! The count of a used frame grows only by a holder of a reference, so whoever takes it from
//! 1 to 0 is alone with the frame.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use arch::boot::BOOT_MAPPED_BYTES;
use arch::cpu::control;
use arch::paging::{
    EntryFlags, FRAME_METADATA_BASE, FrameSource, PAGE_SIZE, PageSize, PageTable, PhysAddr,
    TOP_LEVEL_SLOT, VirtAddr,
};
use base::symbols::Caller;
use static_assertions::const_assert;

#[cfg(debug_assertions)]
use super::poison;
use super::usage::{COUNT, FrameUse};
use super::zones::{Bounds, Zones};
use crate::OutOfMemory;

/// What is known of one frame.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Metadata {
    /// For the floors that use the frame.
    pub(super) mapping: AtomicU64,
    /// Owners and mappings.
    pub(super) references: AtomicU32,
    /// [`State`] in the low byte, above it the use.
    word: AtomicU32,
    /// Where it was freed last, as an offset of a return address from the image's base;
    /// 0 for never.
    #[cfg(debug_assertions)]
    freed_at: AtomicU32,
    /// Not 0: the frame is free and holds poison.
    #[cfg(debug_assertions)]
    poisoned: AtomicU32,
}
const_assert!(size_of::<Metadata>() == if cfg!(debug_assertions) { 24 } else { 16 });

/// Bytes of metadata per frame.
pub const METADATA_BYTES: usize = size_of::<Metadata>();

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Not the allocator's.
    Unmanaged,
    /// Free, in the bitmap.
    Free,
    /// Free, in the cache of a CPU.
    Cached,
    /// Handed out.
    Used,
}

impl Metadata {
    pub(super) fn state(&self) -> State {
        match self.word.load(Ordering::Relaxed) as u8 {
            0 => State::Unmanaged,
            1 => State::Free,
            2 => State::Cached,
            _ => State::Used,
        }
    }

    pub(super) fn references(&self) -> u32 {
        self.references.load(Ordering::Relaxed)
    }

    /// The place of a used frame's use in a table.
    #[inline(always)]
    pub(super) fn use_index(&self) -> usize {
        (self.word.load(Ordering::Relaxed) >> 8) as usize % COUNT
    }

    /// For whoever may change the entry.
    #[inline(always)]
    pub(super) fn set_state(&self, state: State) {
        self.word.store(state as u32, Ordering::Relaxed);
    }

    /// The frame has one owner from now on, the caller. For [`hand_out`].
    #[inline(always)]
    fn use_for(&self, frame_use: FrameUse) {
        self.mapping.store(0, Ordering::Relaxed);
        self.word.store(State::Used as u32 | (frame_use as u32) << 8, Ordering::Relaxed);
        self.references.store(1, Ordering::Relaxed);
    }

    /// Remembers who frees the frame at `address`, which the caller is alone with, and fills
    /// it with poison; `index` is its place in a run.
    #[inline(always)]
    pub(super) fn note_freed(&self, _address: PhysAddr, _index: usize, _caller: u64) {
        #[cfg(debug_assertions)]
        {
            self.freed_at
                .store(_caller.wrapping_sub(arch::paging::IMAGE_BASE) as u32, Ordering::Relaxed);
            if _index < poison::MOST {
                poison::fill(_address);
                self.poisoned.store(1, Ordering::Relaxed);
            }
        }
    }

    /// Who freed the frame last.
    pub(super) fn freed_by(&self) -> Option<Caller> {
        #[cfg(debug_assertions)]
        {
            let code = self.freed_at.load(Ordering::Relaxed);
            (code != 0).then(|| Caller(arch::paging::IMAGE_BASE + u64::from(code)))
        }
        #[cfg(not(debug_assertions))]
        None
    }
}

/// Prints who freed a frame last, if that is known.
pub(super) struct Freed(pub(super) Option<Caller>);

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |caller| write!(f, ": freed by {caller}"))
    }
}

/// First frame number behind all RAM; 0 until the array is there.
static FRAMES: AtomicUsize = AtomicUsize::new(0);
/// Frames that the array takes, its page tables not counted.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Frames that the metadata itself takes.
pub fn metadata_frames() -> usize {
    TAKEN.load(Ordering::Relaxed)
}

fn entry(frame: usize) -> *const Metadata {
    (FRAME_METADATA_BASE as *const Metadata).wrapping_add(frame)
}

/// The metadata of the frame at `address`, which is RAM: other addresses may fault.
///
/// # Panics
/// If `address` lies behind all RAM.
#[inline(always)]
pub(super) fn of(address: PhysAddr) -> &'static Metadata {
    of_frame(address.frame())
}

/// As [`of`], by frame number.
///
/// # Panics
/// As [`of`].
#[inline(always)]
pub(super) fn of_frame(frame: usize) -> &'static Metadata {
    if frame >= FRAMES.load(Ordering::Relaxed) {
        not_ram(frame);
    }
    // SAFETY: `build` mapped zeroed memory, which is a valid entry of atomics, for all RAM
    // below `FRAMES`, for good; a frame number in a hole of the memory map faults.
    unsafe { &*entry(frame) }
}

/// What the frame at `address` is used for; `None` if it is free.
pub(crate) fn use_of(address: PhysAddr) -> Option<FrameUse> {
    let metadata = of(address);
    let is_used = metadata.state() == State::Used;
    FrameUse::ALL.get(metadata.use_index()).copied().filter(|_| is_used)
}

/// Whether the frame at `address`, which has a reference, is used for that.
#[inline(always)]
pub(crate) fn is_used_for(address: PhysAddr, frame_use: FrameUse) -> bool {
    of(address).use_index() == frame_use as usize
}

/// Hands the frame at `address` out, which the caller took from where it was free: its one
/// reference is the caller's.
///
/// # Panics
/// In debug builds, if it was written to after it was freed, naming who freed it.
#[inline(always)]
pub(super) fn hand_out(address: PhysAddr, frame_use: FrameUse) {
    let metadata = of(address);
    #[cfg(debug_assertions)]
    if metadata.poisoned.swap(0, Ordering::Relaxed) != 0
        && let Some((offset, value)) = poison::find_change(address)
    {
        let freed = Freed(metadata.freed_by());
        panic!(
            "use after free: the frame at {address} was written to while it was free, \
             {value:#x} at byte {offset:#x}{freed}"
        );
    }
    metadata.use_for(frame_use);
}

#[cold]
fn not_ram(frame: usize) -> ! {
    panic!("the frame at {:#x} is not RAM", frame as u64 * PAGE_SIZE);
}

/// Page tables from the bitmap, before there is an allocator.
struct EarlyTables<'a>(&'a mut Zones);

impl FrameSource for EarlyTables<'_> {
    fn allocate_table(&mut self) -> Option<PhysAddr> {
        let frame = take_early(self.0).ok()?;
        // SAFETY: the frame was free, so it is ours, and the boot tables show it.
        unsafe { frame.to_physmap().as_mut_ptr::<[u8; PAGE_SIZE as usize]>().write_bytes(0, 1) };
        Some(frame)
    }

    fn free_table(&mut self, frame: PhysAddr) {
        let _ = self.0.release_one(frame.frame()); // as `allocate_table` took it
    }
}

/// A frame that the boot tables show, before there is an allocator.
pub(super) fn take_early(zones: &mut Zones) -> Result<PhysAddr, OutOfMemory> {
    let mut taken = Err(OutOfMemory);
    let mapped = (BOOT_MAPPED_BYTES / PAGE_SIZE) as usize;
    zones.take_some(1, mapped, |frame| taken = Ok(PhysAddr::from_frame(frame)));
    taken
}

/// Makes the array for the frames in `ram` (ascending ranges of frame numbers) from frames
/// of `zones`, and maps it into the boot tables, which are in use; the kernel's own then
/// share the part. All frames are `Unmanaged` at first.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn build(
    zones: &mut Zones,
    ram: impl Iterator<Item = Bounds>,
) -> Result<(), OutOfMemory> {
    let most = TOP_LEVEL_SLOT as usize / METADATA_BYTES;
    let flags = EntryFlags::WRITABLE | EntryFlags::NO_EXECUTE | EntryFlags::GLOBAL;
    // SAFETY: the boot tables, which only this CPU uses and nobody else changes.
    let mut tables = unsafe { PageTable::from_root(control::page_table_root()) };
    let (large, small) = (PageSize::Large.bytes(), PageSize::Small.bytes());
    let per_large = (large / small) as usize;
    let mut at = FRAME_METADATA_BASE;
    let mut last = 0;
    for range in ram {
        let (start, end) = (range.0.min(most), range.1.min(most));
        let first = (entry(start) as u64) & !(small - 1);
        let end_address = (entry(end) as u64).next_multiple_of(small);
        // A large page may begin a little before and end a little behind what is needed.
        let slack = large / 4;
        let before = first & !(large - 1);
        let begins_before = first - before <= slack && before + large <= end_address + slack;
        at = at.max(if begins_before { before } else { first });
        while at < end_address {
            let page = VirtAddr::new(at);
            let fits = at.is_multiple_of(large) && end_address - at >= large - slack;
            let block = if fits { zones.take_run(per_large, per_large, usize::MAX) } else { None };
            let (frame, size) = match block {
                Some(frame) => (frame, PageSize::Large),
                None => {
                    let frame = zones.take_run(1, 1, usize::MAX).ok_or(OutOfMemory)?;
                    (frame, PageSize::Small)
                }
            };
            let to = PhysAddr::from_frame(frame);
            tables.map(page, to, size, flags, &mut EarlyTables(zones))?;
            // SAFETY: just mapped to memory that was free; no entry in it is used yet.
            unsafe { page.as_mut_ptr::<u8>().write_bytes(0, size.bytes() as usize) };
            TAKEN.fetch_add((size.bytes() / small) as usize, Ordering::Relaxed);
            at += size.bytes();
        }
        last = end;
    }
    FRAMES.store(last, Ordering::Relaxed);
    Ok(())
}
