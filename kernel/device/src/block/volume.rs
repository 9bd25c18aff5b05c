//! [`Volume`]: a disk or a partition, as those above the block layer have it.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use base::time;

use super::bounce;
use super::disk::Disk;
use super::error::BlockError;
use super::limits::{Features, Limits, RangeLimits, SECTOR};
use super::names::DeviceNumber;
use super::request::{FlushAfter, Inner, Operation, Request};
use super::segment::count_for;
use super::statistics::{Counters, Statistics};

/// What a partition is, beside its sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its number in the table, from 1 on: the 1 of vda1.
    pub number: u32,
    /// What its type is called.
    pub kind: String,
    /// Its name in a GPT; empty if there is none.
    pub label: String,
    /// What Linux calls `PARTUUID`: its GUID in a GPT; else the disk's signature and its number.
    pub uuid: String,
}

/// Where a partition lies on its disk.
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) sectors: u64,
    pub(super) info: PartitionInfo,
    counters: Counters,
}

impl Part {
    pub(super) fn new(start: u64, sectors: u64, info: PartitionInfo) -> Self {
        Self { start, sectors, info, counters: Counters::default() }
    }
}

/// A whole disk, or a partition of one: sectors that count from 0, mapped to the disk's.
pub struct Volume {
    name: String,
    number: DeviceNumber,
    disk: Arc<Disk>,
    /// `None` for a whole disk.
    part: Option<Part>,
    gone: AtomicBool,
}

impl Volume {
    pub(super) fn new(
        name: String,
        number: DeviceNumber,
        disk: Arc<Disk>,
        part: Option<Part>,
    ) -> Self {
        Self { name, number, disk, part, gone: AtomicBool::new(false) }
    }

    /// Its name: vda, vda1, nvme0n1p1.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its device number.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// The disk that it is, or is a part of.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// What kind of partition it is; `None` for a whole disk.
    pub fn partition(&self) -> Option<&PartitionInfo> {
        self.part.as_ref().map(|part| &part.info)
    }

    /// Its first sector on the disk.
    pub fn start(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.start)
    }

    /// Size in sectors of 512 bytes.
    pub fn sectors(&self) -> u64 {
        self.part.as_ref().map_or_else(|| self.disk.sectors(), |part| part.sectors)
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.sectors().saturating_mul(SECTOR)
    }

    /// What its requests may look like.
    pub fn limits(&self) -> &Limits {
        self.disk.limits()
    }

    /// What the disk can do.
    pub fn features(&self) -> &Features {
        self.disk.features()
    }

    /// Whether it cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.disk.is_read_only()
    }

    /// Whether it is not there any more: the disk is gone, or has been partitioned anew.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.disk.is_gone()
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// What was done with it.
    pub fn statistics(&self) -> Statistics {
        self.part.as_ref().map_or_else(|| self.disk.statistics(), |part| part.counters.read())
    }

    /// Submits a request, without waiting; allocates a little at most. It ends in any case by its
    /// completion being called, also within this call: a request that is malformed, or one to a
    /// disk that is gone, at once. For any context where spin locks may be taken.
    pub fn submit(self: &Arc<Self>, mut request: Request) {
        match self.prepare(&mut request) {
            Ok(true) => self.disk.add(request),
            Ok(false) => request.complete(Ok(())),
            Err(error) => request.complete(Err(error)),
        }
    }

    /// Submits several requests at once: neighbours among them are merged, and the device is told
    /// once. `requests` is empty afterwards, and keeps its memory.
    pub fn submit_all(self: &Arc<Self>, requests: &mut VecDeque<Request>) {
        for _ in 0..requests.len() {
            let Some(mut request) = requests.pop_front() else { break };
            match self.prepare(&mut request) {
                Ok(true) => requests.push_back(request), // there was room for it
                Ok(false) => request.complete(Ok(())),
                Err(error) => request.complete(Err(error)),
            }
        }
        self.disk.add_all(requests);
    }

    /// Checks a request and maps it to the disk. False if there is nothing to be done by the
    /// device.
    fn prepare(self: &Arc<Self>, request: &mut Request) -> Result<bool, BlockError> {
        let now = time::now_ns();
        self.begin(now);
        let inner = request.inner_mut();
        inner.submitted_ns = now;
        let sector = inner.sector;
        // From here on its end is counted.
        inner.sector = sector.saturating_add(self.start());
        inner.volume = Some(self.clone());
        if self.is_gone() {
            return Err(BlockError::Gone);
        }
        let (limits, features) = (self.disk.limits(), self.disk.features());
        match inner.operation {
            Operation::Flush => return Ok(features.flush),
            operation if operation.is_write() && self.is_read_only() => {
                return Err(BlockError::ReadOnly);
            }
            Operation::Read | Operation::Write => prepare_data(inner, limits)?,
            Operation::Discard => check_range(inner, features.discard)?,
            Operation::WriteZeroes => check_range(inner, features.write_zeroes)?,
        }
        let end = sector.checked_add(inner.sectors).ok_or(BlockError::OutOfRange)?;
        if end > self.sectors() {
            return Err(BlockError::OutOfRange);
        }
        let blocks = limits.block_sectors();
        if inner.sectors == 0 || (inner.sector | inner.sectors) & (blocks - 1) != 0 {
            return Err(BlockError::Invalid);
        }
        if inner.force_unit_access && !features.force_unit_access {
            inner.force_unit_access = false;
            if features.flush {
                inner.flush_after = FlushAfter::Due;
            }
        }
        Ok(true)
    }

    fn begin(&self, now: u64) {
        self.disk.counters.begin(now);
        if let Some(part) = &self.part {
            part.counters.begin(now);
        }
    }

    /// Counts the end of a request that was counted by `begin`.
    pub(super) fn account_end(&self, inner: &Inner, result: Result<(), BlockError>, now: u64) {
        let end = |counters: &Counters| {
            counters.end(inner.operation, inner.sectors, inner.submitted_ns, now, result.is_ok());
        };
        end(&self.disk.counters);
        if let Some(part) = &self.part {
            end(&part.counters);
        }
    }
}

/// Checks the size of a read or write, and sees that the device can take its memory.
fn prepare_data(inner: &mut Inner, limits: &Limits) -> Result<(), BlockError> {
    let whole = inner.segments.bytes() as u64 == inner.sectors * SECTOR;
    if !whole || inner.sectors > u64::from(limits.max_sectors) {
        return Err(BlockError::Invalid);
    }
    let most = usize::from(limits.max_segments);
    let mut pieces = count_for(&inner.segments, limits).filter(|&pieces| pieces <= most);
    if pieces.is_none() {
        let fill = inner.operation == Operation::Write;
        let copy = bounce::copy_for(&inner.segments, limits, fill)?;
        pieces = count_for(&copy, limits).filter(|&pieces| pieces <= most);
        inner.bounced = Some(core::mem::replace(&mut inner.segments, copy));
    }
    inner.pieces = pieces.ok_or(BlockError::Invalid)?;
    inner.all_pieces = inner.pieces;
    Ok(())
}

/// Checks the size of a request without memory.
fn check_range(inner: &Inner, limits: Option<RangeLimits>) -> Result<(), BlockError> {
    let limits = limits.ok_or(BlockError::NotSupported)?;
    if inner.sectors > u64::from(limits.max_sectors) { Err(BlockError::Invalid) } else { Ok(()) }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume({}, {}, {} sectors)", self.name, self.number, self.sectors())
    }
}
