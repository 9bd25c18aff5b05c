//! [`Request`]: one operation on a disk, with its memory.
//!
//! A caller makes one and submits it to a volume (see [`super::volume`]); the layer maps it to the
//! disk, may merge it with its neighbours, and gives it to the driver, which owns it until it is
//! done. It always ends by its [`Completion`] being called, once: also if the driver drops it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use memory::OutOfMemory;

use super::disk;
use super::error::BlockError;
use super::limits::SECTOR;
use super::segment::{DmaSegment, Segment, Segments, dma_segments};
use super::volume::Volume;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The device writes to the memory what the sectors hold.
    Read,
    /// The sectors hold what is in memory. Durable after a flush.
    Write,
    /// What was written by requests that were complete when this was submitted is durable when
    /// this is complete. Says nothing of others.
    Flush,
    /// The contents of the sectors are not needed any more; what they hold afterwards is open.
    Discard,
    /// The sectors hold zeros.
    WriteZeroes,
}

impl Operation {
    /// Whether it changes what sectors hold.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::Discard | Self::WriteZeroes)
    }

    /// Whether it has memory.
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// How a request ended, with its memory.
#[derive(Debug)]
pub struct Finished {
    /// What was to be done.
    pub operation: Operation,
    /// First sector, counted from the start of the volume.
    pub sector: u64,
    /// How many.
    pub sectors: u64,
    /// The memory: what was read, if it was, is in it.
    pub segments: Segments,
    /// How it ended.
    pub result: Result<(), BlockError>,
}

/// Who is told that a request has ended.
pub trait Completion: Send + Sync {
    /// A request has ended. Called in whatever context the driver completes it in, interrupt
    /// handlers included: only `IrqSpinLock`s may be taken, and it should be short.
    fn finished(&self, finished: Finished);
}

impl<F: Fn(Finished) + Send + Sync> Completion for F {
    fn finished(&self, finished: Finished) {
        self(finished);
    }
}

/// One operation on a disk. Dropping one that is not complete fails it with
/// [`BlockError::Gone`].
pub struct Request(Box<[Inner; 1]>);

pub(super) struct Inner {
    pub(super) operation: Operation,
    pub(super) force_unit_access: bool,
    /// First sector; of the volume until it is submitted, of the disk from then on.
    pub(super) sector: u64,
    /// Its own, without those of merged ones.
    pub(super) sectors: u64,
    pub(super) segments: Segments,
    /// The memory of the caller, while `segments` is a copy that the device reaches.
    pub(super) bounced: Option<Segments>,
    pub(super) completion: Option<Arc<dyn Completion>>,
    /// Where it was submitted to.
    pub(super) volume: Option<Arc<Volume>>,
    /// Those that were merged with it, behind it, in the order of their sectors.
    pub(super) merged: VecDeque<Request>,
    /// Pieces of its own memory, as the device sees it.
    pub(super) pieces: usize,
    /// Sectors and pieces of memory, with the merged ones.
    pub(super) all_sectors: u64,
    pub(super) all_pieces: usize,
    pub(super) queue: u16,
    pub(super) tag: Option<u16>,
    /// It goes to the device as it is, without others.
    pub(super) alone: bool,
    /// For a write that is to be durable, where the device has no such writes.
    pub(super) flush_after: FlushAfter,
    /// When it was submitted, in nanoseconds of the clock.
    pub(super) submitted_ns: u64,
}

/// Whether a flush follows a write before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlushAfter {
    /// No.
    No,
    /// Yes, when the write is done.
    Due,
    /// The write is done, and the request is that flush now.
    Now,
}

impl Request {
    fn make(
        operation: Operation,
        sector: u64,
        sectors: u64,
        segments: Segments,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| OutOfMemory)?;
        one.push(Inner {
            operation,
            force_unit_access: false,
            sector,
            sectors,
            segments,
            bounced: None,
            completion: Some(completion),
            volume: None,
            merged: VecDeque::new(),
            pieces: 0,
            all_sectors: sectors,
            all_pieces: 0,
            queue: 0,
            tag: None,
            alone: false,
            flush_after: FlushAfter::No,
            submitted_ns: 0,
        });
        // As long as it was asked to be, so that nothing moves.
        one.into_boxed_slice().try_into().map(Self).map_err(|_| OutOfMemory)
    }

    /// A read to `segments` of as many sectors as they have bytes for, from `sector` on, which
    /// counts from the start of the volume.
    ///
    /// # Errors
    /// [`OutOfMemory`]; `completion` is not called then.
    pub fn read(
        sector: u64,
        segments: Segments,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        Self::transfer(Operation::Read, sector, segments, completion)
    }

    /// A write of what is in `segments`, otherwise as [`Request::read`]. Nobody is to change the
    /// memory before it is complete, or what is written is open.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub fn write(
        sector: u64,
        segments: Segments,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        Self::transfer(Operation::Write, sector, segments, completion)
    }

    fn transfer(
        operation: Operation,
        sector: u64,
        segments: Segments,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        // Bytes that are no whole sectors make it invalid: see `Volume::submit`.
        let sectors = segments.bytes() as u64 / SECTOR;
        Self::make(operation, sector, sectors, segments, completion)
    }

    /// A flush: see [`Operation::Flush`].
    ///
    /// # Errors
    /// As [`Request::read`].
    pub fn flush(completion: Arc<dyn Completion>) -> Result<Self, OutOfMemory> {
        Self::make(Operation::Flush, 0, 0, Segments::new(), completion)
    }

    /// A discard of `sectors` sectors from `sector` on.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub fn discard(
        sector: u64,
        sectors: u64,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        Self::make(Operation::Discard, sector, sectors, Segments::new(), completion)
    }

    /// Writes zeros to `sectors` sectors from `sector` on.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub fn write_zeroes(
        sector: u64,
        sectors: u64,
        completion: Arc<dyn Completion>,
    ) -> Result<Self, OutOfMemory> {
        Self::make(Operation::WriteZeroes, sector, sectors, Segments::new(), completion)
    }

    /// Has a write be durable when it is complete, without a flush.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.inner_mut().force_unit_access = self.inner().operation == Operation::Write;
        self
    }

    pub(super) fn inner(&self) -> &Inner {
        let [inner] = &*self.0;
        inner
    }

    pub(super) fn inner_mut(&mut self) -> &mut Inner {
        let [inner] = &mut *self.0;
        inner
    }

    /// What is to be done.
    pub fn operation(&self) -> Operation {
        let inner = self.inner();
        if inner.flush_after == FlushAfter::Now { Operation::Flush } else { inner.operation }
    }

    /// The first sector of the disk that it is about; nothing is to be made of it for a flush.
    pub fn sector(&self) -> u64 {
        self.inner().sector
    }

    /// How many sectors it is about; nothing is to be made of it for a flush.
    #[expect(clippy::misnamed_getters, reason = "merged requests belong to it for its driver")]
    pub fn sectors(&self) -> u64 {
        self.inner().all_sectors
    }

    /// Whether a write is to be on the medium when it is complete. Only where the device has
    /// [`Features::force_unit_access`](super::Features::force_unit_access).
    pub fn force_unit_access(&self) -> bool {
        self.inner().force_unit_access
    }

    /// The hardware queue that it is for.
    pub fn queue(&self) -> usize {
        usize::from(self.inner().queue)
    }

    /// Its number among those in flight in its queue, below
    /// [`Description::depth`](super::Description::depth).
    pub fn tag(&self) -> u16 {
        self.inner().tag.unwrap_or(0)
    }

    /// The pieces of memory of a read or write, in the order of the sectors: within the device's
    /// limits, at most [`Request::segment_count`].
    pub fn segments(&self) -> impl Iterator<Item = DmaSegment> {
        let max = self.inner().volume.as_ref().map(|volume| volume.limits().max_segment_bytes);
        dma_segments(self.own_segments(), max.unwrap_or(u32::MAX))
    }

    /// At least as many as [`Request::segments`] gives, at most the device's limit.
    pub fn segment_count(&self) -> usize {
        self.inner().all_pieces
    }

    fn own_segments(&self) -> impl Iterator<Item = &Segment> {
        let inner = self.inner();
        let merged = inner.merged.iter().flat_map(|request| request.inner().segments.iter());
        inner.segments.iter().chain(merged)
    }

    /// Copies what is to be written, from byte `offset` of the request on, to `to`: for devices
    /// that are software.
    pub fn copy_from_memory(&self, offset: usize, to: &mut [u8]) {
        let parts = core::iter::once(self).chain(&self.inner().merged);
        let (mut skip, mut rest) = (offset, to);
        for segments in parts.map(|part| &part.inner().segments) {
            let len = rest.len().min(segments.bytes().saturating_sub(skip));
            let (part, after) = core::mem::take(&mut rest).split_at_mut(len);
            segments.read(skip, part);
            (skip, rest) = (skip.saturating_sub(segments.bytes()), after);
        }
    }

    /// Copies `from` to the memory of a read, from byte `offset` of the request on: for devices
    /// that are software.
    pub fn copy_to_memory(&mut self, offset: usize, from: &[u8]) {
        let Inner { segments, merged, .. } = self.inner_mut();
        let merged = merged.iter_mut().map(|part| &mut part.inner_mut().segments);
        let (mut skip, mut rest) = (offset, from);
        for segments in core::iter::once(segments).chain(merged) {
            let (part, after) =
                rest.split_at(rest.len().min(segments.bytes().saturating_sub(skip)));
            segments.write(skip, part);
            (skip, rest) = (skip.saturating_sub(segments.bytes()), after);
        }
    }

    /// Whether the driver was told that it takes too long
    /// ([`BlockDevice::timed_out`](super::BlockDevice::timed_out)). A request that has its tag
    /// since that one was completed was not.
    pub fn is_overdue(&self) -> bool {
        disk::is_overdue(self)
    }

    /// The device, which was reset, is given the request once more: its time begins anew.
    pub fn begin_anew(&self) {
        disk::begun_anew(self);
    }

    /// The request is over: the device does not touch its memory any more. Wakes who waits for
    /// it, and gives the device what waits for its place. For any context; the caller holds no
    /// lock that [`BlockDevice::submit`](super::BlockDevice::submit) takes.
    pub fn complete(self, result: Result<(), BlockError>) {
        disk::completed(self, result);
    }

    /// Tells its completion and those of the merged ones. `now` is the clock's time.
    pub(super) fn finish(&mut self, result: Result<(), BlockError>, now: u64) {
        self.inner_mut().finish(result, now);
        // Of the merged ones, only a flush can have some itself.
        while let Some(mut request) = self.inner_mut().merged.pop_front() {
            request.finish(result, now);
        }
    }
}

impl Inner {
    /// Forgets that others were merged with it.
    pub(super) fn make_single(&mut self) {
        (self.all_sectors, self.all_pieces) = (self.sectors, self.pieces);
        self.alone = true;
    }

    fn finish(&mut self, result: Result<(), BlockError>, now: u64) {
        let Some(completion) = self.completion.take() else { return };
        let mut segments = core::mem::take(&mut self.segments);
        if let Some(own) = self.bounced.take() {
            let copy = core::mem::replace(&mut segments, own);
            if self.operation == Operation::Read && result.is_ok() {
                super::bounce::copy(&copy, &mut segments);
            }
        }
        let mut sector = self.sector;
        if let Some(volume) = self.volume.take() {
            volume.account_end(self, result, now);
            sector = sector.saturating_sub(volume.start());
        }
        let (operation, sectors) = (self.operation, self.sectors);
        completion.finished(Finished { operation, sector, sectors, segments, result });
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.inner().completion.is_some() {
            disk::dropped(self);
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("Request")
            .field("operation", &inner.operation)
            .field("sector", &inner.sector)
            .field("sectors", &inner.all_sectors)
            .field("tag", &inner.tag)
            .finish_non_exhaustive()
    }
}
