//! The clock: nanoseconds since the kernel started to count, from the TSC or the HPET
//! ([`choice`] says which and why).

pub mod choice;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use arch::timer::calibrate::CalibrationError;
use arch::timer::hpet::Hpet;
use arch::timer::{pit, tsc};
use spin::Once;

/// Where a rate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// Measured against the 8254.
    Pit,
    /// Stated by the CPU or the hypervisor, in CPUID.
    Cpuid,
    /// Measured against the HPET.
    Hpet,
}

impl fmt::Display for RateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pit => "measured against the 8254",
            Self::Cpuid => "stated by CPUID",
            Self::Hpet => "measured against the HPET",
        })
    }
}

/// TSC value at boot.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per tick times 2^32; 0 until [`init`].
static SCALE: AtomicU64 = AtomicU64::new(0);

/// The HPET, where there is one.
static HPET: Once<Hpet> = Once::new();
/// Whether the HPET is the clock.
static USES_HPET: AtomicBool = AtomicBool::new(false);
/// As those above, of the HPET.
static HPET_START: AtomicU64 = AtomicU64::new(0);
static HPET_SCALE: AtomicU64 = AtomicU64::new(0);
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
    set_tsc_rate(rate, source);
    Ok(source)
}

/// Nanoseconds per tick of a clock of `rate` Hz, times 2^32.
fn scale_of(rate: u64) -> u64 {
    let scale = (u128::from(1_000_000_000u64) << 32) / u128::from(rate.max(1));
    u64::try_from(scale).unwrap_or(u64::MAX)
}

/// Ticks in `ns` nanoseconds of a clock of `rate` Hz.
fn ticks_in(ns: u64, rate: u64) -> u64 {
    (u128::from(ns) * u128::from(rate) / 1_000_000_000) as u64
}

/// Sets the TSC's rate. The time of now stays. On the boot CPU, while it is alone.
fn set_tsc_rate(rate: u64, source: RateSource) {
    if SOURCE.load(Ordering::Relaxed) != 0 {
        let ns = tsc_ns();
        START.store(tsc::read().wrapping_sub(ticks_in(ns, rate)), Ordering::Relaxed);
    }
    RATE.store(rate, Ordering::Relaxed);
    SOURCE.store(source as u8 + 1, Ordering::Relaxed);
    SCALE.store(scale_of(rate), Ordering::Relaxed);
}

/// Makes the HPET the clock. The time of now stays: this CPU's, if those of the CPUs differ.
fn use_hpet(hpet: &Hpet) {
    let ns = tsc_ns();
    HPET_SCALE.store(scale_of(hpet.rate()), Ordering::Relaxed);
    let start = hpet.counter().wrapping_sub(ticks_in(ns, hpet.rate()));
    HPET_START.store(start, Ordering::Relaxed);
    USES_HPET.store(true, Ordering::Release);
}

/// Whether the HPET is the clock.
#[inline]
fn uses_hpet() -> bool {
    USES_HPET.load(Ordering::Acquire)
}

/// Where the TSC's rate came from; `None` before [`init`].
pub fn source() -> Option<RateSource> {
    match SOURCE.load(Ordering::Relaxed) {
        0 => None,
        1 => Some(RateSource::Pit),
        2 => Some(RateSource::Cpuid),
        _ => Some(RateSource::Hpet),
    }
}

/// TSC ticks a second; 0 before [`init`].
pub fn tsc_rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

/// Nanoseconds since [`start`]; 0 before [`init`].
#[inline]
pub fn now_ns() -> u64 {
    if uses_hpet() { hpet_ns() } else { tsc_ns() }
}

#[inline]
fn tsc_ns() -> u64 {
    let ticks = tsc::read().wrapping_sub(START.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

#[cold]
fn hpet_ns() -> u64 {
    let Some(hpet) = HPET.get() else { return tsc_ns() };
    let ticks = hpet.counter().wrapping_sub(HPET_START.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(HPET_SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

#[macros::kernel_test]
fn the_clock_agrees_with_the_8254() {
    let Some(run) = pit::measure(5_966, now_ns) else {
        // Without an 8254 there is nothing to compare with.
        return assert_ne!(source(), Some(RateSource::Pit));
    };
    let Some(run) = run else { return }; // the host took the CPU away for 50 ms
    // Whatever the host did meanwhile: these are bounds.
    let ns = |ticks: u64| ticks * 1_000_000_000 / pit::RATE_HZ;
    let (from, to) = (ns(run.timer.0), ns(run.timer.1));
    assert!(run.clock.0 <= to + to / 1000, "{from} to {to} ns of the 8254: {run:?}");
    assert!(run.clock.1 >= from - from / 1000, "{from} to {to} ns of the 8254: {run:?}");
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
    // One that was stopped for so long that the timer seems absent, at times.
    let mut at = 0;
    let stopped = rate(|_| {
        at += 1;
        if at % 3 == 0 { bounds(1000, 1002) } else { None }
    });
    assert_eq!(stopped, Ok(1001));
    // A clock that is always disturbed, one that never says the same, one that is not there.
    assert_eq!(rate(|_| bounds(900, 1100)), Err(CalibrationError::Unsteady));
    assert_eq!(rate(|_| bounds(1000, 1040)), Ok(1020));
    let mut next = 1000;
    let changing = rate(|_| {
        next += 10;
        bounds(next, next + 1)
    });
    assert_eq!(changing, Err(CalibrationError::Unsteady));
    assert_eq!(rate(|_| None), Err(CalibrationError::Absent));
    assert_eq!(rate(|_| bounds(0, 10)), Err(CalibrationError::Absent));
}
