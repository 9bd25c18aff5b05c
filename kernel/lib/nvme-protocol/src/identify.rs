//! What a controller says of itself and its namespaces, 4096 bytes each (section 5.15.2).

use crate::bytes::{array, text, u16_at, u32_at, u64_at};

/// Bytes of an answer.
pub const IDENTIFY_BYTES: usize = 4096;

/// A controller (figure 247).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller<'a> {
    bytes: &'a [u8; IDENTIFY_BYTES],
}

impl<'a> Controller<'a> {
    /// The controller that `bytes` tell of.
    pub fn new(bytes: &'a [u8; IDENTIFY_BYTES]) -> Self {
        Self { bytes }
    }

    fn text(&self, from: usize, to: usize) -> &'a str {
        self.bytes.get(from..to).map(text).unwrap_or_default()
    }

    /// Serial number.
    pub fn serial(&self) -> &'a str {
        self.text(4, 24)
    }

    /// Model.
    pub fn model(&self) -> &'a str {
        self.text(24, 64)
    }

    /// Version of the firmware.
    pub fn firmware(&self) -> &'a str {
        self.text(64, 72)
    }

    /// Most bytes of a transfer, in pages of 4 KiB as the controller has them at least; `None`:
    /// as many as can be.
    pub fn max_transfer_bytes(&self) -> Option<u64> {
        let [shift] = array(self.bytes, 77);
        match shift {
            0 => None,
            // More than anybody will ask for.
            shift => {
                Some(4096u64.checked_shl(shift.into()).filter(|&it| it >= 4096).unwrap_or(1 << 40))
            }
        }
    }

    /// The range of sizes of a command and an answer that it takes, as powers of two: whether 64
    /// and 16 bytes are in it.
    pub fn has_usual_entries(&self) -> bool {
        let [submission, completion] = array(self.bytes, 512);
        let fits = |range: u8, size: u8| (range & 0xf..=range >> 4).contains(&size);
        fits(submission, 6) && fits(completion, 4)
    }

    /// The largest number of a namespace.
    pub fn namespaces(&self) -> u32 {
        u32_at(self.bytes, 516)
    }

    fn optional_commands(&self) -> u16 {
        u16_at(self.bytes, 520)
    }

    /// Whether it has dataset management, with which blocks are deallocated.
    pub fn has_dataset_management(&self) -> bool {
        self.optional_commands() & 1 << 2 != 0
    }

    /// Whether it has write zeroes.
    pub fn has_write_zeroes(&self) -> bool {
        self.optional_commands() & 1 << 3 != 0
    }

    /// Whether it has a volatile write cache.
    pub fn has_volatile_cache(&self) -> bool {
        let [cache] = array(self.bytes, 525);
        cache & 1 != 0
    }

    /// Nanoseconds that it may take to shut down, if it says so.
    pub fn shutdown_ns(&self) -> Option<u64> {
        let us = u32_at(self.bytes, 88);
        (us != 0).then_some(u64::from(us) * 1000)
    }
}

/// How the blocks of a namespace are formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bytes of a block, as a power of two; 0 if the format is not there.
    pub block_shift: u8,
    /// Bytes that each block has beside it.
    pub metadata_bytes: u16,
}

/// A namespace (figure 245).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace<'a> {
    bytes: &'a [u8; IDENTIFY_BYTES],
}

impl<'a> Namespace<'a> {
    /// The namespace that `bytes` tell of.
    pub fn new(bytes: &'a [u8; IDENTIFY_BYTES]) -> Self {
        Self { bytes }
    }

    /// How many blocks it has; 0 if it is not active.
    pub fn blocks(&self) -> u64 {
        u64_at(self.bytes, 0)
    }

    /// The format that it has.
    pub fn format(&self) -> Format {
        let [formatted] = array(self.bytes, 26);
        let index = usize::from(formatted & 0xf) | usize::from(formatted >> 5 & 3) << 4;
        let word = u32_at(self.bytes, 128 + 4 * index);
        Format { block_shift: (word >> 16) as u8, metadata_bytes: word as u16 }
    }

    /// Whether its data has protection information, which commands must say what to do with.
    pub fn has_protection(&self) -> bool {
        let [protection] = array(self.bytes, 29);
        protection & 7 != 0
    }

    /// Blocks of the unit in which it is best written, if it says so.
    pub fn write_unit(&self) -> Option<u32> {
        let [features] = array(self.bytes, 24);
        (features & 1 << 4 != 0).then(|| u32::from(u16_at(self.bytes, 64)) + 1)
    }

    /// Blocks of the unit in which blocks are deallocated, if it says so.
    pub fn deallocate_unit(&self) -> Option<u32> {
        let [features] = array(self.bytes, 24);
        (features & 1 << 4 != 0).then(|| u32::from(u16_at(self.bytes, 68)) + 1)
    }

    /// Whether it cannot be written now.
    pub fn is_write_protected(&self) -> bool {
        let [attributes] = array(self.bytes, 99);
        attributes & 1 != 0
    }
}

/// The numbers in a list of namespaces, up to the first 0.
pub fn namespace_list(bytes: &[u8; IDENTIFY_BYTES]) -> impl Iterator<Item = u32> {
    (0..IDENTIFY_BYTES / 4).map(|index| u32_at(bytes, 4 * index)).take_while(|&number| number != 0)
}

/// The type of the descriptor that holds a command set, and the command set of ordinary disks.
const COMMAND_SET: u8 = 4;
const NVM: u8 = 0;

/// Whether the namespace that a list of descriptors is about is of another command set than the
/// NVM one, that of ordinary disks (NVM Express Base Specification 2.0,
/// section 5.17.2.3); which one.
/// Without a descriptor of it, as before version 2.0, it is of that one.
pub fn foreign_command_set(bytes: &[u8; IDENTIFY_BYTES]) -> Option<u8> {
    let mut rest = &bytes[..];
    // The type, the length of what follows, two bytes for later use. A length of 0 ends the list.
    while let [kind, len @ 1..=u8::MAX, _, _, after @ ..] = rest {
        let value = after.get(..usize::from(*len))?;
        if let ([set], &COMMAND_SET) = (value, kind) {
            return (*set != NVM).then_some(*set);
        }
        rest = after.get(value.len()..)?;
    }
    None
}
