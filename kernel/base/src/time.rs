//! The clock: nanoseconds since the kernel started to count, from the TSC.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arch::timer::calibrate::CalibrationError;
use arch::timer::{pit, tsc};

/// Where a rate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// Measured against the 8254.
    Pit,
    /// Stated by the CPU or the hypervisor, in CPUID.
    Cpuid,
}

impl fmt::Display for RateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pit => "measured against the 8254",
            Self::Cpuid => "stated by CPUID",
        })
    }
}

/// TSC value at boot.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per tick times 2^32; 0 until [`init`].
static SCALE: AtomicU64 = AtomicU64::new(0);
static RATE: AtomicU64 = AtomicU64::new(0);
/// A [`RateSource`] plus one; 0 until [`init`].
static SOURCE: AtomicU8 = AtomicU8::new(0);

/// No way to learn the TSC's rate: CPUID does not state it, and the 8254 does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoClock(pub CalibrationError);

impl fmt::Display for NoClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no clock: CPUID does not state the TSC's rate, and as for the 8254: {}", self.0)
    }
}

/// Takes the TSC as of now as time zero; the clock shows 0 until [`init`].
pub fn start() {
    START.store(tsc::read(), Ordering::Relaxed);
}

/// Finds the TSC's rate and starts the clock.
///
/// # Errors
/// [`NoClock`]; the clock then stays at 0.
pub fn init() -> Result<RateSource, NoClock> {
    let (rate, source) = match tsc::rate_from_cpuid() {
        Some(rate) => (rate, RateSource::Cpuid),
        None => (pit::measure_tsc().map_err(NoClock)?, RateSource::Pit),
    };
    RATE.store(rate, Ordering::Relaxed);
    SOURCE.store(source as u8 + 1, Ordering::Relaxed);
    let scale = (u128::from(1_000_000_000u64) << 32) / u128::from(rate.max(1));
    SCALE.store(u64::try_from(scale).unwrap_or(u64::MAX), Ordering::Relaxed);
    Ok(source)
}

/// Where the TSC's rate came from; `None` before [`init`].
pub fn source() -> Option<RateSource> {
    match SOURCE.load(Ordering::Relaxed) {
        0 => None,
        1 => Some(RateSource::Pit),
        _ => Some(RateSource::Cpuid),
    }
}

/// TSC ticks a second; 0 before [`init`].
pub fn tsc_rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

/// Nanoseconds since [`start`]; 0 before [`init`].
#[inline]
pub fn now_ns() -> u64 {
    let ticks = tsc::read().wrapping_sub(START.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

#[macros::kernel_test]
fn the_clock_agrees_with_the_8254() {
    const TICKS: u64 = 5_966; // 5 ms
    // Without an 8254 there is nothing to compare with.
    let Some((least, most)) = pit::measure(TICKS as u16, now_ns) else {
        return assert_eq!(source(), Some(RateSource::Cpuid));
    };
    // Whatever the host did meanwhile: these are bounds.
    let ns = |ticks: u64| ticks * 1_000_000_000 / pit::RATE_HZ;
    let (from, to) = (ns(TICKS - 1), ns(TICKS + 1));
    assert!(least <= to + to / 1000, "{TICKS} ticks, {from} to {to} ns, took {least} or more");
    assert!(most >= from - from / 1000, "{TICKS} ticks, {from} to {to} ns, took {most} or less");
}

#[macros::kernel_test]
fn cpuid_tells_rates() {
    // A crystal of 24 MHz, times 216 / 2; without the crystal, or without the ratio.
    assert_eq!(tsc::rate_of_leaf_15(2, 216, 24_000_000), Some(2_592_000_000));
    assert_eq!(tsc::rate_of_leaf_15(2, 216, 0), None);
    assert_eq!(tsc::rate_of_leaf_15(0, 216, 24_000_000), None);
    assert_eq!(tsc::rate_of_leaf_15(2, 0, 24_000_000), None);
    assert_eq!(tsc::rate_of_leaf_4000_0010(2_592_000), Some(2_592_000_000));
    assert_eq!(tsc::rate_of_leaf_4000_0010(0), None);
}

#[macros::kernel_test]
fn a_rate_is_what_runs_agree_on() {
    use arch::timer::calibrate::{Bounds, rate};
    let bounds = |low, high| Some(Bounds { low, high });
    // Runs that tell little are repeated, and made longer; one that lies is outvoted.
    let runs = [bounds(900, 2000), bounds(1_000_000, 1_000_001), bounds(1000, 1001)];
    let (mut at, mut lengths) = (0, arrayvec::ArrayVec::<u32, 24>::new());
    let result = rate(|length| {
        lengths.push(length);
        at += 1;
        runs.get(at - 1).copied().unwrap_or(bounds(1000, 1002))
    });
    assert_eq!(result, Ok(1000));
    assert_eq!(lengths[..], [4, 8, 1, 1]);
    // A clock that is always disturbed, one that never says the same, one that is not there.
    assert_eq!(rate(|_| bounds(900, 1100)), Err(CalibrationError::Unsteady));
    let mut next = 1000;
    let changing = rate(|_| {
        next += 10;
        bounds(next, next + 1)
    });
    assert_eq!(changing, Err(CalibrationError::Unsteady));
    assert_eq!(rate(|_| None), Err(CalibrationError::Absent));
    assert_eq!(rate(|_| bounds(0, 10)), Err(CalibrationError::Absent));
}
