//! [`RecordLocks`]: the records of one file.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::bytes::Bytes;

/// Who else may lock the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those who lock them in this mode too.
    Shared,
    /// Nobody.
    Exclusive,
}

impl Mode {
    /// Whether two owners cannot both have the same bytes in these modes.
    pub fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What tells owners apart.
    pub number: u64,
    /// The process that it is; `None` for an open file.
    pub pid: Option<u32>,
}

/// Bytes that somebody has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who.
    pub owner: Owner,
    /// Which bytes.
    pub bytes: Bytes,
    /// Who else may.
    pub mode: Mode,
}

/// A change needs more records than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for more record locks")
    }
}

/// The record locks of a file.
#[derive(Debug, Default)]
pub struct RecordLocks {
    /// By owner, and by position for each; those of one owner do not overlap.
    records: Vec<Record>,
}

impl RecordLocks {
    /// Most records that one change adds: one that it cuts a hole into becomes two, with a new one
    /// between them.
    pub const MOST_ADDED: usize = 2;

    /// None.
    pub const fn new() -> Self {
        Self { records: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// How many bytes of memory [`RecordLocks::reserve`] would take at a time, if it must.
    pub fn growth(&self, more: usize) -> usize {
        let wanted = self.records.len().saturating_add(more);
        wanted.max(self.records.capacity().saturating_mul(2)).saturating_mul(size_of::<Record>())
    }

    /// Makes room for `more` records.
    ///
    /// # Errors
    /// [`NoRoom`] without memory for that.
    pub fn reserve(&mut self, more: usize) -> Result<(), NoRoom> {
        self.records.try_reserve(more).map_err(|_| NoRoom)
    }

    /// Where the records of an owner are.
    fn of(&self, owner: u64) -> Range<usize> {
        let start = self.records.partition_point(|record| record.owner.number < owner);
        let end = self.records.partition_point(|record| record.owner.number <= owner);
        start..end
    }

    /// A record for which `owner` cannot lock the bytes in that mode. Looks at all those of others.
    pub fn conflict(&self, owner: u64, bytes: Bytes, mode: Mode) -> Option<&Record> {
        let own = self.of(owner);
        let before = self.records.get(..own.start).unwrap_or_default();
        let behind = self.records.get(own.end..).unwrap_or_default();
        let is_in_the_way =
            |record: &&Record| record.bytes.overlaps(bytes) && record.mode.excludes(mode);
        before.iter().chain(behind).find(is_in_the_way)
    }

    /// The first record of `owner` itself that has some of the bytes.
    pub fn own(&self, owner: u64, bytes: Bytes) -> Option<&Record> {
        let own = self.records.get(self.of(owner))?;
        own.iter().find(|record| record.bytes.overlaps(bytes))
    }

    /// Locks the bytes for `owner`, who may ([`RecordLocks::conflict`]), or unlocks them, if
    /// `mode` is `None`. Whether others may now have what they could not have before.
    ///
    /// # Errors
    /// [`NoRoom`] if that adds records and there would be more than `most`, or more than there is
    /// memory for, which is not if [`RecordLocks::MOST_ADDED`] were reserved. Nothing has changed
    /// then.
    pub fn set(
        &mut self,
        owner: Owner,
        bytes: Bytes,
        mode: Option<Mode>,
        most: usize,
    ) -> Result<bool, NoRoom> {
        let touched = self.touched(owner.number, bytes);
        let mut new = mode.map(|mode| Record { owner, bytes, mode });
        let (mut left, mut right, mut frees) = (None, None, false);
        for old in self.records.get(touched.clone()).unwrap_or_default() {
            match &mut new {
                Some(new) if new.mode == old.mode => {
                    new.bytes.first = new.bytes.first.min(old.bytes.first);
                    new.bytes.last = new.bytes.last.max(old.bytes.last);
                    continue;
                }
                _ => {}
            }
            frees |= mode != Some(Mode::Exclusive) && old.bytes.overlaps(bytes);
            // The one that is cut by the first byte, and by the one behind the last.
            if old.bytes.first < bytes.first {
                let last = old.bytes.last.min(bytes.first - 1);
                left = Some(Record { bytes: Bytes { last, ..old.bytes }, ..*old });
            }
            if old.bytes.last > bytes.last {
                let first = old.bytes.first.max(bytes.last + 1);
                right = Some(Record { bytes: Bytes { first, ..old.bytes }, ..*old });
            }
        }
        let instead = [left, new, right].into_iter().flatten();
        let added = instead.clone().count().saturating_sub(touched.len());
        if added > self.records.capacity().min(most).saturating_sub(self.records.len()) {
            return Err(NoRoom);
        }
        let mut at = touched.start;
        for record in instead {
            match self.records.get_mut(at).filter(|_| at < touched.end) {
                Some(old) => *old = record,
                None => self.records.insert(at, record),
            }
            at += 1;
        }
        self.records.drain(at..touched.end.max(at));
        Ok(frees)
    }

    /// The records of an owner that have some of the bytes, or end or begin beside them.
    fn touched(&self, owner: u64, bytes: Bytes) -> Range<usize> {
        let range = self.of(owner);
        let own = self.records.get(range.clone()).unwrap_or_default();
        let start = own.partition_point(|record| record.bytes.last < bytes.first.saturating_sub(1));
        // The last possible byte is far below that of the type.
        let end = own.partition_point(|record| record.bytes.first <= bytes.last + 1);
        range.start + start..range.start + end.max(start)
    }

    /// Takes away all that `owner` has; whether it had something.
    pub fn remove_owner(&mut self, owner: u64) -> bool {
        let own = self.of(owner);
        let had = !own.is_empty();
        self.records.drain(own);
        if self.records.is_empty() {
            self.records = Vec::new();
        }
        had
    }
}
