//! The memory of a request: [`Segments`], which own it until the device is done, and what the
//! device sees of it, [`DmaSegment`]s.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::paging::{PAGE_SIZE, PhysAddr};
use memory::OutOfMemory;
use memory::dma::DmaBuffer;
use memory::frames::{Frame, FrameUse};

use super::limits::Limits;

const PAGE: usize = PAGE_SIZE as usize;

/// A piece of memory that a device reads or writes, physically contiguous; kept alive by this.
#[derive(Debug)]
pub struct Segment {
    memory: Memory,
    offset: u32,
    len: u32,
}

enum Memory {
    /// Part of a frame, which others may hold too: the page cache, a program.
    Frame(Frame),
    /// Part of a buffer of its own.
    Buffer(Box<DmaBuffer>),
}

impl core::fmt::Debug for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Frame(frame) => write!(f, "Frame({})", frame.address()),
            Self::Buffer(buffer) => write!(f, "Buffer({}, {})", buffer.address(), buffer.len()),
        }
    }
}

impl Segment {
    /// `len` bytes of `frame` from `offset` on; `None` if there are not as many, or none.
    pub fn of_frame(frame: Frame, offset: usize, len: usize) -> Option<Self> {
        Self::new(Memory::Frame(frame), offset, len, PAGE)
    }

    /// `len` bytes of `buffer` from `offset` on; `None` if there are not as many, or none.
    pub fn of_buffer(buffer: Box<DmaBuffer>, offset: usize, len: usize) -> Option<Self> {
        let bytes = buffer.len();
        Self::new(Memory::Buffer(buffer), offset, len, bytes)
    }

    fn new(memory: Memory, offset: usize, len: usize, bytes: usize) -> Option<Self> {
        let end = offset.checked_add(len)?;
        if len == 0 || end > bytes {
            return None;
        }
        Some(Self { memory, offset: offset.try_into().ok()?, len: len.try_into().ok()? })
    }

    /// Physical address of its first byte.
    pub fn address(&self) -> PhysAddr {
        let start = match &self.memory {
            Memory::Frame(frame) => frame.address(),
            Memory::Buffer(buffer) => buffer.address(),
        };
        start.offset(u64::from(self.offset))
    }

    /// Physical address of the first byte behind it.
    pub(super) fn end(&self) -> u64 {
        self.address().as_u64() + u64::from(self.len)
    }

    /// Bytes in it; never 0.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The frame of which it is a part, if it is.
    pub fn frame(&self) -> Option<&Frame> {
        match &self.memory {
            Memory::Frame(frame) => Some(frame),
            Memory::Buffer(_) => None,
        }
    }

    /// The frame of which it is a part, if it is.
    pub fn into_frame(self) -> Option<Frame> {
        match self.memory {
            Memory::Frame(frame) => Some(frame),
            Memory::Buffer(_) => None,
        }
    }

    /// Copies its bytes from `offset` on to `to`, as many as there are.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let len = to.len().min(self.len().saturating_sub(offset));
        let at = self.offset as usize + offset;
        let Some(to) = to.get_mut(..len) else { return };
        match &self.memory {
            Memory::Frame(frame) => frame.read(at, to),
            Memory::Buffer(buffer) => {
                if let Some(from) = buffer.bytes().get(at..at + len) {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Copies `from` to its bytes from `offset` on, as many as there are.
    pub fn write(&mut self, offset: usize, from: &[u8]) {
        let len = from.len().min(self.len().saturating_sub(offset));
        let at = self.offset as usize + offset;
        let Some(from) = from.get(..len) else { return };
        match &mut self.memory {
            Memory::Frame(frame) => frame.write(at, from),
            Memory::Buffer(buffer) => {
                if let Some(to) = buffer.bytes_mut().get_mut(at..at + len) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

/// The memory of one request, in the order of its sectors.
#[derive(Debug, Default)]
pub struct Segments {
    /// Most requests have one alone: no list for those.
    first: Option<Segment>,
    rest: Vec<Segment>,
    bytes: usize,
}

impl Segments {
    /// No memory, as a flush or a discard has.
    pub const fn new() -> Self {
        Self { first: None, rest: Vec::new(), bytes: 0 }
    }

    /// Frames of their own for `bytes` bytes, with whatever they held before.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn allocate(bytes: usize) -> Result<Self, OutOfMemory> {
        Self::allocate_below(bytes, u64::MAX)
    }

    /// As [`Segments::allocate`], all below physical address `below`.
    pub(super) fn allocate_below(bytes: usize, below: u64) -> Result<Self, OutOfMemory> {
        let mut segments = Self::new();
        segments.reserve(bytes.div_ceil(PAGE))?;
        while segments.bytes < bytes {
            let frame = match below {
                u64::MAX => Frame::allocate(FrameUse::Dma)?,
                _ => Frame::allocate_below(below, FrameUse::Dma)?,
            };
            let len = PAGE.min(bytes - segments.bytes);
            segments.push(Segment::of_frame(frame, 0, len).ok_or(OutOfMemory)?)?;
        }
        Ok(segments)
    }

    /// Makes room for `count` segments in all.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn reserve(&mut self, count: usize) -> Result<(), OutOfMemory> {
        let more = count.saturating_sub(1).saturating_sub(self.rest.len());
        self.rest.try_reserve_exact(more).map_err(|_| OutOfMemory)
    }

    /// Adds a segment behind the others.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the list; the segment is dropped.
    pub fn push(&mut self, segment: Segment) -> Result<(), OutOfMemory> {
        let len = segment.len();
        if self.first.is_none() {
            self.first = Some(segment);
        } else {
            self.rest.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.rest.push(segment);
        }
        self.bytes += len;
        Ok(())
    }

    /// Bytes in all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first.
    pub(super) fn first(&self) -> Option<&Segment> {
        self.first.as_ref()
    }

    /// The last.
    pub(super) fn last(&self) -> Option<&Segment> {
        self.rest.last().or(self.first.as_ref())
    }

    /// The segments, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.first.iter().chain(&self.rest)
    }

    /// The segments, in order, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.first.iter_mut().chain(&mut self.rest)
    }

    /// Takes the segments out, in order.
    pub fn into_segments(self) -> impl Iterator<Item = Segment> {
        self.first.into_iter().chain(self.rest)
    }

    /// Copies the bytes from `offset` on to `to`, as many as there are.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let (mut skip, mut rest) = (offset, to);
        for segment in self.iter() {
            if skip >= segment.len() {
                skip -= segment.len();
                continue;
            }
            let len = rest.len().min(segment.len() - skip);
            let (part, after) = core::mem::take(&mut rest).split_at_mut(len);
            segment.read(skip, part);
            (skip, rest) = (0, after);
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Copies `from` to the bytes from `offset` on, as many as there are.
    pub fn write(&mut self, offset: usize, from: &[u8]) {
        let (mut skip, mut rest) = (offset, from);
        for segment in self.iter_mut() {
            if skip >= segment.len() {
                skip -= segment.len();
                continue;
            }
            let (part, after) = rest.split_at(rest.len().min(segment.len() - skip));
            segment.write(skip, part);
            (skip, rest) = (0, after);
            if rest.is_empty() {
                break;
            }
        }
    }
}

/// A physically contiguous piece of memory, as the device is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaSegment {
    /// Its first byte.
    pub address: PhysAddr,
    /// Bytes in it; not 0.
    pub len: u32,
}

impl DmaSegment {
    fn end(&self) -> u64 {
        self.address.as_u64() + u64::from(self.len)
    }

    /// Takes `next` in, if it begins where this ends and both are not too large together.
    fn join(&mut self, next: &Self, max_bytes: u32) -> bool {
        let len = self.len.checked_add(next.len).filter(|&len| len <= max_bytes);
        match len.filter(|_| self.end() == next.address.as_u64()) {
            Some(len) => {
                self.len = len;
                true
            }
            None => false,
        }
    }
}

/// What the device sees of `segments`: neighbours in memory as one, as far as `max_bytes` (a
/// page or more) allows.
pub(super) fn dma_segments<'a>(
    segments: impl Iterator<Item = &'a Segment>,
    max_bytes: u32,
) -> impl Iterator<Item = DmaSegment> {
    let mut pieces = segments.flat_map(move |segment| pieces_of(segment, max_bytes)).peekable();
    core::iter::from_fn(move || {
        let mut piece = pieces.next()?;
        while let Some(next) = pieces.peek()
            && piece.join(next, max_bytes)
        {
            pieces.next();
        }
        Some(piece)
    })
}

/// A segment in pieces that are not too large.
fn pieces_of(segment: &Segment, max_bytes: u32) -> impl Iterator<Item = DmaSegment> {
    let (start, len) = (segment.address(), segment.len);
    (0..len).step_by(max_bytes.max(1) as usize).map(move |at| DmaSegment {
        address: start.offset(u64::from(at)),
        len: max_bytes.min(len - at),
    })
}

/// How many pieces a device with `limits` sees of `segments`; `None` if it cannot take them: out
/// of its reach, not aligned, with gaps in pages.
pub(super) fn count_for(segments: &Segments, limits: &Limits) -> Option<usize> {
    let mut count = 0;
    let mut previous_end: Option<u64> = None;
    for piece in dma_segments(segments.iter(), limits.max_segment_bytes) {
        let start = piece.address.as_u64();
        let aligned = (start | u64::from(piece.len)) % u64::from(limits.dma_alignment) == 0;
        if !aligned || piece.end() > limits.dma_below {
            return None;
        }
        if let Some(end) = previous_end
            && limits.whole_pages
            && end != start
            && (end | start) % PAGE_SIZE != 0
        {
            return None;
        }
        previous_end = Some(piece.end());
        count += 1;
    }
    Some(count)
}
