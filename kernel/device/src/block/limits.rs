//! What a disk can take and do: [`Limits`] and [`Features`].

use core::fmt;

use arch::paging::PAGE_SIZE;

/// Bytes of a sector, the unit of addresses and counts everywhere in the block layer, whatever
/// the logical block of the device is.
pub const SECTOR: u64 = 512;

/// Most requests that a hardware queue may have in flight.
pub const MAX_DEPTH: u16 = 1024;

/// What a request of the device may look like. The layer checks, merges within them, and copies
/// through other memory (a bounce) where the memory of a request does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the smallest unit that the device reads and writes: a power of two, 512 to 4096.
    pub logical_block: u32,
    /// Bytes of what the medium writes at once: a power of two, at least the logical block.
    pub physical_block: u32,
    /// Most sectors of one read or write.
    pub max_sectors: u32,
    /// Most physically contiguous pieces of memory of one request.
    pub max_segments: u16,
    /// Most bytes of such a piece: at least a page.
    pub max_segment_bytes: u32,
    /// First physical address that the device does not reach; `u64::MAX` if it reaches all.
    pub dma_below: u64,
    /// Addresses and lengths of pieces are multiples of this: a power of two, at most 512.
    pub dma_alignment: u32,
    /// All pieces but the first begin at a page's start, all but the last end at a page's end:
    /// for devices that are given a list of pages (PRP of NVMe).
    pub whole_pages: bool,
}

impl Limits {
    /// Sectors of a logical block.
    pub fn block_sectors(&self) -> u64 {
        u64::from(self.logical_block) / SECTOR
    }

    /// What is wrong with them.
    pub(super) fn fault(&self) -> Option<LimitsFault> {
        let is_block = |bytes: u32| bytes.is_power_of_two() && bytes >= SECTOR as u32;
        let (logical, physical) = (self.logical_block, self.physical_block);
        let blocks = is_block(logical) && u64::from(logical) <= PAGE_SIZE;
        if !blocks || !is_block(physical) || physical < logical {
            return Some(LimitsFault::BlockSize);
        }
        if u64::from(self.max_sectors) < PAGE_SIZE / SECTOR
            || self.max_segments == 0
            || u64::from(self.max_segment_bytes) < PAGE_SIZE
        {
            return Some(LimitsFault::TooSmall);
        }
        let aligned = self.dma_alignment.is_power_of_two() && self.dma_alignment <= SECTOR as u32;
        (!aligned || self.dma_below < PAGE_SIZE).then_some(LimitsFault::Dma)
    }
}

/// A device that transfers whole pages of memory anywhere, up to 1024 sectors at once in 128
/// pieces, in blocks of 512 bytes.
impl Default for Limits {
    fn default() -> Self {
        Self {
            logical_block: SECTOR as u32,
            physical_block: SECTOR as u32,
            max_sectors: 1024,
            max_segments: 128,
            max_segment_bytes: 1 << 20,
            dma_below: u64::MAX,
            dma_alignment: 1,
            whole_pages: false,
        }
    }
}

/// Why a device's limits make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsFault {
    /// Its blocks are no power of two from 512 to 4096, or the physical one is the smaller.
    BlockSize,
    /// Not even a page fits into a request.
    TooSmall,
    /// An alignment that is no power of two up to 512, or no memory that it reaches.
    Dma,
}

impl fmt::Display for LimitsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlockSize => "its block size is not supported",
            Self::TooSmall => "it takes less than a page in one request",
            Self::Dma => "it cannot reach memory as it would have to",
        })
    }
}

/// How much of the device one discard or write-zeroes may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLimits {
    /// Most sectors of one request; not 0.
    pub max_sectors: u32,
    /// Sectors of the unit in which the device does it; 1 or more. Smaller parts may be ignored.
    pub granularity: u32,
}

/// What a device can do beside reading and writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// It has a volatile write cache, which a flush empties. Without one a flush is done at once.
    pub flush: bool,
    /// A single write can be asked to reach the medium.
    pub force_unit_access: bool,
    /// It can be told that sectors are not needed any more.
    pub discard: Option<RangeLimits>,
    /// It can write zeros without being given them.
    pub write_zeroes: Option<RangeLimits>,
    /// It has no moving parts: where sectors lie does not matter.
    pub non_rotational: bool,
}
