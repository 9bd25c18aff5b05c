//! What comes back from a device.

use core::fmt;

/// What a device is, as it says after a reset (AHCI 1.3.1, section 3.3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// A disk.
    Disk,
    /// Something with a packet interface: a CD drive.
    Packet,
    /// A port multiplier, with further devices behind it.
    Multiplier,
    /// An enclosure's management.
    Enclosure,
    /// Something else.
    Other(u32),
}

impl Signature {
    /// That of the signature register's value.
    pub const fn new(bits: u32) -> Self {
        match bits {
            0x0000_0101 => Self::Disk,
            0xeb14_0101 => Self::Packet,
            0x9669_0101 => Self::Multiplier,
            0xc33c_0101 => Self::Enclosure,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("a disk"),
            Self::Packet => f.write_str("a device with a packet interface"),
            Self::Multiplier => f.write_str("a port multiplier"),
            Self::Enclosure => f.write_str("an enclosure"),
            Self::Other(bits) => write!(f, "something with signature {bits:#010x}"),
        }
    }
}

/// A port's task file: status in bits 0 to 7, error in bits 8 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFile(pub u32);

impl TaskFile {
    const BUSY: u32 = 1 << 7;
    const DATA_REQUEST: u32 = 1 << 3;
    const ERROR: u32 = 1 << 0;
    const DEVICE_FAULT: u32 = 1 << 5;

    /// Whether the device is in the middle of something.
    pub const fn is_busy(self) -> bool {
        self.0 & (Self::BUSY | Self::DATA_REQUEST) != 0
    }

    /// Whether the last command failed.
    pub const fn is_error(self) -> bool {
        self.0 & (Self::ERROR | Self::DEVICE_FAULT) != 0
    }
}

/// In words: what failed.
impl fmt::Display for TaskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.0 >> 8;
        let names = [
            (7, "interface CRC"),
            (6, "uncorrectable data"),
            (4, "no such address"),
            (2, "aborted"),
        ];
        let mut separator = "";
        for (_, name) in names.iter().filter(|(bit, _)| error & 1 << bit != 0) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        if self.0 & Self::DEVICE_FAULT != 0 {
            write!(f, "{separator}device fault")?;
            separator = ", ";
        }
        if separator.is_empty() { write!(f, "status {:#06x}", self.0 & 0xffff) } else { Ok(()) }
    }
}

/// The log page about the queued command that failed (ACS-4, section 9.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedError {
    /// Its number.
    pub tag: u8,
    /// How it ended.
    pub task_file: TaskFile,
}

impl QueuedError {
    /// The page in `bytes`; `None` if its checksum is wrong, or it is about no queued command.
    pub fn new(bytes: &[u8; 512]) -> Option<Self> {
        let [first, _, status, error, ..] = *bytes;
        let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        let is_queued = first & 1 << 7 == 0;
        (sum == 0 && is_queued).then(|| Self {
            tag: first & 0x1f,
            task_file: TaskFile(u32::from(status) | u32::from(error) << 8),
        })
    }
}
