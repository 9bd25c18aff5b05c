//! The newest records of the kernel log, for those who read them later ([`Cursor`]).
//!
//! Records lie in a ring one behind the other; a new one takes the place of the oldest. Whoever
//! logs may be in any context, in an NMI in the middle of another record too, and must not wait for
//! long: a record for which the ring is not free in time is counted and lost here, and is on the
//! console all the same.

use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

use arch::cpu::interrupts::spin_hint;
use arrayvec::ArrayString;
use log::{Level, Record};

use crate::sync::IrqSpinLock;

/// Bytes of records that are kept, with their headers.
const BYTES: usize = 64 << 10;
/// Most bytes of a record's text; the rest is cut off.
pub const TEXT: usize = 512;
/// Length of the text, level, facility, microseconds.
const HEADER: usize = 2 + 1 + 1 + 8;
/// How often whoever logs tries to get the ring.
const TRIES: usize = 10_000;

/// The target of records that programs write.
pub const USER: &str = "user";

/// A record as it was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its number: each has one more than that before.
    pub sequence: u64,
    /// Its level, as syslog(2) counts: 3 for errors, 4 for warnings, 6, and 7 for the rest.
    pub priority: u8,
    /// Who wrote it, as syslog(3) counts: 0 for the kernel, 1 for a program.
    pub facility: u8,
    /// When, in microseconds of the clock.
    pub micros: u64,
    /// The module, a colon, and the message.
    pub text: ArrayString<TEXT>,
}

struct Ring {
    bytes: [u8; BYTES],
    /// Where the oldest record begins and the newest ends, in bytes that were ever written.
    start: u64,
    end: u64,
    /// Their numbers: of the oldest, and of the next one.
    first: u64,
    next: u64,
}

static RING: IrqSpinLock<Ring> =
    IrqSpinLock::new("log ring", Ring { bytes: [0; BYTES], start: 0, end: 0, first: 0, next: 0 });
static LOST: AtomicU64 = AtomicU64::new(0);

impl Ring {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.end as usize % BYTES) {
                *place = *byte;
            }
            self.end += 1;
        }
    }

    fn get(&self, at: u64, to: &mut [u8]) {
        for (at, byte) in (at..).zip(to) {
            *byte = self.bytes.get(at as usize % BYTES).copied().unwrap_or(0);
        }
    }

    /// The header of the record that begins at `at`.
    fn header(&self, at: u64) -> (usize, u8, u8, u64) {
        let mut header = [0; HEADER];
        self.get(at, &mut header);
        let [l0, l1, priority, facility, time @ ..] = header;
        (u16::from_le_bytes([l0, l1]).into(), priority, facility, u64::from_le_bytes(time))
    }

    fn push(&mut self, priority: u8, facility: u8, micros: u64, text: &str) {
        let len = (HEADER + text.len()) as u64;
        while self.end + len - self.start > BYTES as u64 {
            self.start += (HEADER + self.header(self.start).0) as u64;
            self.first += 1;
        }
        self.put(&(text.len() as u16).to_le_bytes());
        self.put(&[priority, facility]);
        self.put(&micros.to_le_bytes());
        self.put(text.as_bytes());
        self.next += 1;
    }
}

/// Keeps a record. Any context.
pub(crate) fn keep(record: &Record<'_>, micros: u64) {
    let mut text = ArrayString::<TEXT>::new();
    // What does not fit is cut off, which is the only error.
    let _ = write!(Cut(&mut text), "{}: {}", record.target(), record.args());
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let facility = u8::from(record.target() == USER);
    for _ in 0..TRIES {
        if let Some(mut ring) = RING.try_lock() {
            return ring.push(priority, facility, micros, &text);
        }
        spin_hint();
    }
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// Takes as much of a text as there is room for.
struct Cut<'a>(&'a mut ArrayString<TEXT>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let mut end = text.len().min(self.0.remaining_capacity());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(text.get(..end).unwrap_or_default());
        if end == text.len() { Ok(()) } else { Err(core::fmt::Error) }
    }
}

/// Records that were lost because the ring was not free.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The next records of a [`Cursor`] are gone; it goes on with the oldest that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Where somebody is who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    sequence: u64,
    at: u64,
}

impl Cursor {
    /// Before the oldest record.
    pub fn first() -> Self {
        let ring = RING.lock();
        Self { sequence: ring.first, at: ring.start }
    }

    /// Behind the newest.
    pub fn end() -> Self {
        let ring = RING.lock();
        Self { sequence: ring.next, at: ring.end }
    }

    /// Whether a read would find something.
    pub fn has_more(&self) -> bool {
        self.sequence < RING.lock().next
    }

    /// Reads on: the next record, if there is one.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn read(&mut self) -> Result<Option<Kept>, Gone> {
        let ring = RING.lock();
        if self.sequence < ring.first {
            *self = Self { sequence: ring.first, at: ring.start };
            return Err(Gone);
        }
        if self.sequence >= ring.next {
            return Ok(None);
        }
        let (len, priority, facility, micros) = ring.header(self.at);
        let mut bytes = [0; TEXT];
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        ring.get(self.at + HEADER as u64, bytes);
        drop(ring);
        let text = core::str::from_utf8(bytes).ok().and_then(|text| ArrayString::from(text).ok());
        let record = Kept {
            sequence: self.sequence,
            priority,
            facility,
            micros,
            text: text.unwrap_or_default(),
        };
        *self = Self { sequence: self.sequence + 1, at: self.at + (HEADER + len) as u64 };
        Ok(Some(record))
    }
}

#[crate::kernel_test]
fn what_is_logged_is_kept_in_order_until_there_is_no_room() {
    let mut cursor = Cursor::end();
    log::warn!(target: USER, "one {}", 1);
    log::info!("two");
    let mut next = || loop {
        let record = cursor.read().expect("few are logged meanwhile").expect("two were");
        // Others log, too.
        if record.text.ends_with(": one 1") || record.text.ends_with(": two") {
            return record;
        }
    };
    let one = next();
    assert_eq!((one.text.as_str(), one.priority, one.facility), ("user: one 1", 4, 1));
    let two = next();
    assert_eq!((two.text.as_str(), two.priority, two.facility), ("base::log_ring: two", 6, 0));
    assert!(two.sequence > one.sequence && two.micros >= one.micros);
}

#[crate::kernel_test]
fn an_old_record_gives_way_and_whoever_reads_is_told() {
    let mut ring =
        alloc::boxed::Box::new(Ring { bytes: [0; BYTES], start: 0, end: 0, first: 0, next: 0 });
    let text = "x".repeat(300);
    for micros in 0..1000 {
        ring.push(6, 0, micros, &text);
    }
    assert_eq!(ring.next, 1000);
    assert_eq!(ring.next - ring.first, (BYTES / (300 + HEADER)) as u64);
    let mut at = ring.start;
    for number in ring.first..ring.next {
        assert_eq!(ring.header(at), (300, 6, 0, number));
        at += (300 + HEADER) as u64;
    }
    assert_eq!(at, ring.end);
}
