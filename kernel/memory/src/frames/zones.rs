//! Zones: stretches of RAM with a bitmap each, in the order of their addresses. A zone ends
//! at 4 GiB and at large holes of the memory map. Requests are served from the highest zone
//! that has room, so that memory below 4 GiB stays for devices that reach no further.

use arch::paging::{PAGE_SIZE, PhysAddr};
use arrayvec::ArrayVec;
use bitmap::{FrameBitmap, FrameError};

/// Most zones; what lies behind belongs to the last.
pub(super) const MAX_ZONES: usize = 8;
/// First frame that not all devices reach: 4 GiB.
const DMA_END: usize = (1 << 32) / PAGE_SIZE as usize;
/// A hole of that many frames (128 MiB) ends a zone: its bits would take 4 KiB.
const HOLE: usize = 32 << 10;
/// Zones begin at a multiple of that many frames (1 GiB), so that blocks are aligned.
const ZONE_ALIGN: usize = 256 << 10;

/// Frame numbers of a zone, the end exclusive.
pub(super) type Bounds = (usize, usize);

/// The zones for RAM at `ram`, ascending ranges of frame numbers.
pub(super) fn bounds(ram: impl Iterator<Item = Bounds>) -> ArrayVec<Bounds, MAX_ZONES> {
    let mut zones: ArrayVec<Bounds, MAX_ZONES> = ArrayVec::new();
    let parts = ram.flat_map(|(start, end)| [(start, end.min(DMA_END)), (start.max(DMA_END), end)]);
    for (start, end) in parts.filter(|(start, end)| start < end) {
        let first = start & !(ZONE_ALIGN - 1);
        let is_full = zones.is_full();
        match zones.last_mut() {
            Some(last)
                if is_full
                    || first < last.1
                    || (start < last.1 + HOLE && (start < DMA_END) == (last.1 <= DMA_END)) =>
            {
                last.1 = last.1.max(end);
            }
            _ => zones.push((first, end)),
        }
    }
    zones
}

/// One zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// Its first frame, a multiple of [`ZONE_ALIGN`].
    first: usize,
    bitmap: FrameBitmap<'static>,
    /// Frames that are the allocator's.
    pub(super) total: usize,
}

impl Zone {
    pub(super) fn new(first: usize, bitmap: FrameBitmap<'static>) -> Self {
        Self { first, bitmap, total: 0 }
    }

    fn end(&self) -> usize {
        self.first + self.bitmap.frames()
    }

    /// Its first byte and the one behind it.
    pub(super) fn range(&self) -> (PhysAddr, PhysAddr) {
        (PhysAddr::from_frame(self.first), PhysAddr::from_frame(self.end()))
    }

    pub(super) fn free(&self) -> usize {
        self.bitmap.free_frames()
    }

    /// The runs of free frames, by frame number.
    pub(super) fn free_runs(&self) -> impl Iterator<Item = Bounds> {
        self.bitmap.free_runs().map(|run| (self.first + run.start, self.first + run.end))
    }
}

/// All zones.
#[derive(Debug)]
pub(super) struct Zones(pub(super) ArrayVec<Zone, MAX_ZONES>);

impl Zones {
    /// Frames that are free in the bitmaps.
    pub(super) fn free(&self) -> usize {
        self.0.iter().map(Zone::free).sum()
    }

    /// Takes up to `count` frames below frame number `below`, calls `each` with their numbers
    /// and returns how many there were.
    pub(super) fn take_some(
        &mut self,
        count: usize,
        below: usize,
        mut each: impl FnMut(usize),
    ) -> usize {
        let mut left = count;
        for zone in self.0.iter_mut().rev() {
            let within = 0..below.saturating_sub(zone.first);
            let first = zone.first;
            left -= zone.bitmap.allocate_some(left, within, |frame| each(first + frame));
            if left == 0 {
                break;
            }
        }
        count - left
    }

    /// Takes `count` frames in a row, the first a multiple of `align` (a power of two), all
    /// below frame number `below`. Returns the first.
    pub(super) fn take_run(&mut self, count: usize, align: usize, below: usize) -> Option<usize> {
        self.0.iter_mut().rev().find_map(|zone| {
            if align > 1 && !zone.first.is_multiple_of(align) {
                return None;
            }
            let within = 0..below.saturating_sub(zone.first);
            let found = if count == align {
                zone.bitmap.allocate(count.trailing_zeros(), within)
            } else {
                zone.bitmap.allocate_range(count, align, within)
            };
            found.map(|frame| zone.first + frame)
        })
    }

    fn zone_of(&mut self, frame: usize) -> Result<&mut Zone, FrameError> {
        let error = FrameError::OutOfRange { start: frame, count: 1, frames: 0 };
        self.0.iter_mut().find(|zone| zone.first <= frame && frame < zone.end()).ok_or(error)
    }

    /// Whether a frame is free in its bitmap.
    pub(super) fn is_free(&self, frame: usize) -> bool {
        let has = |zone: &&Zone| zone.first <= frame && frame < zone.end();
        self.0.iter().find(has).is_some_and(|zone| zone.bitmap.is_free(frame - zone.first))
    }

    /// Frees one frame.
    pub(super) fn release_one(&mut self, frame: usize) -> Result<(), FrameError> {
        let zone = self.zone_of(frame)?;
        zone.bitmap.release_one(frame - zone.first)
    }

    /// Frees several frames.
    pub(super) fn release_some(&mut self, frames: &[u32]) -> Result<(), FrameError> {
        let mut rest = frames.iter().map(|&frame| frame as usize).peekable();
        while let Some(&frame) = rest.peek() {
            let zone = self.zone_of(frame)?;
            let (first, end) = (zone.first, zone.end());
            let in_zone =
                core::iter::from_fn(|| rest.next_if(|frame| (first..end).contains(frame)));
            zone.bitmap.release_some(in_zone.map(|frame| frame - first))?;
        }
        Ok(())
    }

    /// Frees `count` frames from `start` on, which are all in one zone.
    pub(super) fn release(&mut self, start: usize, count: usize) -> Result<(), FrameError> {
        let zone = self.zone_of(start)?;
        zone.bitmap.release(start - zone.first, count)
    }

    /// Frees `count` frames from `start` on that may be free already: those that no zone has
    /// are left alone.
    pub(super) fn release_ram(&mut self, start: usize, count: usize) {
        for zone in &mut self.0 {
            let (from, to) = (start.max(zone.first), (start + count).min(zone.end()));
            if from >= to || zone.bitmap.release(from - zone.first, to - from).is_ok() {
                continue;
            }
            // Overlapping usable entries: free each frame once.
            for frame in from..to {
                let _ = zone.bitmap.release_one(frame - zone.first); // or it is free
            }
        }
    }

    /// Takes `count` frames from `start` on out, those that are there.
    pub(super) fn reserve(&mut self, start: usize, count: usize) {
        for zone in &mut self.0 {
            let (from, to) = (start.max(zone.first), (start + count).min(zone.end()));
            if from < to {
                zone.bitmap.reserve(from - zone.first, to - from);
            }
        }
    }

    /// Counts `count` more frames from `start` on as the allocator's.
    pub(super) fn add_total(&mut self, start: usize, count: usize) {
        if let Ok(zone) = self.zone_of(start) {
            zone.total += count;
        }
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn zones_end_at_4_gib_and_at_holes() {
    const GIB: usize = 256 << 10;
    let of = |ram: &[Bounds]| bounds(ram.iter().copied());
    assert_eq!(of(&[(0, 160), (256, 2 * GIB)])[..], [(0, 2 * GIB)]);
    assert_eq!(of(&[(256, 6 * GIB)])[..], [(0, 4 * GIB), (4 * GIB, 6 * GIB)]);
    let far = [(256, 2 * GIB), (1024 * GIB + 5, 1024 * GIB + 10)];
    assert_eq!(of(&far)[..], [(0, 2 * GIB), (1024 * GIB, 1024 * GIB + 10)]);
    // Too near for a zone of its own that begins at a multiple of 1 GiB.
    let near = [(256, GIB + GIB / 4), (GIB + GIB / 2, 2 * GIB)];
    assert_eq!(of(&near)[..], [(0, 2 * GIB)]);
    let many: ArrayVec<Bounds, 9> = (0..9).map(|i| (i * 8 * GIB, i * 8 * GIB + GIB)).collect();
    assert_eq!(of(&many).last(), Some(&(56 * GIB, 65 * GIB)));
}
