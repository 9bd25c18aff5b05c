//! The GUID partition table (UEFI specification 2.10, section 5.3): a header in block 1 with a
//! checksum, an array of entries with another, and a copy of both at the end of the disk.

use alloc::string::String;

use crc::{CRC_32_ISO_HDLC, Crc};
use uguid::Guid;

use crate::bytes::{array, u16_at, u32_at, u64_at};
use crate::fault::{Error, Fault};
use crate::kind::Kind;
use crate::table::{Partition, Scheme, Table};
use crate::{Disk, blocks};

const SIGNATURE: [u8; 8] = *b"EFI PART";
/// Bytes of a header, at least.
const HEADER_BYTES: u32 = 92;
/// Bytes of an entry, at least; others are this times a power of two.
const ENTRY_BYTES: u32 = 128;
/// Bytes of all entries, at most: 64 times what the specification asks for at least.
const MOST_BYTES: u64 = 1 << 20;
/// Units of UTF-16 in a name, and where it begins in an entry.
const NAME_UNITS: usize = 36;
const NAME: usize = 56;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A header whose checksum is right and whose numbers make sense on the disk.
struct Header {
    disk: Guid,
    /// Blocks in which partitions may lie.
    first_usable: u64,
    last_usable: u64,
    entries: u64,
    count: u32,
    entry_bytes: u32,
    checksum: u32,
}

impl Header {
    /// The header in `block`, which is number `place` of a disk with `blocks` blocks.
    fn parse(block: &[u8], place: u64, blocks: u64) -> Option<Self> {
        if array(block, 0)? != SIGNATURE || u32_at(block, 8)? >> 16 != 1 {
            return None;
        }
        let bytes = u32_at(block, 12).filter(|&bytes| bytes >= HEADER_BYTES)?;
        let header = block.get(..bytes as usize)?;
        let mut digest = CHECKSUM.digest();
        digest.update(header.get(..16)?);
        digest.update(&[0; 4]); // the checksum itself
        digest.update(header.get(20..)?);
        if digest.finalize() != u32_at(header, 16)? || u64_at(header, 24)? != place {
            return None;
        }
        let header = Self {
            disk: Guid::from_bytes(array(header, 56)?),
            first_usable: u64_at(header, 40)?,
            last_usable: u64_at(header, 48)?,
            entries: u64_at(header, 72)?,
            count: u32_at(header, 80)?,
            entry_bytes: u32_at(header, 84)?,
            checksum: u32_at(header, 88)?,
        };
        header.makes_sense(place, blocks, block.len() as u64).then_some(header)
    }

    fn bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(self.entry_bytes)
    }

    fn makes_sense(&self, place: u64, blocks: u64, block_bytes: u64) -> bool {
        let size = self.entry_bytes / ENTRY_BYTES;
        let sized = self.entry_bytes.is_multiple_of(ENTRY_BYTES) && size.is_power_of_two();
        let Some(end) = self.entries.checked_add(self.bytes().div_ceil(block_bytes)) else {
            return false;
        };
        // The entries lie behind the first header or before the second, not where partitions may.
        let apart = end <= self.first_usable || self.entries > self.last_usable;
        sized
            && self.count > 0
            && self.bytes() <= MOST_BYTES
            && self.entries > 1
            && end <= blocks
            && !(self.entries..end).contains(&place)
            && apart
            && self.first_usable > 1
            && self.first_usable <= self.last_usable
            && self.last_usable < blocks
    }
}

/// Finds the partitions of a disk that says it has a GPT.
pub(crate) fn read<D: Disk>(disk: &mut D) -> Result<Table, Error<D::Error>> {
    let last = disk.blocks() - 1;
    for place in [1, last] {
        if let Some(mut table) = read_at(disk, place)? {
            if place != 1 {
                table.faults.insert(0, Fault::UsedBackup);
            }
            return Ok(table);
        }
    }
    let mut table = Table::new(Scheme::Gpt(Guid::ZERO));
    table.faults.push(Fault::BothDamaged);
    Ok(table)
}

/// The table whose header is in block `place`, if it is sound. One that cannot be read is as
/// good as damaged, if it is the first.
fn read_at<D: Disk>(disk: &mut D, place: u64) -> Result<Option<Table>, Error<D::Error>> {
    if place == 0 || place >= disk.blocks() {
        return Ok(None);
    }
    match try_read(disk, place) {
        Err(Error::Read(_)) if place == 1 => Ok(None),
        other => other,
    }
}

fn try_read<D: Disk>(disk: &mut D, place: u64) -> Result<Option<Table>, Error<D::Error>> {
    let block_bytes = u64::from(disk.block_bytes());
    let block = blocks(disk, place, 1)?;
    let Some(header) = Header::parse(&block, place, disk.blocks()) else { return Ok(None) };
    let array = blocks(disk, header.entries, header.bytes().div_ceil(block_bytes))?;
    let Some(array) = array.get(..header.bytes() as usize) else { return Ok(None) };
    if CHECKSUM.checksum(array) != header.checksum {
        return Ok(None);
    }
    let mut table = Table::new(Scheme::Gpt(header.disk));
    for (number, entry) in (1..).zip(array.chunks_exact(header.entry_bytes as usize)) {
        if let Some(partition) = parse_entry(number, entry) {
            table.add(partition, header.first_usable..header.last_usable + 1);
        }
    }
    Ok(Some(table))
}

/// The partition of an entry; `None` if it is not used. One that ends before it begins has no
/// blocks.
fn parse_entry(number: u32, entry: &[u8]) -> Option<Partition> {
    let kind = Guid::from_bytes(array(entry, 0)?);
    if kind.is_zero() {
        return None;
    }
    let (first, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
    let blocks = last.checked_sub(first).and_then(|more| more.checked_add(1)).unwrap_or(0);
    Some(Partition {
        number,
        first,
        blocks,
        kind: Kind::Gpt(kind),
        guid: Some(Guid::from_bytes(array(entry, 16)?)),
        label: name(entry),
    })
}

/// The name in an entry, up to its first zero; what is no text becomes U+FFFD.
fn name(entry: &[u8]) -> String {
    let units = (0..NAME_UNITS).map_while(|index| u16_at(entry, NAME + 2 * index));
    let text = char::decode_utf16(units.take_while(|&unit| unit != 0));
    text.map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER))
        .map(|read| if read.is_control() { char::REPLACEMENT_CHARACTER } else { read })
        .collect()
}
