//! What a disk says of itself: 256 words (ACS-4, section 7.13.6).

/// Bytes of the answer.
pub const IDENTIFY_BYTES: usize = 512;

/// The answer of a disk, or a device with a packet interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identify<'a> {
    bytes: &'a [u8; IDENTIFY_BYTES],
}

/// A text of at most 40 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; 40],
    len: usize,
}

impl Text {
    /// The text, without the blanks around it; empty if it is not printable.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.len).and_then(|text| core::str::from_utf8(text).ok());
        text.unwrap_or_default().trim()
    }
}

impl core::fmt::Debug for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<'a> Identify<'a> {
    /// The answer in `bytes`.
    pub const fn new(bytes: &'a [u8; IDENTIFY_BYTES]) -> Self {
        Self { bytes }
    }

    fn word(&self, index: usize) -> u16 {
        self.bytes.as_chunks::<2>().0.get(index).map_or(0, |word| u16::from_le_bytes(*word))
    }

    fn bit(&self, word: usize, bit: u32) -> bool {
        self.word(word) & 1 << bit != 0
    }

    /// A word of support, which says in its upper two bits whether it means anything.
    fn valid_bit(&self, word: usize, bit: u32) -> bool {
        self.word(word) >> 14 == 0b01 && self.bit(word, bit)
    }

    /// The text in `words`, of which each has its second character first.
    fn text(&self, words: core::ops::Range<usize>) -> Text {
        let mut text = Text { bytes: [b' '; 40], len: 0 };
        let characters = words.flat_map(|index| self.word(index).to_be_bytes());
        let characters = characters.take_while(|byte| matches!(byte, b' '..=b'~'));
        for (place, byte) in text.bytes.iter_mut().zip(characters) {
            *place = byte;
            text.len += 1;
        }
        text
    }

    /// Serial number.
    pub fn serial(&self) -> Text {
        self.text(10..20)
    }

    /// Version of the firmware.
    pub fn firmware(&self) -> Text {
        self.text(23..27)
    }

    /// Model.
    pub fn model(&self) -> Text {
        self.text(27..47)
    }

    /// Whether the answer's checksum is right, if it has one (word 255).
    pub fn is_intact(&self) -> bool {
        let sum = self.bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        self.word(255) & 0xff != 0xa5 || sum == 0
    }

    /// Whether it is a disk with addresses of 48 bits and DMA.
    pub fn is_usable(&self) -> bool {
        let (is_ata, has_lba, has_dma) = (!self.bit(0, 15), self.bit(49, 9), self.bit(49, 8));
        is_ata && has_lba && has_dma && self.valid_bit(83, 10)
    }

    /// How many logical blocks it has.
    pub fn blocks(&self) -> u64 {
        (100..104).rev().fold(0, |blocks, index| blocks << 16 | u64::from(self.word(index)))
    }

    /// Bytes of a logical block; 512 if it does not say.
    pub fn logical_block(&self) -> u32 {
        let words = u32::from(self.word(117)) | u32::from(self.word(118)) << 16;
        if self.valid_bit(106, 12) { words.saturating_mul(2) } else { 512 }
    }

    /// How many logical blocks a physical one is; a power of two.
    pub fn blocks_per_physical(&self) -> u32 {
        if self.valid_bit(106, 13) { 1 << (self.word(106) & 0xf) } else { 1 }
    }

    /// How many commands it takes at a time, 1 to 32.
    pub fn queue_depth(&self) -> u8 {
        let is_told = !matches!(self.word(76), 0 | 0xffff);
        if is_told && self.bit(76, 8) { (self.word(75) & 0x1f) as u8 + 1 } else { 1 }
    }

    /// Whether it has a volatile write cache that is in use.
    pub fn has_write_cache(&self) -> bool {
        self.bit(82, 5) && self.bit(85, 5)
    }

    /// Whether it can flush its cache, with 48-bit addresses.
    pub fn has_flush(&self) -> bool {
        self.valid_bit(83, 13)
    }

    /// Whether single writes can be asked to be durable.
    pub fn has_durable_writes(&self) -> bool {
        self.valid_bit(84, 6)
    }

    /// Whether it can be told that blocks are not needed any more.
    pub fn has_trim(&self) -> bool {
        self.bit(169, 0)
    }

    /// Whether it has no moving parts.
    pub fn is_non_rotational(&self) -> bool {
        self.word(217) == 1
    }
}
