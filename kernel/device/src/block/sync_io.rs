//! Reading and writing by tasks that sleep meanwhile: [`Volume::read_at`] and its neighbours.
//!
//! Nothing ends these waits but the device, whose time is limited ([`super::watch`]), as a wait
//! for a disk is in Linux. Zeros and discards, which may be about a whole disk, go on in steps
//! until the task is killed.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::error::BlockError;
use super::limits::SECTOR;
use super::request::Request;
use super::segment::Segments;
use super::volume::Volume;
use super::waiter::Waiter;

/// Most bytes of one request of a long transfer.
const CHUNK: u64 = 128 << 10;
/// Requests of a long transfer that are in flight together.
const WINDOW: usize = 8;

/// A whole disk may be a lot: who is killed goes on no longer.
fn check_not_killed() -> Result<(), BlockError> {
    if task::is_killed() { Err(BlockError::Interrupted) } else { Ok(()) }
}

/// A part of a long transfer that is in flight.
struct Part {
    waiter: Arc<Waiter>,
    /// Bytes of the caller's that it is about.
    bytes: core::ops::Range<usize>,
    /// Where they begin in the request's memory.
    skip: usize,
}

impl Volume {
    /// Submits a request that `make` makes for a waiter, and waits.
    fn execute(
        self: &Arc<Self>,
        make: impl FnOnce(Arc<Waiter>) -> Result<Request, memory::OutOfMemory>,
    ) -> Result<Segments, BlockError> {
        let waiter = Waiter::new();
        self.submit(make(waiter.clone())?);
        waiter.wait(self.disk())
    }

    /// Reads from `sector` on to `segments`, one request, and gives them back.
    ///
    /// # Errors
    /// As [`BlockError`] says; `Invalid` if it is too much for one request.
    pub fn read_segments(
        self: &Arc<Self>,
        sector: u64,
        segments: Segments,
    ) -> Result<Segments, BlockError> {
        self.execute(|waiter| Request::read(sector, segments, waiter))
    }

    /// Writes `segments` from `sector` on, one request, and gives them back.
    ///
    /// # Errors
    /// As [`Volume::read_segments`].
    pub fn write_segments(
        self: &Arc<Self>,
        sector: u64,
        segments: Segments,
    ) -> Result<Segments, BlockError> {
        self.execute(|waiter| Request::write(sector, segments, waiter))
    }

    /// Makes durable what was written before.
    ///
    /// # Errors
    /// As [`BlockError`] says.
    pub fn flush(self: &Arc<Self>) -> Result<(), BlockError> {
        self.execute(|waiter| Request::flush(waiter)).map(drop)
    }

    /// Tells the device that sectors are not needed any more, in as many requests as it takes.
    ///
    /// # Errors
    /// As [`BlockError`] says; `NotSupported` if the device has no discard, `Interrupted` if the task
    /// is killed.
    pub fn discard(self: &Arc<Self>, sector: u64, sectors: u64) -> Result<(), BlockError> {
        let limits = self.features().discard.ok_or(BlockError::NotSupported)?;
        self.in_steps(sector, sectors, limits.max_sectors, |at, count, waiter| {
            Request::discard(at, count, waiter)
        })
    }

    /// Fills sectors with zeros: by the device itself where it can.
    ///
    /// # Errors
    /// As [`BlockError`] says; `Interrupted` if the task is killed.
    pub fn write_zeroes(self: &Arc<Self>, sector: u64, sectors: u64) -> Result<(), BlockError> {
        let Some(limits) = self.features().write_zeroes else {
            return self.write_zero_bytes(sector, sectors);
        };
        self.in_steps(sector, sectors, limits.max_sectors, |at, count, waiter| {
            Request::write_zeroes(at, count, waiter)
        })
    }

    fn in_steps(
        self: &Arc<Self>,
        sector: u64,
        sectors: u64,
        most: u32,
        make: impl Fn(u64, u64, Arc<Waiter>) -> Result<Request, memory::OutOfMemory>,
    ) -> Result<(), BlockError> {
        let end = sector.checked_add(sectors).ok_or(BlockError::OutOfRange)?;
        // Whole blocks.
        let blocks = self.limits().block_sectors();
        let most = (u64::from(most) / blocks * blocks).max(blocks);
        let mut at = sector;
        while at < end {
            let count = most.min(end - at);
            check_not_killed()?;
            self.execute(|waiter| make(at, count, waiter))?;
            at += count;
        }
        Ok(())
    }

    fn write_zero_bytes(self: &Arc<Self>, sector: u64, sectors: u64) -> Result<(), BlockError> {
        let zeros = [0; 512];
        let end = sector.checked_add(sectors).ok_or(BlockError::OutOfRange)?;
        let most = self.chunk();
        let mut at = sector;
        while at < end {
            let count = most.min(end - at);
            let bytes = (count * SECTOR) as usize;
            check_not_killed()?;
            let mut segments = Segments::allocate(bytes)?;
            for offset in (0..bytes).step_by(zeros.len()) {
                segments.write(offset, &zeros);
            }
            self.write_segments(at, segments)?;
            at += count;
        }
        Ok(())
    }

    /// Sectors of a request of a long transfer: whole blocks and pages.
    fn chunk(&self) -> u64 {
        let limits = self.limits();
        let pages = u64::from(limits.max_segments) * arch::paging::PAGE_SIZE;
        let bytes = CHUNK.min(u64::from(limits.max_sectors) * SECTOR).min(pages);
        (bytes / arch::paging::PAGE_SIZE * arch::paging::PAGE_SIZE) / SECTOR
    }

    /// Reads the bytes from `offset` on, which counts in bytes, any number of them at any place.
    /// Several requests are in flight at a time.
    ///
    /// # Errors
    /// As [`BlockError`] says; then `to` holds anything.
    pub fn read_at(self: &Arc<Self>, offset: u64, to: &mut [u8]) -> Result<(), BlockError> {
        let end = offset.checked_add(to.len() as u64).ok_or(BlockError::OutOfRange)?;
        if end > self.bytes() {
            return Err(BlockError::OutOfRange);
        }
        let block = u64::from(self.limits().logical_block);
        let mut next = offset;
        let mut parts: VecDeque<Part> = VecDeque::new();
        let mut result = Ok(());
        // All parts are waited for, whatever happens.
        loop {
            while next < end && parts.len() < WINDOW && result.is_ok() {
                match self.begin_read(next, end, block) {
                    Ok((waiter, after)) => {
                        let skip = (next % block) as usize;
                        let bytes = (next - offset) as usize..(after - offset) as usize;
                        parts.push_back(Part { waiter, bytes, skip });
                        next = after;
                    }
                    Err(error) => result = Err(error),
                }
            }
            let Some(Part { waiter, bytes, skip }) = parts.pop_front() else { return result };
            match (waiter.wait(self.disk()), to.get_mut(bytes)) {
                (Ok(segments), Some(to)) => segments.read(skip, to),
                (Ok(_), None) => {}
                (Err(error), _) => result = result.and(Err(error)),
            }
        }
    }

    /// Begins to read from byte `from` on, not behind `end`. Who waits for it, and how far it
    /// goes.
    fn begin_read(
        self: &Arc<Self>,
        from: u64,
        end: u64,
        block: u64,
    ) -> Result<(Arc<Waiter>, u64), BlockError> {
        let start = from - from % block;
        let after = end.next_multiple_of(block).min(start + self.chunk() * SECTOR);
        let segments = Segments::allocate((after - start) as usize)?;
        let waiter = Waiter::new();
        self.submit(Request::read(start / SECTOR, segments, waiter.clone())?);
        Ok((waiter, after.min(end)))
    }

    /// Writes bytes from `offset` on, which counts in bytes: whole logical blocks. Several
    /// requests are in flight at a time. Durable after a [`Volume::flush`].
    ///
    /// # Errors
    /// As [`BlockError`] says; then any part may be written.
    pub fn write_at(self: &Arc<Self>, offset: u64, from: &[u8]) -> Result<(), BlockError> {
        let block = u64::from(self.limits().logical_block);
        let end = offset.checked_add(from.len() as u64).ok_or(BlockError::OutOfRange)?;
        if end > self.bytes() {
            return Err(BlockError::OutOfRange);
        }
        if (offset | end) & (block - 1) != 0 {
            return Err(BlockError::Invalid);
        }
        let mut waiters: VecDeque<Arc<Waiter>> = VecDeque::new();
        let mut result = Ok(());
        let mut chunks = from.chunks((self.chunk() * SECTOR) as usize);
        let mut at = offset;
        loop {
            while waiters.len() < WINDOW
                && result.is_ok()
                && let Some(chunk) = chunks.next()
            {
                match self.begin_write(at, chunk) {
                    Ok(waiter) => waiters.push_back(waiter),
                    Err(error) => result = Err(error),
                }
                at += chunk.len() as u64;
            }
            let Some(waiter) = waiters.pop_front() else { return result };
            result = result.and(waiter.wait(self.disk()).map(drop));
        }
    }

    fn begin_write(self: &Arc<Self>, at: u64, from: &[u8]) -> Result<Arc<Waiter>, BlockError> {
        let mut segments = Segments::allocate(from.len())?;
        segments.write(0, from);
        let waiter = Waiter::new();
        self.submit(Request::write(at / SECTOR, segments, waiter.clone())?);
        Ok(waiter)
    }
}
