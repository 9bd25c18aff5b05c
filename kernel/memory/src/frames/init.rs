//! From the loader's memory map to a working allocator.

use arch::boot::{BOOT_MAPPED_BYTES, image_layout};
use arch::paging::{PAGE_SIZE, PhysAddr};
use arrayvec::ArrayVec;
use base::sync::SpinLock;
use bitmap::{FrameBitmap, summary_for, words_for};

use super::allocator::{ALLOCATOR, Allocator};
use super::metadata::{self, State};
use super::shared;
use super::zones::{self, Bounds, Zone, Zones};
use crate::OutOfMemory;

/// Most regions of a memory map that are looked at; further ones are left alone.
const MAX_REGIONS: usize = 128;
/// Most ranges that can be kept out of the allocator.
const MAX_RESERVED: usize = 64;
/// RAM that is used: frame numbers have 32 bits.
const MAX_RAM: u64 = PAGE_SIZE << 32;
/// Memory below this is left alone: firmware data, and room for the start code of
/// further CPUs.
const LOW_MEMORY: u64 = 1 << 20;

/// What a range of physical addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// RAM, free to use.
    Usable,
    /// RAM with ACPI tables.
    AcpiTables,
    /// RAM that must be kept across sleep.
    AcpiNvs,
    /// Anything else: do not touch.
    Reserved,
}

/// A range of physical addresses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// First byte behind it.
    pub end: u64,
    /// What it is.
    pub kind: RegionKind,
}

static REGIONS: SpinLock<ArrayVec<Region, MAX_REGIONS>> =
    SpinLock::new("memory map", ArrayVec::new_const());

/// Calls `visit` with the regions of the memory map, sorted by address, and holds no lock. One is
/// copied at a time: all of them are more than a stack should hold.
pub fn regions(mut visit: impl FnMut(&Region)) {
    let at = |index: usize| REGIONS.lock().get(index).copied();
    (0..).map_while(at).for_each(|region| visit(&region));
}

/// First physical address behind all usable RAM.
pub fn top_of_ram() -> u64 {
    let regions = REGIONS.lock();
    regions.iter().filter(|r| r.kind == RegionKind::Usable).map(|r| r.end).max().unwrap_or(0)
}

fn is_usable(region: &Region) -> bool {
    region.kind == RegionKind::Usable && region.end <= MAX_RAM
}

/// The frames of the usable among `regions`, sorted by address: ascending, none twice.
fn ram(regions: &[Region]) -> impl Iterator<Item = Bounds> {
    let mut done = 0;
    regions.iter().filter(|region| is_usable(region)).map(move |region| {
        let start = (region.start.div_ceil(PAGE_SIZE) as usize).max(done);
        done = ((region.end / PAGE_SIZE) as usize).max(start);
        (start, done)
    })
}

/// Calls `visit` with the frame numbers of all RAM, the end exclusive.
pub(super) fn for_each_ram(mut visit: impl FnMut(usize, usize)) {
    let regions = REGIONS.lock().clone();
    ram(&regions).for_each(|(start, end)| visit(start, end));
}

/// The parts of `region` (whole frames) that no range in `holes`, sorted, touches.
fn without_holes(region: &Region, holes: &[(u64, u64)], mut part: impl FnMut(u64, u64)) {
    let mut start = region.start.next_multiple_of(PAGE_SIZE);
    let end = region.end & !(PAGE_SIZE - 1);
    for &(hole_start, hole_end) in holes {
        let hole_start = hole_start & !(PAGE_SIZE - 1);
        if hole_start >= end || start >= end {
            break;
        }
        if hole_end <= start {
            continue;
        }
        if hole_start > start {
            part(start, hole_start);
        }
        start = hole_end.next_multiple_of(PAGE_SIZE);
    }
    if start < end {
        part(start, end);
    }
}

/// Starts the allocator with the usable regions of `map`, less the kernel image, the
/// first MiB and the `reserved` ranges (physical bytes, end exclusive). Call once, with
/// the boot page tables still in use.
///
/// # Errors
/// [`OutOfMemory`] if there is no room for the allocator's own tables below 4 GiB.
///
/// # Safety
/// `map` and `reserved` must tell the truth: nothing that is in use lies in a usable
/// region outside the reserved ranges.
pub(crate) unsafe fn init(
    map: impl Iterator<Item = Region>,
    reserved: impl Iterator<Item = (u64, u64)>,
) -> Result<(), OutOfMemory> {
    let mut regions: ArrayVec<Region, MAX_REGIONS> = map
        .filter(|region| region.start < region.end && region.end >> 52 == 0)
        .take(MAX_REGIONS)
        .collect();
    regions.sort_unstable_by_key(|region| region.start);

    let image = image_layout().physical;
    let mut holes: ArrayVec<(u64, u64), { MAX_RESERVED + 3 }> = ArrayVec::new();
    holes.push((0, LOW_MEMORY));
    holes.push((image.0.as_u64(), image.1.as_u64()));
    for hole in reserved.filter(|hole| hole.0 < hole.1) {
        // Too many would mean handing out memory in use.
        if holes.len() > MAX_RESERVED {
            return Err(OutOfMemory);
        }
        holes.push(hole);
    }
    // Firmware lists overlap at times: what one entry calls anything but usable, is.
    holes.sort_unstable();

    let usable = |region: &&Region| is_usable(region);
    let ram = || ram(&regions);
    let bounds = zones::bounds(ram());
    let words = |&(first, end): &Bounds| words_for(end - first) + summary_for(end - first);
    let bytes = bounds.iter().map(words).sum::<usize>() as u64 * 8;

    let mut home = None;
    for region in regions.iter().filter(usable) {
        without_holes(region, &holes, |start, end| {
            if home.is_none() && end.min(BOOT_MAPPED_BYTES).saturating_sub(start) >= bytes {
                home = Some(start);
            }
        });
    }
    let home = home.ok_or(OutOfMemory)?;
    holes.push((home, home + bytes));
    holes.sort_unstable();

    let base = PhysAddr::new(home).to_physmap().as_mut_ptr::<u64>();
    // SAFETY: `bytes` bytes at `home` are usable RAM that nothing else takes (the range
    // is a hole from here on), mapped by the boot tables and later by the kernel's own
    // at the same address; zeroed before a reference exists.
    let mut memory = unsafe {
        base.write_bytes(0, bytes as usize / 8);
        core::slice::from_raw_parts_mut(base, bytes as usize / 8)
    };
    let mut zones = Zones(ArrayVec::new());
    for (first, end) in bounds {
        let (words, rest) = memory.split_at_mut(words_for(end - first));
        let (summary, rest) = rest.split_at_mut(summary_for(end - first));
        memory = rest;
        zones.0.push(Zone::new(first, FrameBitmap::new(words, summary, end - first)));
    }
    for region in regions.iter().filter(usable) {
        without_holes(region, &holes, |start, end| {
            let (first, last) = ((start / PAGE_SIZE) as usize, (end / PAGE_SIZE) as usize);
            zones.release_ram(first, last - first);
        });
    }
    for region in regions.iter().filter(|region| !usable(region)) {
        let first = (region.start / PAGE_SIZE) as usize;
        let last = region.end.div_ceil(PAGE_SIZE) as usize;
        zones.reserve(first, last - first);
    }
    metadata::build(&mut zones, ram())?;
    shared::make_zero_page(&mut zones)?;
    for zone in &mut zones.0 {
        for frame in zone.free_runs().flat_map(|(first, end)| first..end) {
            metadata::of(PhysAddr::from_frame(frame)).set_state(State::Free);
        }
        zone.total = zone.free();
    }
    *REGIONS.lock() = regions.clone();
    *ALLOCATOR.lock() = Some(Allocator::new(zones));
    Ok(())
}
