//! What a disk says of itself (VirtIO 1.2, section 5.2.4): [`DiskConfig`], and what the block layer
//! is told of it.

use alloc::string::String;

use ::device::block::{
    self, DEFAULT_TIMEOUT_NS, Description, DiskName, Identity, Limits, RangeLimits, SECTOR,
};

use super::slot::SEGMENTS;
use crate::virtio::{Features, VirtioDevice, VirtioError};

/// Segments have a largest size.
const SIZE_MAX: Features = Features::bit(1);
/// Requests have a largest number of segments.
const SEG_MAX: Features = Features::bit(2);
/// There are cylinders, heads and sectors.
const GEOMETRY: Features = Features::bit(4);
/// The disk cannot be written.
const READ_ONLY: Features = Features::bit(5);
/// The size of a block is told.
const BLK_SIZE: Features = Features::bit(6);
/// There is a cache, and a request that empties it.
const FLUSH: Features = Features::bit(9);
/// What blocks are like on the medium is told.
const TOPOLOGY: Features = Features::bit(10);
/// Whether there is a cache can be told, and set.
pub(super) const CONFIG_WCE: Features = Features::bit(11);
/// There are several queues.
const MULTI_QUEUE: Features = Features::bit(12);
const DISCARD: Features = Features::bit(13);
const WRITE_ZEROES: Features = Features::bit(14);

/// All that the driver knows.
pub(super) const KNOWN: Features = SIZE_MAX
    .with(SEG_MAX)
    .with(GEOMETRY)
    .with(READ_ONLY)
    .with(BLK_SIZE)
    .with(FLUSH)
    .with(TOPOLOGY)
    .with(CONFIG_WCE)
    .with(MULTI_QUEUE)
    .with(DISCARD)
    .with(WRITE_ZEROES);

/// Offsets in the configuration.
mod at {
    pub(super) const CAPACITY: u16 = 0;
    pub(super) const SIZE_MAX: u16 = 8;
    pub(super) const SEG_MAX: u16 = 12;
    pub(super) const CYLINDERS: u16 = 16;
    pub(super) const HEADS: u16 = 18;
    pub(super) const SECTORS: u16 = 19;
    pub(super) const BLK_SIZE: u16 = 20;
    pub(super) const PHYSICAL_BLOCK_EXP: u16 = 24;
    pub(super) const WRITEBACK: u16 = 32;
    pub(super) const NUM_QUEUES: u16 = 34;
    pub(super) const MAX_DISCARD_SECTORS: u16 = 36;
    pub(super) const DISCARD_ALIGNMENT: u16 = 44;
    pub(super) const MAX_WRITE_ZEROES_SECTORS: u16 = 48;
}

/// Most sectors of a read or write that the driver takes: 4 MiB.
const MOST_SECTORS: u32 = 8192;
/// Most bytes of a piece of memory, where the device names no limit.
const MOST_SEGMENT: u32 = 4 << 20;

/// What a disk says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiskConfig {
    /// In sectors of 512 bytes.
    pub(super) capacity: u64,
    pub(super) read_only: bool,
    size_max: Option<u32>,
    seg_max: u32,
    pub(super) geometry: Option<Geometry>,
    block_size: u32,
    /// Blocks of a physical one, as a power of two.
    physical_exp: u8,
    /// It has a volatile cache.
    pub(super) has_cache: bool,
    pub(super) queues: u16,
    discard: Option<RangeLimits>,
    write_zeroes: Option<RangeLimits>,
}

/// Where sectors are on a disk that turns, or says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) cylinders: u16,
    pub(super) heads: u8,
    pub(super) sectors: u8,
}

impl DiskConfig {
    /// Reads it, as far as `features` were taken.
    ///
    /// # Errors
    /// `NoConfig`, `ConfigUnstable`; `BadConfig` for blocks of a size that cannot be.
    pub(super) fn read(virtio: &VirtioDevice, features: Features) -> Result<Self, VirtioError> {
        let config = virtio.config(|config| {
            let double = |at| config.config32(at);
            let optional = |feature, at| {
                if features.has(feature) { double(at).map(Some) } else { Ok(None) }
            };
            let range = |most: Option<u32>, granularity: u32| {
                let limits = |max_sectors| RangeLimits { max_sectors, granularity };
                most.filter(|&most| most > 0).map(limits)
            };
            let geometry = if features.has(GEOMETRY) {
                Some(Geometry {
                    cylinders: config.config16(at::CYLINDERS)?,
                    heads: config.config8(at::HEADS)?,
                    sectors: config.config8(at::SECTORS)?,
                })
            } else {
                None
            };
            let alignment = optional(DISCARD, at::DISCARD_ALIGNMENT)?.unwrap_or(1);
            Ok(Self {
                capacity: u64::from(double(at::CAPACITY)?)
                    | u64::from(double(at::CAPACITY + 4)?) << 32,
                read_only: features.has(READ_ONLY),
                size_max: optional(SIZE_MAX, at::SIZE_MAX)?.filter(|&most| most > 0),
                seg_max: optional(SEG_MAX, at::SEG_MAX)?.unwrap_or(1).max(1),
                geometry,
                block_size: optional(BLK_SIZE, at::BLK_SIZE)?.unwrap_or(SECTOR as u32),
                physical_exp: if features.has(TOPOLOGY) {
                    config.config8(at::PHYSICAL_BLOCK_EXP)?
                } else {
                    0
                },
                has_cache: features.has(FLUSH)
                    && (!features.has(CONFIG_WCE) || config.config8(at::WRITEBACK)? != 0),
                queues: if features.has(MULTI_QUEUE) {
                    config.config16(at::NUM_QUEUES)?.max(1)
                } else {
                    1
                },
                discard: range(optional(DISCARD, at::MAX_DISCARD_SECTORS)?, alignment.max(1)),
                write_zeroes: range(optional(WRITE_ZEROES, at::MAX_WRITE_ZEROES_SECTORS)?, 1),
            })
        })?;
        let is_block = config.block_size.is_power_of_two() && config.block_size >= SECTOR as u32;
        if !is_block || u32::from(config.physical_exp) >= config.block_size.leading_zeros() {
            return Err(VirtioError::BadConfig { what: "blocks of a size that cannot be" });
        }
        Ok(config)
    }

    /// What the block layer is told. `queue_size` is the number of descriptors of each of
    /// `queues` queues, of which a request takes one if tables are `indirect`.
    pub(super) fn describe(
        &self,
        queues: usize,
        queue_size: u16,
        depth: u16,
        serial: String,
    ) -> Description {
        // Two descriptors are not for memory: the header and the status.
        let most = self.seg_max.min(SEGMENTS as u32).min(u32::from(queue_size) - 2);
        Description {
            name: DiskName::Lettered("vd"),
            sectors: self.capacity,
            read_only: self.read_only,
            limits: Limits {
                logical_block: self.block_size,
                physical_block: self.block_size << self.physical_exp,
                max_sectors: MOST_SECTORS,
                max_segments: most as u16,
                max_segment_bytes: self.size_max.unwrap_or(MOST_SEGMENT),
                ..Limits::default()
            },
            features: block::Features {
                flush: self.has_cache,
                force_unit_access: false,
                discard: self.discard.filter(|_| !self.read_only),
                write_zeroes: self.write_zeroes.filter(|_| !self.read_only),
                non_rotational: true,
            },
            queues,
            depth,
            timeout_ns: DEFAULT_TIMEOUT_NS,
            identity: Identity { model: "VirtIO disk".into(), serial, ..Identity::default() },
        }
    }
}

/// Has a disk with [`CONFIG_WCE`] use its cache for writes, or not.
pub(super) fn set_cache(virtio: &VirtioDevice, has_cache: bool) -> Result<(), VirtioError> {
    virtio.set_config8(at::WRITEBACK, has_cache.into())
}
