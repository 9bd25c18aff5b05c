//! `/dev/kmsg`: the kernel's log, a record with each read (Linux
//! `Documentation/ABI/testing/dev-kmsg`). What is written is logged.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::fcntl::O_NONBLOCK;
use abi::{Errno, Result};
use base::log_ring::{self, Cursor, Gone, Kept};
use log::Level;
use memory::frames::check_user_may_allocate;
use spin::Once;
use task::{Mutex, WaitOptions, WaitQueue, Work, WorkQueue, named_mutex};

use super::memory::status;
use crate::buffer::{Destination, Source};
use crate::file::{File, Readiness};
use crate::status::Status;

/// Minor number.
pub(super) const KMSG: u32 = 11;

/// Longest text that is written, as on Linux.
const MOST: usize = 1024 - 32;
/// How often somebody looks for new records as long as the log is open: whoever logs may be in any
/// context, and wakes nobody.
const LOOK_NS: u64 = 50_000_000;

/// For those who wait for records.
static WAITING: WaitQueue = WaitQueue::new("kernel log");
/// Open files of it.
static OPEN: AtomicUsize = AtomicUsize::new(0);
/// What looks.
static WATCH: Once<Arc<Work>> = Once::new();

fn watch(work: &Arc<Work>, last: &Mutex<Cursor>) {
    let mut last = last.lock();
    if last.has_more() {
        *last = Cursor::end();
        WAITING.wake_all();
    }
    if OPEN.load(Ordering::Acquire) > 0 {
        work.queue_after(LOOK_NS);
    }
}

/// An open file of it.
#[derive(Debug)]
pub(super) struct Kmsg {
    cursor: Mutex<Cursor>,
    waits: bool,
}

impl Kmsg {
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new(flags: u32) -> Result<Self> {
        check_user_may_allocate()?;
        let watch = WATCH.call_once(|| {
            let last = named_mutex("watch of the kernel log", Cursor::end());
            Work::new("kernel log", WorkQueue::system(), move |work| watch(work, &last))
        });
        OPEN.fetch_add(1, Ordering::AcqRel);
        // It is queued already if somebody else has the log open.
        let _ = watch.queue_after(LOOK_NS);
        Ok(Self {
            cursor: named_mutex("kernel log", Cursor::first()),
            waits: flags & O_NONBLOCK == 0,
        })
    }
}

impl Kmsg {
    /// Reads the next record, if there is one; how many bytes.
    ///
    /// # Errors
    /// `EPIPE` if records are gone that were not read, `EINVAL` if there is no room, `ENOMEM`; as
    /// [`Destination::put`]. The record is still the next one then, unless it is gone.
    fn read_next(&self, to: &mut Destination<'_>) -> Result<Option<usize>> {
        let mut cursor = self.cursor.lock();
        let before = *cursor;
        let Some(record) = cursor.read().map_err(|Gone| Errno::EPIPE)? else { return Ok(None) };
        let result = line(&record).and_then(|line| match line.len() > to.len() {
            true => Err(Errno::EINVAL),
            false => to.put(line.as_bytes()),
        });
        if result.is_err() {
            *cursor = before;
        }
        result.map(Some)
    }
}

impl Drop for Kmsg {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::AcqRel);
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
        loop {
            if let Some(read) = self.read_next(to)? {
                return Ok(read);
            }
            if !self.waits {
                return Err(Errno::EAGAIN);
            }
            // Whoever else reads here is not kept waiting, and may be faster.
            let seen = *self.cursor.lock();
            let has_more = || seen.has_more().then_some(());
            let waited = WAITING.wait_with(WaitOptions::INTERRUPTIBLE, has_more);
            waited.map_err(|_| Errno::EINTR)?;
        }
    }

    /// `<N>` before the text says its level and facility; the facility is a program's in any case.
    fn write(&self, _position: u64, from: &mut Source<'_>) -> Result<usize> {
        let len = from.len();
        if len > MOST {
            return Err(Errno::EINVAL);
        }
        check_user_may_allocate()?; // for what is no UTF-8
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

    fn wait_queue(&self) -> Option<&'static WaitQueue> {
        Some(&WAITING)
    }

    fn readiness(&self) -> Readiness {
        let has_more = self.cursor.try_lock().is_some_and(|cursor| cursor.has_more());
        Readiness { read: has_more, write: false } // Linux's is never ready to be written to
    }
}
