//! `/dev/kmsg`: the kernel's log, a record with each read (Linux
//! `Documentation/ABI/testing/dev-kmsg`). What is written is logged.

use alloc::string::String;
use core::fmt::Write;

use abi::fcntl::O_NONBLOCK;
use abi::{Errno, Result};
use base::log_ring::{self, Cursor, Found, Kept};
use log::Level;
use task::{Mutex, WaitOptions, WaitQueue, named_mutex};

use super::memory::status;
use crate::buffer::{Destination, Source};
use crate::file::{File, Readiness};
use crate::status::Status;

/// Minor number.
pub(super) const KMSG: u32 = 11;

/// Longest text that is written, as on Linux.
const MOST: usize = 1024 - 32;
/// How often a reader who waits looks for records: whoever logs may be in any context, and wakes
/// nobody.
const LOOK_NS: u64 = 50_000_000;

/// For those who wait until it is time to look.
static WAITING: WaitQueue = WaitQueue::new("kernel log");

/// An open file of it.
#[derive(Debug)]
pub(super) struct Kmsg {
    cursor: Mutex<Cursor>,
    waits: bool,
}

impl Kmsg {
    pub(super) fn new(flags: u32) -> Self {
        Self { cursor: named_mutex("kernel log", Cursor::first()), waits: flags & O_NONBLOCK == 0 }
    }
}

/// A record in the words of the interface: what is no printable ASCII is escaped.
fn line(record: &Kept) -> Result<String> {
    let mut line = String::new();
    // Each byte is four at most.
    line.try_reserve(64 + 4 * record.text.len()).map_err(|_| Errno::ENOMEM)?;
    let priority = u32::from(record.facility) << 3 | u32::from(record.priority);
    let Kept { sequence, micros, text, .. } = record;
    let mut put = || -> core::fmt::Result {
        write!(line, "{priority},{sequence},{micros},-;")?;
        for byte in text.bytes() {
            match byte {
                b'\\' => line.write_str("\\x5c")?,
                b' '..=b'~' => line.write_char(byte.into())?,
                byte => write!(line, "\\x{byte:02x}")?,
            }
        }
        line.write_char('\n')
    };
    put().map_err(|_| Errno::EIO)?;
    Ok(line)
}

impl File for Kmsg {
    fn read(&self, _position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let mut cursor = self.cursor.lock();
        loop {
            let before = *cursor;
            match cursor.read() {
                Found::Gone => return Err(Errno::EPIPE),
                Found::Record(record) => {
                    let line = line(&record)?;
                    let result = if line.len() > to.len() {
                        Err(Errno::EINVAL)
                    } else {
                        to.put(line.as_bytes())
                    };
                    if result.is_err() {
                        *cursor = before;
                    }
                    return result;
                }
                Found::Nothing if !self.waits => return Err(Errno::EAGAIN),
                Found::Nothing => {
                    let options =
                        WaitOptions { interruptible: true, ..WaitOptions::within(LOOK_NS) };
                    let _ = WAITING.wait_with(options, || cursor.has_more().then_some(()));
                    if task::signal_pending() && !cursor.has_more() {
                        return Err(Errno::ERESTART);
                    }
                }
            }
        }
    }

    /// `<N>` before the text says its level and facility; the facility is a program's in any case.
    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        let len = from.len();
        if len > MOST {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; MOST];
        let taken = from.take(&mut bytes)?;
        let text = String::from_utf8_lossy(bytes.get(..taken).unwrap_or_default());
        let mut text = text.trim_end_matches('\n');
        let mut priority = 4;
        if let Some((number, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
            && let Ok(number) = number.parse::<u32>()
        {
            (priority, text) = (number & 7, rest);
        }
        let level = match priority {
            0..=3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        };
        for line in text.lines() {
            log::log!(target: log_ring::USER, level, "{line}");
        }
        Ok(taken)
    }

    fn status(&self) -> Status {
        status(KMSG)
    }

    fn readiness(&self) -> Readiness {
        let has_more = self.cursor.try_lock().is_some_and(|cursor| cursor.has_more());
        Readiness { read: has_more, write: true }
    }
}
