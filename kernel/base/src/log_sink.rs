//! The kernel log behind the `log` crate's macros: a time stamp, the CPU, the level in
//! colour, and the module, on the console; and in the ring of those that are kept ([`log_ring`]).

use core::sync::atomic::{AtomicBool, Ordering};

use arch::cpu::local;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{console, log_ring, modules, time};

struct ConsoleLog;

static LOG: ConsoleLog = ConsoleLog;
static COLOUR: AtomicBool = AtomicBool::new(true);

impl Log for ConsoleLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        modules::is_logged(metadata.target(), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let micros = time::now_ns() / 1000;
        log_ring::keep(record, micros);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let cpu = local::cpu_number();
        let (on, off) = match (COLOUR.load(Ordering::Relaxed), record.level()) {
            (false, _) => ("", ""),
            (true, Level::Error) => ("\x1b[1;31m", "\x1b[0m"),
            (true, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::Info) => ("\x1b[32m", "\x1b[0m"),
            (true, Level::Debug) => ("\x1b[36m", "\x1b[0m"),
            (true, Level::Trace) => ("\x1b[90m", "\x1b[0m"),
        };
        console::write_line_above(format_args!(
            "[{seconds:5}.{micros:06}] cpu{cpu} {on}{:5}{off} {}: {}\n",
            record.level(),
            record.target(),
            record.args()
        ));
    }

    fn flush(&self) {}
}

/// Installs the log with level `info`. Call once, first thing.
pub fn init() {
    // A second call finds the log installed; nothing to do then.
    let _ = log::set_logger(&LOG);
    modules::set_level(LevelFilter::Info);
}

/// Turns colours on or off.
pub fn set_colour(on: bool) {
    COLOUR.store(on, Ordering::Relaxed);
}
