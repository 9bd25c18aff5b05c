//! Disks in memory, and the writing of tables.

use crc::{CRC_32_ISO_HDLC, Crc};
use uguid::{Guid, guid};

use crate::Disk;

/// The type "Linux" of a GPT.
pub(super) const LINUX: Guid = guid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
/// The GUID of a disk that [`Image::gpt`] writes.
pub(super) const DISK: Guid = guid!("01234567-89ab-cdef-0123-456789abcdef");

/// A disk in memory.
#[derive(Clone)]
pub(super) struct Image {
    block_bytes: u32,
    pub(super) bytes: Vec<u8>,
    /// A block that cannot be read.
    pub(super) unreadable: Option<u64>,
}

/// How a GPT is laid out.
#[derive(Clone)]
pub(super) struct Gpt {
    pub(super) entry_bytes: u32,
    pub(super) count: u32,
    pub(super) header_bytes: u32,
    /// Number of the entry, first and last block, name.
    pub(super) entries: Vec<(u32, u64, u64, String)>,
}

impl Gpt {
    pub(super) fn new(entries: &[(u32, u64, u64, &str)]) -> Self {
        let entries = entries.iter().map(|&(n, first, last, name)| (n, first, last, name.into()));
        Self { entry_bytes: 128, count: 128, header_bytes: 92, entries: entries.collect() }
    }
}

impl Image {
    pub(super) fn new(block_bytes: u32, blocks: u64) -> Self {
        let bytes = vec![0; (u64::from(block_bytes) * blocks) as usize];
        Self { block_bytes, bytes, unreadable: None }
    }

    pub(super) fn block_count(&self) -> u64 {
        self.bytes.len() as u64 / u64::from(self.block_bytes)
    }

    pub(super) fn put(&mut self, block: u64, offset: usize, bytes: &[u8]) {
        let at = block as usize * self.block_bytes as usize + offset;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a master boot record, or a link of a chain: type, first block, blocks.
    pub(super) fn record(&mut self, block: u64, entries: &[(u8, u32, u32)]) {
        self.put(block, 440, &0xbada_5500u32.to_le_bytes());
        self.put(block, 446, &[0; 64]);
        for (index, &(kind, first, blocks)) in entries.iter().enumerate() {
            let at = 446 + 16 * index;
            self.put(block, at, &[0, 0, 0, 0, kind, 0, 0, 0]);
            self.put(block, at + 8, &first.to_le_bytes());
            self.put(block, at + 12, &blocks.to_le_bytes());
        }
        self.put(block, 510, &[0x55, 0xaa]);
    }

    /// Writes a GPT with its protective record and its backup.
    pub(super) fn gpt(&mut self, gpt: &Gpt) {
        let blocks = self.block_count();
        self.record(0, &[(0xee, 1, (blocks - 1).try_into().unwrap_or(u32::MAX))]);
        let array = (u64::from(gpt.entry_bytes) * u64::from(gpt.count))
            .div_ceil(u64::from(self.block_bytes));
        let usable = (2 + array, blocks - 2 - array);
        self.write_gpt(gpt, usable, 1, blocks - 1, 2);
        self.write_gpt(gpt, usable, blocks - 1, 1, blocks - 1 - array);
    }

    fn write_gpt(&mut self, gpt: &Gpt, usable: (u64, u64), at: u64, other: u64, array_at: u64) {
        let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
        let mut array = vec![0; (gpt.entry_bytes * gpt.count) as usize];
        for (number, first, last, name) in &gpt.entries {
            let entry = &mut array[((number - 1) * gpt.entry_bytes) as usize..];
            entry[..16].copy_from_slice(&LINUX.to_bytes());
            entry[16..32].copy_from_slice(&[*number as u8; 16]);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
            for (index, unit) in name.encode_utf16().take(36).enumerate() {
                entry[56 + 2 * index..][..2].copy_from_slice(&unit.to_le_bytes());
            }
        }
        let mut header = vec![0; gpt.header_bytes as usize];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"EFI PART");
        put(8, &0x10000u32.to_le_bytes());
        put(12, &gpt.header_bytes.to_le_bytes());
        put(24, &at.to_le_bytes());
        put(32, &other.to_le_bytes());
        put(40, &usable.0.to_le_bytes());
        put(48, &usable.1.to_le_bytes());
        put(56, &DISK.to_bytes());
        put(72, &array_at.to_le_bytes());
        put(80, &gpt.count.to_le_bytes());
        put(84, &gpt.entry_bytes.to_le_bytes());
        put(88, &crc.checksum(&array).to_le_bytes());
        let checksum = crc.checksum(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        self.put(at, 0, &header);
        self.put(array_at, 0, &array);
    }
}

impl Disk for Image {
    type Error = &'static str;

    fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn blocks(&self) -> u64 {
        self.block_count()
    }

    fn read(&mut self, first: u64, to: &mut [u8]) -> Result<(), &'static str> {
        assert!(to.len().is_multiple_of(self.block_bytes as usize), "whole blocks");
        let count = to.len() as u64 / u64::from(self.block_bytes);
        assert!(first + count <= self.block_count(), "on the disk");
        if self.unreadable.is_some_and(|block| (first..first + count).contains(&block)) {
            return Err("planted");
        }
        let at = first as usize * self.block_bytes as usize;
        to.copy_from_slice(&self.bytes[at..at + to.len()]);
        Ok(())
    }
}
