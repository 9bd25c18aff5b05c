//! What a disk or partition has done: [`Statistics`], the numbers of `/proc/diskstats` and of
//! `/sys/block/NAME/stat`.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::limits::SECTOR;
use super::request::Operation;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// Counters of one kind of request.
#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    merged: AtomicU64,
    sectors: AtomicU64,
    ns: AtomicU64,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    kinds: [Counts; 4],
    in_flight: AtomicU64,
    /// Nanoseconds in which anything was in flight, up to `stamp`.
    busy_ns: AtomicU64,
    stamp: AtomicU64,
    errors: AtomicU64,
}

/// What is counted together: write zeroes are writes, as Linux counts them.
fn kind(operation: Operation) -> usize {
    match operation {
        Operation::Read => 0,
        Operation::Write | Operation::WriteZeroes => 1,
        Operation::Discard => 2,
        Operation::Flush => 3,
    }
}

impl Counters {
    fn counts(&self, operation: Operation) -> &Counts {
        let [read, write, discard, flush] = &self.kinds;
        [read, write, discard, flush][kind(operation)]
    }

    /// A request begins.
    pub(super) fn begin(&self, now: u64) {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.stamp.store(now, Ordering::Relaxed);
        }
    }

    /// A request became part of another.
    pub(super) fn merged(&self, operation: Operation) {
        self.counts(operation).merged.fetch_add(1, Ordering::Relaxed);
    }

    /// A request of `sectors` sectors that began at `since` has ended.
    pub(super) fn end(&self, operation: Operation, sectors: u64, since: u64, now: u64, ok: bool) {
        let counts = self.counts(operation);
        counts.done.fetch_add(1, Ordering::Relaxed);
        counts.sectors.fetch_add(sectors, Ordering::Relaxed);
        counts.ns.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        if !ok {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        // Whoever moves the stamp counts the time up to it.
        let stamp = self.stamp.load(Ordering::Relaxed);
        let moved = || {
            self.stamp.compare_exchange(stamp, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if now > stamp && moved() {
            self.busy_ns.fetch_add(now - stamp, Ordering::Relaxed);
        }
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The numbers of now.
    pub(super) fn read(&self) -> Statistics {
        let of = |operation| {
            let counts = self.counts(operation);
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            OperationStatistics {
                done: load(&counts.done),
                merged: load(&counts.merged),
                sectors: load(&counts.sectors),
                ns: load(&counts.ns),
            }
        };
        Statistics {
            reads: of(Operation::Read),
            writes: of(Operation::Write),
            discards: of(Operation::Discard),
            flushes: of(Operation::Flush),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            busy_ns: self.busy_ns.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}

/// Numbers of one kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationStatistics {
    /// Requests that have ended, those that were merged among them.
    pub done: u64,
    /// Requests that became part of another.
    pub merged: u64,
    /// Sectors of 512 bytes that they were about.
    pub sectors: u64,
    /// Nanoseconds that they took, from the submission to the end, added up.
    pub ns: u64,
}

/// What a disk or partition has done since it was registered. Displayed as
/// `/sys/block/NAME/stat` shows it: 17 numbers on a line (Linux,
/// `Documentation/block/stat.rst`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Reads.
    pub reads: OperationStatistics,
    /// Writes, and writes of zeros.
    pub writes: OperationStatistics,
    /// Discards.
    pub discards: OperationStatistics,
    /// Flushes.
    pub flushes: OperationStatistics,
    /// Requests that have not ended.
    pub in_flight: u64,
    /// Nanoseconds in which any request was in flight.
    pub busy_ns: u64,
    /// Requests that failed.
    pub errors: u64,
}

impl Statistics {
    /// Bytes read and written.
    pub fn bytes(&self) -> (u64, u64) {
        (self.reads.sectors * SECTOR, self.writes.sectors * SECTOR)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, of) in [&self.reads, &self.writes].into_iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            let ms = of.ns / MS;
            // Linux counts a request that swallowed others once.
            let done = of.done.saturating_sub(of.merged);
            write!(f, "{blank}{done} {} {} {ms}", of.merged, of.sectors)?;
        }
        let all = [&self.reads, &self.writes, &self.discards, &self.flushes];
        let weighted: u64 = all.iter().map(|of| of.ns).sum();
        write!(f, " {} {} {}", self.in_flight, self.busy_ns / MS, weighted / MS)?;
        let Self { discards, flushes, .. } = self;
        let done = discards.done.saturating_sub(discards.merged);
        write!(f, " {done} {} {} {}", discards.merged, discards.sectors, discards.ns / MS)?;
        write!(f, " {} {}", flushes.done.saturating_sub(flushes.merged), flushes.ns / MS)
    }
}
