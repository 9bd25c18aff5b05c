//! The first serial port: a 16550 UART (TI PC16550D data sheet, chapter 8).
//!
//! Output polls, with a bound, since it must work in a panic; input comes by interrupt
//! and goes to [`crate::console_input`].

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use base::console::{self, Sink};
use base::io_ports::{IoPorts, PortError};
use base::irq::{self, Handled, IrqError, IrqLine};
use spin::Once;

use crate::console_input::{self, Batch};

const COM1: u16 = 0x3f8;
const COM1_LINE: u8 = 4;

/// The registers (section 8.0, table II). While [`DIVISOR_ACCESS`] is set in the line control
/// the first two are the divisor.
mod register {
    use base::registers::port::{PortRegister, Readable, ReadableWritable, Writable};

    /// Reading takes a byte out of the receiver.
    pub(super) const DATA: PortRegister<u8, ReadableWritable> = PortRegister::new(0);
    pub(super) const INTERRUPT_ENABLE: PortRegister<u8, Writable> = PortRegister::new(1);
    pub(super) const INTERRUPT_ID: PortRegister<u8, Readable> = PortRegister::new(2);
    pub(super) const FIFO_CONTROL: PortRegister<u8, Writable> = PortRegister::new(2);
    pub(super) const LINE_CONTROL: PortRegister<u8, Writable> = PortRegister::new(3);
    pub(super) const MODEM_CONTROL: PortRegister<u8, Writable> = PortRegister::new(4);
    pub(super) const LINE_STATUS: PortRegister<u8, Readable> = PortRegister::new(5);
    pub(super) const SCRATCH: PortRegister<u8, ReadableWritable> = PortRegister::new(7);
}

const DATA_READY: u8 = 1 << 0;
/// The byte that is ready stands for a break on the line: nobody sent it.
const BREAK: u8 = 1 << 4;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
const EIGHT_BITS: u8 = 0b11;
const DIVISOR_ACCESS: u8 = 1 << 7;
/// DTR, RTS, and OUT2, which lets interrupts through on a PC.
const READY_AND_OUT2: u8 = 0b1011;
const FIFO_ON_AND_CLEAR: u8 = 0b0000_0111;
const RECEIVE_INTERRUPT: u8 = 1;
const NO_INTERRUPT_PENDING: u8 = 1;

/// Polls for an empty transmitter before a byte is given up: at about a microsecond each,
/// far more than the 87 µs that a byte takes at 115200 baud.
const MAX_POLLS: u32 = 100_000;
/// Bytes taken in one interrupt.
const MAX_INPUT: usize = 64;

/// Why there is no serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialError {
    /// Its ports cannot be had.
    Ports(PortError),
    /// Nothing answers at its ports.
    Absent,
    /// Its interrupt cannot be had; output works.
    Interrupt(IrqError),
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(error) => write!(f, "ports: {error:?}"),
            Self::Absent => f.write_str("no UART answers at COM1"),
            Self::Interrupt(error) => write!(f, "interrupt line {COM1_LINE}: {error}"),
        }
    }
}

struct Uart {
    ports: IoPorts,
    /// Cleared when the transmitter did not get ready in time, so that a dead line costs
    /// one time-out and not one per byte.
    alive: AtomicBool,
}

static UART: Once<Uart> = Once::new();
static LINE: Once<IrqLine> = Once::new();

impl Uart {
    fn is_empty(&self) -> bool {
        register::LINE_STATUS.read(&self.ports) & TRANSMITTER_EMPTY != 0
    }

    fn put(&self, byte: u8) {
        let limit = if self.alive.load(Ordering::Relaxed) { MAX_POLLS } else { 1 };
        for _ in 0..limit {
            if self.is_empty() {
                self.alive.store(true, Ordering::Relaxed);
                register::DATA.write(&self.ports, byte);
                return;
            }
            core::hint::spin_loop();
        }
        self.alive.store(false, Ordering::Relaxed);
    }
}

impl Sink for Uart {
    fn write(&self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
    }
}

/// Sets the port up for output at 115200 baud, 8N1, and adds it to the console. Needs
/// nothing but the boot page tables.
///
/// # Errors
/// `Ports`, `Absent`.
pub fn init_output() -> Result<(), SerialError> {
    let ports = IoPorts::claim(COM1, 8, "serial").map_err(SerialError::Ports)?;
    // The scratch register exists in every 16550 and keeps what is written.
    for pattern in [0x5a, 0xa5] {
        register::SCRATCH.write(&ports, pattern);
        if register::SCRATCH.read(&ports) != pattern {
            return Err(SerialError::Absent);
        }
    }
    register::INTERRUPT_ENABLE.write(&ports, 0);
    register::LINE_CONTROL.write(&ports, DIVISOR_ACCESS);
    register::DATA.write(&ports, 1); // divisor 1: 115200 baud
    register::INTERRUPT_ENABLE.write(&ports, 0);
    register::LINE_CONTROL.write(&ports, EIGHT_BITS);
    register::FIFO_CONTROL.write(&ports, FIFO_ON_AND_CLEAR);
    register::MODEM_CONTROL.write(&ports, READY_AND_OUT2);
    let uart = UART.call_once(|| Uart { ports, alive: AtomicBool::new(true) });
    console::add_sink(uart);
    Ok(())
}

/// Turns input on: takes the interrupt line.
///
/// # Errors
/// `Absent` without [`init_output`]; `Interrupt`.
pub fn init_input() -> Result<(), SerialError> {
    let uart = UART.get().ok_or(SerialError::Absent)?;
    let line = irq::action(on_interrupt)
        .and_then(|action| IrqLine::claim(COM1_LINE, "serial", action))
        .map_err(SerialError::Interrupt)?;
    LINE.call_once(|| line);
    // What came before, while no handler can run on another CPU; what comes from here on
    // raises the line as soon as it may.
    register::INTERRUPT_ENABLE.write(&uart.ports, 0);
    on_interrupt();
    register::INTERRUPT_ENABLE.write(&uart.ports, RECEIVE_INTERRUPT);
    Ok(())
}

fn on_interrupt() -> Handled {
    let Some(uart) = UART.get() else { return Handled::No };
    let mut handled = Handled::No;
    // The line is edge-triggered: drain until the UART asks for nothing more, or the
    // next byte would raise no edge.
    for _ in 0..MAX_INPUT {
        let mut batch = Batch::new();
        // Reading the status clears the break, so not without taking the byte.
        while !batch.is_full() {
            let status = register::LINE_STATUS.read(&uart.ports);
            if status & DATA_READY == 0 {
                break;
            }
            let byte = register::DATA.read(&uart.ports);
            // QEMU tells of the break with the bytes before it, which are none.
            if status & BREAK == 0 || byte != 0 {
                batch.push(byte);
            }
        }
        if !batch.is_empty() {
            console_input::push(&batch);
            handled = Handled::Yes;
        }
        if register::INTERRUPT_ID.read(&uart.ports) & NO_INTERRUPT_PENDING != 0 {
            return handled;
        }
        handled = Handled::Yes;
    }
    // More than one interrupt may take. The request is still up: down and up again, for
    // another edge.
    register::INTERRUPT_ENABLE.write(&uart.ports, 0);
    register::INTERRUPT_ENABLE.write(&uart.ports, RECEIVE_INTERRUPT);
    handled
}
