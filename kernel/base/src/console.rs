//! The console: where text goes, whoever writes it.
//!
//! Devices register as [`Sink`]s. Text is written under one lock, a call's bytes
//! together; a panic takes the lock by force. While somebody edits a line on the
//! console, [`set_overlay`] lets log lines appear above it.

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

static SINKS: IrqSpinLock<ArrayVec<&'static dyn Sink, MAX_SINKS>> =
    IrqSpinLock::new("console", ArrayVec::new_const());

/// What is being edited on the console.
#[derive(Clone, Copy)]
pub struct Overlay {
    /// Writes what removes the edited line from the screen.
    pub hide: fn(&mut dyn fmt::Write),
    /// Writes the edited line again.
    pub show: fn(&mut dyn fmt::Write),
}

static OVERLAY: Once<Overlay> = Once::new();
static OVERLAY_SHOWN: AtomicBool = AtomicBool::new(false);

/// Registers the line editor's drawing functions. They run under the console's lock
/// with interrupts off.
pub fn set_overlay(overlay: Overlay) {
    OVERLAY.call_once(|| overlay);
}

/// Says whether a line is being edited.
pub fn show_overlay(shown: bool) {
    OVERLAY_SHOWN.store(shown, Ordering::Release);
}

/// Adds a device. More than [`MAX_SINKS`] are ignored, with a log line.
pub fn add_sink(sink: &'static dyn Sink) {
    if SINKS.lock().try_push(sink).is_err() {
        log::warn!("no room for another console device");
    }
}

struct Writer<'a>(&'a [&'static dyn Sink]);

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for sink in self.0 {
            sink.write(text.as_bytes());
        }
        Ok(())
    }
}

/// Writes bytes to every device.
pub fn write(bytes: &[u8]) {
    for sink in SINKS.lock().iter() {
        sink.write(bytes);
    }
}

/// Writes formatted text; see [`print!`](crate::print!).
pub fn write_fmt(arguments: fmt::Arguments<'_>) {
    let sinks = SINKS.lock();
    let _ = fmt::Write::write_fmt(&mut Writer(&sinks), arguments); // the writer cannot fail
}

/// Writes a line that nobody on the console asked for, above the line being edited.
pub fn write_line_above(arguments: fmt::Arguments<'_>) {
    let sinks = SINKS.lock();
    let mut writer = Writer(&sinks);
    let overlay = OVERLAY.get().filter(|_| OVERLAY_SHOWN.load(Ordering::Acquire));
    if let Some(overlay) = overlay {
        (overlay.hide)(&mut writer);
    }
    let _ = fmt::Write::write_fmt(&mut writer, arguments); // the writer cannot fail
    if let Some(overlay) = overlay {
        (overlay.show)(&mut writer);
    }
}

/// Takes the console for a panic: whoever holds its lock never runs again, or waits.
pub(crate) fn break_lock() {
    show_overlay(false);
    if SINKS.is_locked() {
        // SAFETY: called by a panic with interrupts off. The list of sinks changes only
        // at boot; a writer that was interrupted in the middle of a line loses its
        // rest. On another CPU it may go on and mix its bytes in: better than silence.
        unsafe { SINKS.force_unlock() };
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
