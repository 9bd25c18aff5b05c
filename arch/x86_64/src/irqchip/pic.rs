//! The two 8259A interrupt controllers of a PC: 16 lines (Intel 8259A data sheet).
//!
//! They reach the CPU through the local APIC's LINT0 pin. The lines start at
//! [`FIRST_VECTOR`], all masked.

use crate::port::Port;

/// Vector of line 0; line n has vector `FIRST_VECTOR + n`.
pub const FIRST_VECTOR: u8 = 32;
/// Lines of both controllers together.
pub const LINES: u8 = 16;

const END_OF_INTERRUPT: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0b;
/// The line of the first controller that the second hangs on.
const CASCADE: u8 = 2;

/// Both controllers. Floor 2 holds the one instance behind a lock.
pub struct Pic {
    command: [Port<u8>; 2],
    data: [Port<u8>; 2],
    masks: [u8; 2],
}

impl Pic {
    /// The controllers at their fixed ports, not touched yet.
    ///
    /// # Safety
    /// There must be one instance only.
    pub const unsafe fn new() -> Self {
        // SAFETY: fixed ports of the 8259A pair, which do no DMA; the caller promises
        // that this is their only owner.
        unsafe {
            Self {
                command: [Port::new(0x20), Port::new(0xa0)],
                data: [Port::new(0x21), Port::new(0xa1)],
                masks: [0xff, 0xff],
            }
        }
    }

    /// Initialises both: vectors from [`FIRST_VECTOR`] on, every line masked but the
    /// cascade.
    pub fn init(&mut self) {
        // ICW1 to ICW4: edge-triggered cascade, vector base, wiring, 8086 mode.
        let wiring = [1 << CASCADE, CASCADE];
        for (index, wire) in wiring.into_iter().enumerate() {
            self.command[index].write(0x11);
            self.data[index].write(FIRST_VECTOR + 8 * index as u8);
            self.data[index].write(wire);
            self.data[index].write(0x01);
        }
        self.masks = [!(1 << CASCADE), 0xff];
        for (data, mask) in self.data.iter().zip(self.masks) {
            data.write(mask);
        }
    }

    fn place(line: u8) -> (usize, u8) {
        (usize::from(line >> 3 & 1), 1 << (line & 7))
    }

    /// Lets `line` (below [`LINES`]) through.
    pub fn unmask(&mut self, line: u8) {
        let (chip, bit) = Self::place(line);
        self.masks[chip] &= !bit;
        self.data[chip].write(self.masks[chip]);
    }

    /// Stops `line`.
    pub fn mask(&mut self, line: u8) {
        let (chip, bit) = Self::place(line);
        self.masks[chip] |= bit;
        self.data[chip].write(self.masks[chip]);
    }

    /// Whether an interrupt on `line` is real: lines 7 and 15 also stand for requests
    /// that were gone before the CPU asked. Ends the cascade's half of a spurious 15.
    pub fn is_real(&mut self, line: u8) -> bool {
        let (chip, bit) = Self::place(line);
        if bit != 0x80 {
            return true;
        }
        self.command[chip].write(READ_IN_SERVICE);
        let real = self.command[chip].read() & bit != 0;
        if !real && chip == 1 {
            self.command[0].write(END_OF_INTERRUPT);
        }
        real
    }

    /// Ends the interrupt in service on `line`.
    pub fn end_of_interrupt(&mut self, line: u8) {
        let (chip, _) = Self::place(line);
        if chip == 1 {
            self.command[1].write(END_OF_INTERRUPT);
        }
        self.command[0].write(END_OF_INTERRUPT);
    }
}
