//! An I/O APIC: lines that become interrupts of local APICs (Intel 82093AA data sheet).
//!
//! Registers are reached through an index and a window. Each line has a redirection entry
//! of two words; the one with the mask bit is written last when a line opens.

use super::{Polarity, Trigger};

/// Bytes of the register page that are used.
pub const REGISTER_BYTES: usize = 0x20;

/// Offset of the index register, and of the window.
const INDEX: u64 = 0x00;
const WINDOW: u64 = 0x10;

const VERSION: u8 = 0x01;
const FIRST_ENTRY: u8 = 0x10;

const NMI: u32 = 4 << 8;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// Most lines that an I/O APIC can have: its index register has eight bits.
const MAX_LINES: u32 = 120;

/// What a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Interrupts on a vector.
    Vector(u8),
    /// Raises NMIs.
    Nmi,
}

/// One I/O APIC.
#[derive(Debug)]
pub struct IoApic {
    page: u64,
    lines: u8,
}

impl IoApic {
    /// The I/O APIC whose registers are mapped at `page`, with all lines masked; `None` if
    /// nothing answers there.
    ///
    /// # Safety
    /// `page` must be an I/O APIC's registers, [`REGISTER_BYTES`] mapped uncacheable and
    /// writable for good, and this must be the only value for it.
    pub unsafe fn new(page: u64) -> Option<Self> {
        let mut chip = Self { page, lines: 0 };
        let version = chip.read(VERSION);
        // Where nothing is, bytes read as all ones or all zeros, whatever was written.
        // SAFETY: as in `read`.
        let index = unsafe { ((page + INDEX) as *const u32).read_volatile() };
        let lines = (version >> 16 & 0xff) + 1;
        if index & 0xff != u32::from(VERSION) || lines > MAX_LINES {
            return None;
        }
        chip.lines = lines as u8;
        for line in 0..chip.lines {
            chip.mask(line);
        }
        Some(chip)
    }

    /// Number of lines.
    pub fn lines(&self) -> u8 {
        self.lines
    }

    fn read(&mut self, register: u8) -> u32 {
        // SAFETY: `new`'s caller mapped the registers; `&mut` keeps index and window
        // together.
        unsafe {
            ((self.page + INDEX) as *mut u32).write_volatile(register.into());
            ((self.page + WINDOW) as *const u32).read_volatile()
        }
    }

    fn write(&mut self, register: u8, value: u32) {
        // SAFETY: as `read`; entries make interrupts, nothing else.
        unsafe {
            ((self.page + INDEX) as *mut u32).write_volatile(register.into());
            ((self.page + WINDOW) as *mut u32).write_volatile(value);
        }
    }

    fn entry(&self, line: u8) -> u8 {
        assert!(line < self.lines, "line {line} of an I/O APIC with {}", self.lines);
        FIRST_ENTRY + 2 * line
    }

    /// Opens `line` for the CPU with `apic_id`.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn open(
        &mut self,
        line: u8,
        delivery: Delivery,
        (polarity, trigger): (Polarity, Trigger),
        apic_id: u8,
    ) {
        let entry = self.entry(line);
        let how = match delivery {
            Delivery::Vector(vector) => u32::from(vector),
            Delivery::Nmi => NMI,
        };
        let low = if polarity == Polarity::ActiveLow { ACTIVE_LOW } else { 0 };
        let level = if trigger == Trigger::Level { LEVEL } else { 0 };
        self.write(entry, how | low | level | MASKED);
        self.write(entry + 1, u32::from(apic_id) << 24);
        self.write(entry, how | low | level);
    }

    /// Makes `line`, open or not, interrupt the CPU with `apic_id`. One write: no interrupt
    /// finds half of it.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn set_target(&mut self, line: u8, apic_id: u8) {
        let entry = self.entry(line);
        self.write(entry + 1, u32::from(apic_id) << 24);
    }

    /// Stops `line`. Its vector stays, so that the end of an interrupt in service still
    /// reaches it.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn mask(&mut self, line: u8) {
        let entry = self.entry(line);
        let value = self.read(entry);
        self.write(entry, value | MASKED);
        // Reading waits until the write has arrived.
        self.read(entry);
    }
}
