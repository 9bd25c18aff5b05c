//! The clock: nanoseconds since the kernel started to count, from the TSC.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arch::timer::{pit, tsc};

/// Where a rate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// Measured against the 8254.
    Pit,
    /// Stated by CPUID leaf 0x15.
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

/// No way to learn the TSC's rate: neither the 8254 nor CPUID answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoClock;

/// Takes the TSC as of now as time zero; the clock shows 0 until [`init`].
pub fn start() {
    START.store(tsc::read(), Ordering::Relaxed);
}

/// Finds the TSC's rate and starts the clock.
///
/// # Errors
/// [`NoClock`]; the clock then stays at 0.
pub fn init() -> Result<RateSource, NoClock> {
    let (rate, source) = match (pit::measure_tsc(), tsc::rate_from_cpuid()) {
        (Some(rate), _) => (rate, RateSource::Pit),
        (None, Some(rate)) => (rate, RateSource::Cpuid),
        (None, None) => return Err(NoClock),
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

/// Spins for at least `ns` nanoseconds; for hardware that wants a pause before
/// anything can sleep.
pub fn spin_ns(ns: u64) {
    let end = now_ns() + ns;
    while now_ns() < end {
        core::hint::spin_loop();
    }
}

#[macros::kernel_test]
fn the_clock_agrees_with_the_8254() {
    const TICKS: u16 = 2_387; // 2 ms
    if source() != Some(RateSource::Pit) {
        return;
    }
    let measure = || {
        let (mut from, mut to) = (0, 0);
        pit::measure(TICKS, || from = now_ns(), || to = now_ns()).then(|| to - from)
    };
    // The host may take the CPU away meanwhile: of many runs, one is about right.
    let best = (0..20).filter_map(|_| measure()).min().expect("it has answered at boot");
    assert!((1_900_000..2_500_000).contains(&best), "2 ms took {best} ns");
}
