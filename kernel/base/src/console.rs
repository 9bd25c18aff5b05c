//! The console: where text goes, whoever writes it.
//!
//! Devices register as [`Sink`]s. Text is written under one lock, a call's bytes
//! together; a panic takes the lock by force. While somebody edits a line on the console
//! ([`edit`]), log lines appear above it; at other times they begin in a line of their own,
//! whatever was written before.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayVec;
use spin::Once;

use crate::sync::IrqSpinLock;

/// Most devices that can be registered.
pub const MAX_SINKS: usize = 4;

/// A device that shows text. Called with interrupts off; must not allocate, log, or
/// wait without a bound.
pub trait Sink: Sync {
    /// Shows `bytes`; `\n` stands for a new line at column 0.
    fn write(&self, bytes: &[u8]);
}

/// Where in an escape sequence the text written so far ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    /// In none.
    None,
    /// After ESC.
    Begun,
    /// After ESC and `[`.
    Parameters,
}

/// Follows the text, to know whether something stands in the last line.
struct Line {
    sequence: Sequence,
    is_empty: bool,
}

impl Line {
    fn follow(&mut self, byte: u8) {
        self.sequence = match (self.sequence, byte) {
            (_, 0x1b) => Sequence::Begun,
            (Sequence::Begun, b'[') => Sequence::Parameters,
            (Sequence::Parameters, 0x20..=0x3f) => Sequence::Parameters,
            (Sequence::Begun | Sequence::Parameters, _) => Sequence::None,
            (Sequence::None, b'\n') => {
                self.is_empty = true;
                Sequence::None
            }
            (Sequence::None, byte) => {
                self.is_empty &= byte < b' ';
                Sequence::None
            }
        };
    }
}

/// What the lock protects: the devices, and what was written to them.
struct Console {
    sinks: ArrayVec<&'static dyn Sink, MAX_SINKS>,
    line: Line,
}

impl Console {
    fn put(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.line.follow(byte));
        for sink in &self.sinks {
            sink.write(bytes);
        }
    }

    fn put_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        // The console cannot fail; an error comes from a `Display` of the arguments.
        let _ = fmt::Write::write_fmt(self, arguments);
    }

    fn start_line(&mut self) {
        if !self.line.is_empty {
            self.put(b"\n");
        }
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

static CONSOLE: IrqSpinLock<Console> = IrqSpinLock::new(
    "console",
    Console {
        sinks: ArrayVec::new_const(),
        line: Line { sequence: Sequence::None, is_empty: true },
    },
);

/// What is being edited on the console.
#[derive(Clone, Copy)]
pub struct Overlay {
    /// Writes what removes the edited line from the screen, the cursor in column 0.
    pub hide: fn(&mut dyn fmt::Write),
    /// Writes the edited line again.
    pub show: fn(&mut dyn fmt::Write),
}

static OVERLAY: Once<Overlay> = Once::new();
static EDITING: AtomicBool = AtomicBool::new(false);

/// Registers the line editor's drawing functions. They run under the console's lock
/// with interrupts off.
pub fn set_overlay(overlay: Overlay) {
    OVERLAY.call_once(|| overlay);
}

/// Calls `draw` to write something about the line being edited, in one step between log
/// lines; from then on a line is being edited, or not. Editing begins in a line of its own.
pub fn edit(editing: bool, draw: impl FnOnce(&mut dyn fmt::Write)) {
    let mut console = CONSOLE.lock();
    if !EDITING.swap(editing, Ordering::AcqRel) && editing {
        console.start_line();
    }
    draw(&mut *console);
}

/// Adds a device. More than [`MAX_SINKS`] are ignored, with a log line.
pub fn add_sink(sink: &'static dyn Sink) {
    if CONSOLE.lock().sinks.try_push(sink).is_err() {
        log::warn!("no room for another console device");
    }
}

/// Begins a new line unless the cursor is at the start of one: for reports that follow
/// what somebody else wrote.
pub fn start_line() {
    CONSOLE.lock().start_line();
}

/// Writes bytes to every device.
pub fn write(bytes: &[u8]) {
    CONSOLE.lock().put(bytes);
}

/// Writes formatted text; see [`print!`](crate::print!).
pub fn write_fmt(arguments: fmt::Arguments<'_>) {
    CONSOLE.lock().put_fmt(arguments);
}

/// Writes a line that nobody on the console asked for: above the line being edited, or in
/// a line of its own.
pub fn write_line_above(arguments: fmt::Arguments<'_>) {
    let mut console = CONSOLE.lock();
    let overlay = OVERLAY.get().filter(|_| EDITING.load(Ordering::Acquire));
    match overlay {
        Some(overlay) => {
            (overlay.hide)(&mut *console);
            console.line.is_empty = true;
        }
        None => console.start_line(),
    }
    console.put_fmt(arguments);
    if let Some(overlay) = overlay {
        (overlay.show)(&mut *console);
    }
}

/// Takes the console for a panic: whoever holds its lock never runs again, or waits.
pub(crate) fn break_lock() {
    EDITING.store(false, Ordering::Release);
    if CONSOLE.is_locked() {
        // SAFETY: called by a panic with interrupts off. The list of sinks changes only
        // at boot; a writer that was interrupted in the middle of a line loses its
        // rest. On another CPU it may go on and mix its bytes in: better than silence.
        unsafe { CONSOLE.force_unlock() };
    }
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::write_fmt(format_args!($($argument)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)*) => { $crate::print!("{}\n", format_args!($($argument)*)) };
}

#[macros::kernel_test]
fn the_console_knows_whether_its_line_is_empty() {
    let mut line = Line { sequence: Sequence::None, is_empty: true };
    for (text, is_empty) in [
        ("\x1b[1;31m", true),
        ("a", false),
        ("\x1b[0m\r", false),
        ("\n\x1b[0m", true),
        ("\x1bcx", false),
    ] {
        text.bytes().for_each(|byte| line.follow(byte));
        assert_eq!(line.is_empty, is_empty, "{text:?}");
    }
}
