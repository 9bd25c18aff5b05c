//! The audit: walks the metadata of every frame of RAM, the bitmaps and the CPUs' caches, and
//! compares. It is exact while nothing is allocated or freed; what is on its way from one
//! place to the other while it looks may be taken for an error.

use core::fmt;

use arch::paging::PhysAddr;

use super::allocator::{ALLOCATOR, statistics, usage};
use super::cache;
use super::init::for_each_ram;
use super::metadata::{self, State};
use super::usage::{COUNT, FrameUse};

/// Frames that are looked at with the allocator locked once.
const CHUNK: usize = 4096;

/// What an audit found, in frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    /// Free, in the bitmaps.
    pub free: usize,
    /// Free, in the caches of CPUs.
    pub cached: usize,
    /// With references.
    pub used: usize,
    /// Of the used ones, those with more than one reference.
    pub shared: usize,
    /// Not the allocator's: the image, its own tables, what the firmware keeps.
    pub unmanaged: usize,
    /// How many things are wrong.
    pub errors: usize,
    /// The first of them.
    pub first: Option<Disorder>,
    by_use: [usize; COUNT],
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disorder {
    /// References of a free frame, or none of a used one.
    References(PhysAddr),
    /// The bitmap says otherwise than the metadata.
    Bitmap(PhysAddr),
    /// A CPU's cache has a frame that is not marked so.
    Cache(PhysAddr),
    /// The frames that are marked as in caches, and those that are there.
    Cached(usize, usize),
    /// The frames that are free, and those that are counted as free.
    Free(usize, usize),
    /// The frames for a use, and those that are counted.
    Use(FrameUse, usize, usize),
    /// All frames, and those that the zones count.
    Total(usize, usize),
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::References(frame) => write!(f, "the references of the frame at {frame}"),
            Self::Bitmap(frame) => write!(f, "the bitmap's bit of the frame at {frame}"),
            Self::Cache(frame) => write!(f, "the frame at {frame} in a CPU's cache"),
            Self::Cached(is, counted) => write!(f, "{is} frames are cached, {counted} in caches"),
            Self::Free(is, counted) => write!(f, "{is} frames are free, {counted} are counted"),
            Self::Use(of, is, counted) => write!(f, "{is} frames for {of}, {counted} are counted"),
            Self::Total(is, counted) => write!(f, "{is} frames, {counted} are counted"),
        }
    }
}

impl Audit {
    fn wrong(&mut self, disorder: Disorder) {
        self.errors += 1;
        self.first = self.first.or(Some(disorder));
    }

    fn look_at(&mut self, frame: usize, is_free: bool) {
        let address = PhysAddr::from_frame(frame);
        let metadata = metadata::of(address);
        let references = metadata.references();
        let state = metadata.state();
        match state {
            State::Unmanaged => self.unmanaged += 1,
            State::Free => self.free += 1,
            State::Cached => self.cached += 1,
            State::Used => {
                self.used += 1;
                self.shared += usize::from(references > 1);
                self.by_use[metadata.use_index()] += 1;
            }
        }
        if (state == State::Used) != (references > 0) {
            self.wrong(Disorder::References(address));
        }
        if (state == State::Free) != is_free {
            self.wrong(Disorder::Bitmap(address));
        }
    }
}

/// Looks at every frame. Takes time in proportion to RAM; each lock is held shortly.
pub fn audit() -> Audit {
    let mut audit = Audit::default();
    for_each_ram(|start, end| {
        for from in (start..end).step_by(CHUNK) {
            let guard = ALLOCATOR.lock();
            let Some(allocator) = guard.as_ref() else { return };
            for frame in from..end.min(from + CHUNK) {
                audit.look_at(frame, allocator.zones.is_free(frame));
            }
        }
    });
    let mut in_caches = 0;
    for (_, cache) in cache::all() {
        let cache = cache.lock();
        in_caches += cache.len();
        for address in cache.frames().map(PhysAddr::from_frame) {
            if metadata::of(address).state() != State::Cached {
                audit.wrong(Disorder::Cache(address));
            }
        }
    }
    let counted = statistics();
    let Audit { free, cached, used, by_use, .. } = audit;
    if cached != in_caches {
        audit.wrong(Disorder::Cached(cached, in_caches));
    }
    if free + cached != counted.free {
        audit.wrong(Disorder::Free(free + cached, counted.free));
    }
    if free + cached + used != counted.total {
        audit.wrong(Disorder::Total(free + cached + used, counted.total));
    }
    for ((frame_use, counted), is) in usage().zip(by_use) {
        if is != counted {
            audit.wrong(Disorder::Use(frame_use, is, counted));
        }
    }
    audit
}

/// As [`audit`]; tries again, up to three times, while something is wrong: other tasks may
/// have been at work.
pub fn audit_patiently(mut pause: impl FnMut()) -> Audit {
    let mut found = audit();
    for _ in 0..3 {
        if found.errors == 0 {
            break;
        }
        pause();
        found = audit();
    }
    found
}
