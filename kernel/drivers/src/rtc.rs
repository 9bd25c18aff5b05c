//! The real-time clock of a PC: an MC146818 behind ports 0x70 and 0x71 (Motorola data
//! sheet, "Time, calendar and alarm locations"). Read once, at boot; from then on the
//! kernel's clock counts.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use base::io_ports::{IoPorts, PortError};
use base::registers::port::{PortRegister, ReadableWritable, Writable};
use base::time;

const PORTS: u16 = 0x70;
const INDEX: PortRegister<u8, Writable> = PortRegister::new(0);
const DATA: PortRegister<u8, ReadableWritable> = PortRegister::new(1);
/// In the index: keeps NMI off while the access lasts; 0 leaves it on.
const NMI_ON: u8 = 0;

mod register {
    pub(super) const SECONDS: u8 = 0x00;
    pub(super) const MINUTES: u8 = 0x02;
    pub(super) const HOURS: u8 = 0x04;
    pub(super) const DAY: u8 = 0x07;
    pub(super) const MONTH: u8 = 0x08;
    pub(super) const YEAR: u8 = 0x09;
    pub(super) const STATUS_A: u8 = 0x0a;
    pub(super) const STATUS_B: u8 = 0x0b;
    /// Not the chip's: where firmware keeps the century, as a rule.
    pub(super) const CENTURY: u8 = 0x32;
}

const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const HOURS_24: u8 = 1 << 1;
const BINARY: u8 = 1 << 2;
const AFTERNOON: u8 = 1 << 7;

/// An update takes 2 ms at most; a clock that never ends one is broken.
const UPDATE_BOUND_NS: u64 = 10_000_000;

/// Nanoseconds since 1970 when the kernel's clock was 0; 0 before [`init`].
static BOOT_NS: AtomicU64 = AtomicU64::new(0);

/// Why there is no wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcError {
    /// Its ports cannot be had.
    Ports(PortError),
    /// It says for too long that it is being updated.
    NotReady,
    /// It does not show a date.
    BadDate,
}

impl fmt::Display for RtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(error) => write!(f, "ports: {error:?}"),
            Self::NotReady => f.write_str("it never ends an update"),
            Self::BadDate => f.write_str("it shows no date"),
        }
    }
}

/// The registers of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
}

fn read(ports: &IoPorts, register: u8) -> u8 {
    INDEX.write(ports, NMI_ON | register);
    DATA.read(ports)
}

fn read_all(ports: &IoPorts) -> Result<Reading, RtcError> {
    let end = time::now_ns() + UPDATE_BOUND_NS;
    let mut polls = 0u32;
    while read(ports, register::STATUS_A) & UPDATE_IN_PROGRESS != 0 {
        polls += 1;
        // The count bounds the wait where the clock stands still.
        if time::now_ns() > end || polls > 1_000_000 {
            return Err(RtcError::NotReady);
        }
    }
    Ok(Reading {
        seconds: read(ports, register::SECONDS),
        minutes: read(ports, register::MINUTES),
        hours: read(ports, register::HOURS),
        day: read(ports, register::DAY),
        month: read(ports, register::MONTH),
        year: read(ports, register::YEAR),
        century: read(ports, register::CENTURY),
    })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, from 1970 on.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_to_month = (153 * month + 2) / 5;
    365 * year + year / 4 - year / 100 + year / 400 + days_to_month + (day - 1) - 719_468
}

/// Seconds since 1970, UTC.
fn to_unix(reading: Reading, status_b: u8) -> Option<u64> {
    let number = |value: u8| -> Option<u64> {
        if status_b & BINARY != 0 {
            return Some(value.into());
        }
        let (tens, ones) = (value >> 4, value & 0xf);
        (tens < 10 && ones < 10).then(|| u64::from(tens * 10 + ones))
    };
    let afternoon = status_b & HOURS_24 == 0 && reading.hours & AFTERNOON != 0;
    let mut hours = number(reading.hours & !if status_b & HOURS_24 == 0 { AFTERNOON } else { 0 })?;
    if status_b & HOURS_24 == 0 {
        hours = hours % 12 + if afternoon { 12 } else { 0 };
    }
    let century = number(reading.century).filter(|century| (19..=21).contains(century));
    let year = century.unwrap_or(20) * 100 + number(reading.year)?;
    let (month, day) = (number(reading.month)?, number(reading.day)?);
    let (minutes, seconds) = (number(reading.minutes)?, number(reading.seconds)?);
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 60;
    valid.then(|| ((days_since_1970(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// Reads the clock and so gives [`now_ns`] its beginning; seconds since 1970. Needs the
/// kernel's clock.
///
/// # Errors
/// As [`RtcError`] says; time then begins in 1970.
pub fn init() -> Result<u64, RtcError> {
    let ports = IoPorts::claim(PORTS, 2, "rtc").map_err(RtcError::Ports)?;
    // Two readings that agree did not meet an update.
    let mut last = read_all(&ports)?;
    for _ in 0..5 {
        let next = read_all(&ports)?;
        if next == last {
            let status_b = read(&ports, register::STATUS_B);
            let seconds = to_unix(next, status_b).ok_or(RtcError::BadDate)?;
            let boot = (seconds * 1_000_000_000).saturating_sub(time::now_ns());
            BOOT_NS.store(boot, Ordering::Relaxed);
            return Ok(seconds);
        }
        last = next;
    }
    Err(RtcError::NotReady)
}

/// Nanoseconds since 1970, UTC.
pub fn now_ns() -> u64 {
    BOOT_NS.load(Ordering::Relaxed) + time::now_ns()
}

#[base::kernel_test]
fn dates_become_seconds() {
    let reading = |year, month, day, hours| Reading {
        seconds: 0x59,
        minutes: 0x30,
        hours,
        day,
        month,
        year,
        century: 0x20,
    };
    assert_eq!(days_since_1970(1970, 1, 1), 0);
    assert_eq!(to_unix(reading(0x00, 0x01, 0x01, 0x00), HOURS_24), Some(946_686_659));
    assert_eq!(to_unix(reading(0x24, 0x02, 0x29, 0x23), HOURS_24), Some(1_709_249_459));
    // 12-hour clocks: 12 at night, 12 at noon, 11 in the evening.
    assert_eq!(to_unix(reading(0x24, 0x02, 0x29, 0x12), 0), Some(1_709_166_659));
    assert_eq!(to_unix(reading(0x24, 0x02, 0x29, 0x92), 0), Some(1_709_209_859));
    assert_eq!(to_unix(reading(0x24, 0x02, 0x29, 0x91), 0), Some(1_709_249_459));
    assert_eq!(to_unix(reading(0x24, 0x13, 0x01, 0x00), HOURS_24), None);
    assert_eq!(to_unix(reading(0x24, 0x1f, 0x01, 0x00), HOURS_24), None);
}
