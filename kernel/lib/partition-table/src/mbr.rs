//! The master boot record: four entries at the end of the first block, of which one may be an
//! extended partition, with a chain of logical ones in it.
//!
//! An entry is 16 bytes: a flag (0x80: active, else 0), the first sector in an old notation, the
//! type, the last sector in the old notation, first block and number of blocks, 32 bits each
//! (UEFI 2.10, section 5.2.1). A link of the chain is such a record, too, whose first entry is a
//! logical partition, counted from the link, and whose second is the next link, counted from the
//! start of the extended partition.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bytes::{array, u32_at};
use crate::fault::{Error, Fault};
use crate::kind::Kind;
use crate::table::{Partition, Scheme, Table};
use crate::{Disk, blocks};

/// Where the entries begin.
const ENTRIES: usize = 446;
const ENTRY_BYTES: usize = 16;
/// What ends a record.
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// Where the disk's own signature is.
const DISK_SIGNATURE: usize = 440;

/// The type of a partition that stands for a GPT.
const PROTECTIVE: u8 = 0xee;
/// Types of an extended partition: of DOS, of Windows 95 and of Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// The first logical partition's number.
const FIRST_LOGICAL: u32 = 5;
/// Most logical partitions.
const MOST_LOGICAL: usize = 256;

/// An entry.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u8,
    first: u64,
    blocks: u64,
}

impl Entry {
    fn is_used(self) -> bool {
        self.kind != 0 && self.blocks != 0
    }

    fn is_extended(self) -> bool {
        EXTENDED.contains(&self.kind)
    }

    /// The partition that it is, counted from block `base` on.
    fn partition(self, number: u32, base: u64) -> Partition {
        Partition {
            number,
            first: base + self.first,
            blocks: self.blocks,
            kind: Kind::Mbr(self.kind),
            guid: None,
            label: String::new(),
        }
    }
}

/// The entries of a record.
pub(crate) struct Records {
    entries: [Entry; 4],
    signature: u32,
}

/// The record in a block, if it holds one. The first block of a file system of DOS ends in the
/// same two bytes: there are other things than flags where an entry's would be.
pub(crate) fn records(block: &[u8]) -> Option<Records> {
    if array(block, ENTRIES + 4 * ENTRY_BYTES)? != SIGNATURE {
        return None;
    }
    let mut entries = [Entry { kind: 0, first: 0, blocks: 0 }; 4];
    for (index, entry) in entries.iter_mut().enumerate() {
        let bytes: [u8; ENTRY_BYTES] = array(block, ENTRIES + index * ENTRY_BYTES)?;
        let [flag, _, _, _, kind, ..] = bytes;
        if flag & 0x7f != 0 {
            return None;
        }
        let (first, blocks) = (u32_at(&bytes, 8)?.into(), u32_at(&bytes, 12)?.into());
        *entry = Entry { kind, first, blocks };
    }
    Some(Records { entries, signature: u32_at(block, DISK_SIGNATURE)? })
}

/// Whether a record says that the disk has a GPT (UEFI 2.10, section 5.2.3); other entries
/// beside the one that says so are for systems that do not know it.
pub(crate) fn is_protective(records: &Records) -> bool {
    records.entries.iter().any(|entry| entry.kind == PROTECTIVE && entry.first == 1)
}

/// Finds the partitions of a disk with this record; `None` if it has no entry at all, as a block
/// of a file system might look.
pub(crate) fn read<D: Disk>(
    disk: &mut D,
    records: &Records,
) -> Result<Option<Table>, Error<D::Error>> {
    let mut table = Table::new(Scheme::Mbr(records.signature));
    let mut used = (1..).zip(records.entries).filter(|(_, entry)| entry.is_used()).peekable();
    if used.peek().is_none() {
        return Ok(None);
    }
    let (extended, primary): (Vec<_>, Vec<_>) = used.partition(|(_, entry)| entry.is_extended());
    for (number, entry) in primary {
        table.add(entry.partition(number, 0), 1..disk.blocks());
    }
    let mut number = FIRST_LOGICAL;
    for (_, entry) in extended {
        logical(disk, entry, &mut number, &mut table)?;
    }
    Ok(Some(table))
}

/// Adds the logical partitions of an extended one.
fn logical<D: Disk>(
    disk: &mut D,
    extended: Entry,
    number: &mut u32,
    table: &mut Table,
) -> Result<(), Error<D::Error>> {
    let start = extended.first;
    // A chain that ends on the disk is good, whatever the extended partition says.
    let end = start.saturating_add(extended.blocks).min(disk.blocks());
    let mut visited: Vec<u64> = Vec::new();
    let mut link = start;
    loop {
        if visited.contains(&link) {
            table.faults.push(Fault::Loop(link));
            return Ok(());
        }
        if visited.len() == MOST_LOGICAL {
            table.faults.push(Fault::TooMany);
            return Ok(());
        }
        visited.push(link);
        let records =
            if link == 0 || link >= end { None } else { records(&blocks(disk, link, 1)?) };
        let Some(records) = records else {
            table.faults.push(Fault::BrokenChain(link));
            return Ok(());
        };
        for entry in records.entries.iter().filter(|entry| entry.is_used() && !entry.is_extended())
        {
            table.add(entry.partition(*number, link), link + 1..end);
            *number += 1;
        }
        let next = records.entries.iter().find(|entry| entry.is_used() && entry.is_extended());
        match next {
            Some(next) => link = start + next.first,
            None => return Ok(()),
        }
    }
}
