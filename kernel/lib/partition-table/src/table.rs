//! What was found: [`Table`] and its [`Partition`]s.

use alloc::string::String;
use alloc::vec::Vec;

use uguid::Guid;

use crate::fault::{Fault, Refusal};
use crate::kind::Kind;

/// The kind of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A master boot record, with the disk's signature.
    Mbr(u32),
    /// A GUID partition table, with the disk's GUID; zero if both headers are damaged.
    Gpt(Guid),
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number: 1 to 4 for the primary ones of a master boot record and 5 and more for the
    /// logical ones; in a GPT the place of its entry, from 1 on.
    pub number: u32,
    /// Its first block.
    pub first: u64,
    /// How many blocks; not 0.
    pub blocks: u64,
    /// What it is for.
    pub kind: Kind,
    /// Its own GUID in a GPT.
    pub guid: Option<Guid>,
    /// Its name in a GPT; empty if it has none.
    pub label: String,
}

impl Partition {
    /// The first block behind it.
    pub fn end(&self) -> u64 {
        self.first + self.blocks
    }
}

/// The partitions of a disk. All lie on it, and none overlaps another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What kind of table it is.
    pub scheme: Scheme,
    /// The partitions, by rising number.
    pub partitions: Vec<Partition>,
    /// What is not as it should be.
    pub faults: Vec<Fault>,
}

impl Table {
    pub(crate) fn new(scheme: Scheme) -> Self {
        Self { scheme, partitions: Vec::new(), faults: Vec::new() }
    }

    /// Adds a partition with a larger number than all others, if it lies in blocks `within` and
    /// overlaps none; else a fault.
    pub(crate) fn add(&mut self, partition: Partition, within: core::ops::Range<u64>) {
        let number = partition.number;
        match self.refusal(&partition, within) {
            None => self.partitions.push(partition),
            Some(refusal) => self.faults.push(Fault::Partition(number, refusal)),
        }
    }

    fn refusal(&self, new: &Partition, within: core::ops::Range<u64>) -> Option<Refusal> {
        if new.blocks == 0 || new.first < within.start {
            return Some(Refusal::Range);
        }
        let end = new.first.checked_add(new.blocks).filter(|&end| end <= within.end);
        let Some(end) = end else { return Some(Refusal::OutOfRange) };
        let overlaps = |other: &&Partition| other.first < end && new.first < other.end();
        self.partitions.iter().find(overlaps).map(|other| Refusal::Overlaps(other.number))
    }
}
