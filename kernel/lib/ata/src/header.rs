//! What an AHCI controller finds in memory (AHCI 1.3.1, section 4.2).

/// Most bytes of a piece of memory.
pub const MAX_DESCRIPTOR_BYTES: u32 = 4 << 20;

/// An entry of a port's command list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHeader {
    /// Data goes to the device.
    pub writes: bool,
    /// Pieces of memory in the command table.
    pub descriptors: u16,
    /// Where the command table is: a multiple of 128.
    pub table: u64,
}

impl CommandHeader {
    /// Bytes of an entry, and entries of a list.
    pub const BYTES: usize = 32;
    /// Entries of a list.
    pub const COUNT: usize = 32;
    /// Where in a command table the pieces of memory begin; the frame of the command is at its
    /// start.
    pub const DESCRIPTORS: usize = 0x80;

    /// Its first four double words; the others are 0. The second one is where the controller
    /// counts bytes.
    pub const fn words(&self) -> [u32; 4] {
        // The frame has five double words.
        let first = 5 | (self.writes as u32) << 6 | (self.descriptors as u32) << 16;
        [first, 0, self.table as u32, (self.table >> 32) as u32]
    }
}

/// A piece of memory of a command: `bytes` bytes (2 to [`MAX_DESCRIPTOR_BYTES`]) at `address`,
/// both even.
pub const fn descriptor(address: u64, bytes: u32) -> [u32; 4] {
    [address as u32, (address >> 32) as u32, 0, bytes.wrapping_sub(1) & (MAX_DESCRIPTOR_BYTES - 1)]
}
