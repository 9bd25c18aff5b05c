//! Disk images: files with tables of partitions, made byte by byte, and what the kernel's `block
//! check` writes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::place;

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;

/// A file of this run's own that is a disk. It goes with this value.
pub(crate) struct Image {
    path: PathBuf,
    file: File,
}

/// A partition: first block, last block, what it is called in a GPT.
pub(crate) type Part = (u64, u64, &'static str);

impl Image {
    /// A disk of `mib` MiB, all zeros.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn new(name: &str, mib: u64) -> Result<Self, String> {
        let path = place::scratch(name);
        let open = || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
            file.set_len(mib << 20)?;
            Ok(file)
        };
        let file = open().map_err(|error: std::io::Error| format!("{path:?}: {error}"))?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path, as QEMU's options take it.
    pub(crate) fn option(&self) -> String {
        self.path.display().to_string().replace(',', ",,")
    }

    fn bytes(&self) -> Result<u64, String> {
        self.file.metadata().map(|it| it.len()).map_err(|error| error.to_string())
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all_at(bytes, offset).map_err(|error| format!("{:?}: {error}", self.path))
    }

    /// Bytes at an offset.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(|error| format!("{:?}: {error}", self.path))?;
        Ok(bytes)
    }

    /// Writes a record with up to four partitions to block 0 of a disk with blocks of
    /// `block` bytes, or a link of a chain to another block: type, first block, blocks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn record(
        &self,
        block: u64,
        at: u64,
        entries: &[(u8, u32, u32)],
    ) -> Result<(), String> {
        let mut record = [0; 512];
        for (place, (kind, first, blocks)) in record[446..510].chunks_exact_mut(16).zip(entries) {
            place[4] = *kind;
            place[8..12].copy_from_slice(&first.to_le_bytes());
            place[12..].copy_from_slice(&blocks.to_le_bytes());
        }
        record[440..444].copy_from_slice(&0x0bad_5eedu32.to_le_bytes());
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        self.put(at * block, &record)
    }

    /// Writes a GPT (UEFI 2.10, chapter 5) for blocks of `block` bytes, with its backup.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn gpt(&self, block: u64, parts: &[Part]) -> Result<(), String> {
        /// "Linux".
        const KIND: [u8; 16] = *b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4";
        let mut array = [0; 128 * 128];
        for (index, (place, (first, last, name))) in
            array.chunks_exact_mut(128).zip(parts).enumerate()
        {
            place[..16].copy_from_slice(&KIND);
            place[16..32].fill(index as u8 + 1);
            place[32..40].copy_from_slice(&first.to_le_bytes());
            place[40..48].copy_from_slice(&last.to_le_bytes());
            for (unit, letter) in place[56..].chunks_exact_mut(2).zip(name.encode_utf16()) {
                unit.copy_from_slice(&letter.to_le_bytes());
            }
        }
        let (blocks, taken) = (self.bytes()? / block, (array.len() as u64).div_ceil(block));
        let last = blocks - 1;
        self.record(block, 0, &[(0xee, 1, u32::try_from(last).unwrap_or(u32::MAX))])?;
        for (place, other, array_at) in [(1, last, 2), (last, 1, last - taken)] {
            let mut header = [0; 92];
            header[..8].copy_from_slice(b"EFI PART");
            header[8..16].copy_from_slice(&0x5c_0001_0000u64.to_le_bytes());
            let numbers = [place, other, 2 + taken, last - taken - 1];
            for (place, number) in header[24..56].chunks_exact_mut(8).zip(numbers) {
                place.copy_from_slice(&number.to_le_bytes());
            }
            header[56..72].fill(0xdd);
            header[72..80].copy_from_slice(&array_at.to_le_bytes());
            header[80..88].copy_from_slice(&(128 | 128u64 << 32).to_le_bytes());
            header[88..].copy_from_slice(&checksum(&array).to_le_bytes());
            let sum = checksum(&header);
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            self.put(place * block, &header)?;
            self.put(array_at * block, &array)?;
        }
        Ok(())
    }

    /// # Errors
    /// If it does not hold what `block overwrite` writes with this seed, in any sector.
    pub(crate) fn expect_pattern(&self, seed: u64) -> Result<(), String> {
        const SECTORS: u64 = 2048;
        let sectors = self.bytes()? / SECTOR;
        for first in (0..sectors).step_by(SECTORS as usize) {
            let count = SECTORS.min(sectors - first);
            let bytes = self.get(first * SECTOR, (count * SECTOR) as usize)?;
            for (index, bytes) in (first * (SECTOR / 8)..).zip(bytes.chunks_exact(8)) {
                if bytes != word(seed, index).to_le_bytes() {
                    let sector = index / (SECTOR / 8);
                    return Err(format!("{:?}: sector {sector} holds something else", self.path));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // It is in the scratch directory, which the next run makes afresh.
        let _ = fs::remove_file(&self.path);
    }
}

/// Word `index` of the disk, as `block overwrite` writes it (SplitMix64).
fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// CRC-32 as a GPT has it, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xedb8_8320 };
    let all = bytes
        .iter()
        .fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)));
    !all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
