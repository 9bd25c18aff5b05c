//! [`Command`]: what a disk is asked for (ACS-4, section 7), with addresses of 48 bits.

/// Most blocks of a read or write.
pub const MAX_BLOCKS: u32 = 1 << 16;
/// Bytes of the list of ranges of a trim.
pub const TRIM_BYTES: usize = 512;
/// Most blocks of a trim: 64 ranges of 65535.
pub const MAX_TRIM_BLOCKS: u32 = (TRIM_BYTES / 8) as u32 * MAX_TRIM_RANGE as u32;

const MAX_TRIM_RANGE: u64 = 0xffff;

/// A command, as its registers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    opcode: u8,
    features: u16,
    lba: u64,
    count: u16,
    device: u8,
    /// Data goes to the disk.
    writes: bool,
}

mod opcode {
    pub(super) const DATA_SET_MANAGEMENT: u8 = 0x06;
    pub(super) const READ_DMA_EXT: u8 = 0x25;
    pub(super) const READ_LOG_EXT: u8 = 0x2f;
    pub(super) const WRITE_DMA_EXT: u8 = 0x35;
    pub(super) const WRITE_DMA_FUA_EXT: u8 = 0x3d;
    pub(super) const READ_FPDMA_QUEUED: u8 = 0x60;
    pub(super) const WRITE_FPDMA_QUEUED: u8 = 0x61;
    pub(super) const IDENTIFY_PACKET_DEVICE: u8 = 0xa1;
    pub(super) const FLUSH_CACHE_EXT: u8 = 0xea;
    pub(super) const IDENTIFY_DEVICE: u8 = 0xec;
}

/// The kind of a frame from the host to the device.
const FRAME: u8 = 0x27;
/// In a frame: it is a command, not a change of the control register.
const IS_COMMAND: u8 = 1 << 7;
/// In the device register: the address is a block's number; a queued write is durable.
const LBA: u8 = 1 << 6;
const FUA: u8 = 1 << 7;
/// The feature of data set management that is a trim.
const TRIM: u16 = 1;
/// The log of the error of a queued command (ACS-4, section 9.14).
const QUEUED_ERROR_LOG: u64 = 0x10;

impl Command {
    const fn plain(opcode: u8) -> Self {
        Self { opcode, features: 0, lba: 0, count: 0, device: 0, writes: false }
    }

    const fn transfer(opcode: u8, lba: u64, blocks: u32) -> Self {
        // 65536 is 0.
        Self { lba, count: blocks as u16, device: LBA, ..Self::plain(opcode) }
    }

    const fn queued(opcode: u8, lba: u64, blocks: u32, tag: u8) -> Self {
        let count = (tag as u16 & 0x1f) << 3;
        Self { lba, features: blocks as u16, count, device: LBA, ..Self::plain(opcode) }
    }

    /// Asks a disk for 512 bytes about itself.
    pub const fn identify() -> Self {
        Self::plain(opcode::IDENTIFY_DEVICE)
    }

    /// The same for a device with a packet interface, such as a CD drive.
    pub const fn identify_packet() -> Self {
        Self::plain(opcode::IDENTIFY_PACKET_DEVICE)
    }

    /// Reads `blocks` blocks (1 to [`MAX_BLOCKS`]) from `lba` on.
    pub const fn read(lba: u64, blocks: u32) -> Self {
        Self::transfer(opcode::READ_DMA_EXT, lba, blocks)
    }

    /// Writes blocks; `durable`: they are on the medium when it is complete.
    pub const fn write(lba: u64, blocks: u32, durable: bool) -> Self {
        let opcode = if durable { opcode::WRITE_DMA_FUA_EXT } else { opcode::WRITE_DMA_EXT };
        Self { writes: true, ..Self::transfer(opcode, lba, blocks) }
    }

    /// Reads as one of several commands, with a number from 0 to 31.
    pub const fn read_queued(tag: u8, lba: u64, blocks: u32) -> Self {
        Self::queued(opcode::READ_FPDMA_QUEUED, lba, blocks, tag)
    }

    /// Writes as one of several commands, with a number from 0 to 31.
    pub const fn write_queued(tag: u8, lba: u64, blocks: u32, durable: bool) -> Self {
        let device = if durable { LBA | FUA } else { LBA };
        let queued = Self::queued(opcode::WRITE_FPDMA_QUEUED, lba, blocks, tag);
        Self { device, writes: true, ..queued }
    }

    /// Makes durable what was written.
    pub const fn flush() -> Self {
        Self { device: LBA, ..Self::plain(opcode::FLUSH_CACHE_EXT) }
    }

    /// Blocks are not needed any more: those in [`TRIM_BYTES`] of [`trim_ranges`].
    pub const fn trim() -> Self {
        let command = Self::plain(opcode::DATA_SET_MANAGEMENT);
        Self { features: TRIM, count: 1, device: LBA, writes: true, ..command }
    }

    /// Asks for the 512 bytes about the queued command that failed: see
    /// [`QueuedError`](crate::QueuedError). The disk goes on after that.
    pub const fn read_queued_error() -> Self {
        Self { lba: QUEUED_ERROR_LOG, count: 1, ..Self::plain(opcode::READ_LOG_EXT) }
    }

    /// Whether its data goes to the disk.
    pub const fn writes(&self) -> bool {
        self.writes
    }

    /// Whether it is one of several.
    pub const fn is_queued(&self) -> bool {
        matches!(self.opcode, opcode::READ_FPDMA_QUEUED | opcode::WRITE_FPDMA_QUEUED)
    }

    /// Its frame: five double words, in the order of memory.
    pub const fn frame(&self) -> [u32; 5] {
        let [l0, l1, l2, l3, l4, l5, ..] = self.lba.to_le_bytes();
        let [features, features_high] = self.features.to_le_bytes();
        let [count, count_high] = self.count.to_le_bytes();
        [
            u32::from_le_bytes([FRAME, IS_COMMAND, self.opcode, features]),
            u32::from_le_bytes([l0, l1, l2, self.device]),
            u32::from_le_bytes([l3, l4, l5, features_high]),
            u32::from_le_bytes([count, count_high, 0, 0]),
            0,
        ]
    }
}

/// The list of a [`Command::trim`] of `blocks` blocks (up to [`MAX_TRIM_BLOCKS`]) from `lba` on: 64
/// numbers, of which those that are not needed are 0.
pub fn trim_ranges(lba: u64, blocks: u32) -> [u64; TRIM_BYTES / 8] {
    let mut ranges = [0; TRIM_BYTES / 8];
    let (mut at, mut left) = (lba, u64::from(blocks));
    for range in &mut ranges {
        let count = left.min(MAX_TRIM_RANGE);
        if count == 0 {
            break;
        }
        *range = (at & 0xffff_ffff_ffff) | count << 48;
        (at, left) = (at + count, left - count);
    }
    ranges
}
