//! `block cost`: how long reads of a disk take. Under `-icount shift=0` a nanosecond of the clock
//! is an instruction.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering};

use base::{println, time};
use device::block::{BlockError, Completion, Finished, Request, SECTOR, Segments, Volume};
use memory::OutOfMemory;
use task::{WaitOptions, WaitQueue};

use crate::shell::command::{Context, Failure, Outcome};

/// Bytes of a small read, and sectors from one to the next, which is not its neighbour.
const BYTES: usize = 4096;
const STRIDE: u64 = 2 * BYTES as u64 / SECTOR;
/// Small reads of each kind.
const READS: u64 = 2000;
/// Bytes of a large read, and most bytes that are read so.
const LARGE: usize = 1 << 20;
const MOST: u64 = 64 << 20;
/// How long all of it may take, in nanoseconds.
const BOUND_NS: u64 = 60_000_000_000;

/// Prints what reads cost, one and several at a time, and how fast a long one is.
pub(super) fn cost(context: &mut Context<'_>, volume: &Arc<Volume>) -> Outcome {
    let failed = |error: BlockError| Failure::Message(format!("{}: {error}", volume.name()));
    if volume.sectors() < STRIDE {
        return Err(format!("{} is too small", volume.name()).into());
    }
    one_at_a_time(volume).map_err(failed)?;
    for in_flight in [1, 8, 32] {
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
        several(volume, in_flight).map_err(failed)?;
    }
    sequential(volume).map_err(failed)
}

/// The sector of read number `index`.
fn sector(volume: &Volume, index: u64) -> u64 {
    index % (volume.sectors() / STRIDE) * STRIDE
}

/// By a task that sleeps until each is there.
fn one_at_a_time(volume: &Arc<Volume>) -> Result<(), BlockError> {
    let mut segments = Segments::allocate(BYTES)?;
    let begin = time::now_ns();
    for index in 0..READS {
        segments = volume.read_segments(sector(volume, index), segments)?;
    }
    let each = (time::now_ns() - begin) / READS;
    println!("4 KiB, a task that waits for each   {each:>8} ns");
    Ok(())
}

/// Reads that each begin the next when they end.
struct Chain {
    volume: Arc<Volume>,
    /// Reads that were begun, and that have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    over: WaitQueue,
}

/// The completion of a chain's reads.
struct Next(Arc<Chain>);

impl Chain {
    fn begin(self: &Arc<Self>, segments: Segments) -> Result<(), OutOfMemory> {
        let index = self.begun.fetch_add(1, Ordering::Relaxed);
        let next = Arc::new(Next(self.clone()));
        self.volume.submit(Request::read(sector(&self.volume, index), segments, next)?);
        Ok(())
    }
}

impl Completion for Next {
    fn finished(&self, finished: Finished) {
        let chain = &self.0;
        let is_last = chain.ended.fetch_add(1, Ordering::Relaxed) + 1 >= READS;
        let more = chain.begun.load(Ordering::Relaxed) < READS;
        let is_bad = finished.result.is_err() || (more && chain.begin(finished.segments).is_err());
        if is_bad {
            chain.errors.fetch_add(1, Ordering::Relaxed);
        }
        if is_last || is_bad {
            chain.over.wake_all();
        }
    }
}

/// With so many in flight all the time.
fn several(volume: &Arc<Volume>, in_flight: u64) -> Result<(), BlockError> {
    let chain = Arc::new(Chain {
        volume: volume.clone(),
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        errors: AtomicU64::new(0),
        over: WaitQueue::new("reads of a disk"),
    });
    let begin = time::now_ns();
    for _ in 0..in_flight {
        chain.begin(Segments::allocate(BYTES)?)?;
    }
    let is_over = || {
        let is_bad = chain.errors.load(Ordering::Relaxed) > 0;
        (is_bad || chain.ended.load(Ordering::Relaxed) >= READS).then_some(())
    };
    let waited = chain.over.wait_with(WaitOptions::within(BOUND_NS), is_over);
    if waited.is_err() || chain.errors.load(Ordering::Relaxed) > 0 {
        return Err(BlockError::Io);
    }
    let each = (time::now_ns() - begin) / READS;
    println!("4 KiB, {in_flight:>2} in flight all the time     {each:>8} ns");
    Ok(())
}

/// From the start on, in large pieces.
fn sequential(volume: &Arc<Volume>) -> Result<(), BlockError> {
    let mut bytes = vec![0; LARGE];
    let all = volume.bytes().min(MOST);
    let begin = time::now_ns();
    let mut at = 0;
    while at < all {
        let len = (all - at).min(LARGE as u64);
        volume.read_at(at, &mut bytes[..len as usize])?;
        at += len;
    }
    let rate = all * 1000 / (time::now_ns() - begin).max(1);
    println!("{} MiB from the start on         {rate:>8} MB/s", all >> 20);
    Ok(())
}
