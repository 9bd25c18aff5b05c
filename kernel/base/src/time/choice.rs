//! Which clock is used, and how its rate was checked.
//!
//! The rule, once: the TSC, if it is said to be invariant or a hypervisor keeps it, and two
//! of CPUID, the HPET and the 8254 agree about its rate; else the HPET, if its counter has
//! 64 bits; else the TSC as it is, with a warning. A TSC that turns out to differ from CPU to
//! CPU ([`distrust_tsc`]) counts as one that is not invariant.

use core::fmt;

use arch::cpu::features;
use arch::timer::calibrate::Bounds;
use arch::timer::hpet::Hpet;
use arch::timer::{pit, tsc};
use spin::Once;

use super::{HPET, RateSource, set_tsc_rate, use_hpet};

/// Two sources agree if they are not further apart, in millionths.
const AGREE_PPM: u64 = 500;
/// A run tells enough if its bounds are not wider, in millionths.
const NARROW_PPM: u64 = 500;
/// Length of the first run with each timer, in milliseconds; each further one is twice as
/// long. The timers tell their count within one or two ticks, of which the 8254 needs some
/// thousands.
const HPET_RUN_MS: u64 = 1;
const PIT_RUN_MS: u64 = 4;
/// Runs with each source before it counts as one that does not tell.
const TRIES: u32 = 4;
/// Comparisons before two sources count as contradicting each other.
const ROUNDS: u32 = 3;

/// What the clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// The time-stamp counter, checked.
    Tsc,
    /// The main counter of the HPET.
    Hpet,
    /// The time-stamp counter for want of anything better.
    UncheckedTsc,
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tsc => "TSC",
            Self::Hpet => "HPET",
            Self::UncheckedTsc => "TSC, unchecked",
        })
    }
}

/// What was found out about the clocks at boot.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The choice.
    pub source: ClockSource,
    /// The TSC runs at one rate in every power state, as CPUID says.
    pub invariant: bool,
    /// The kernel runs on a hypervisor, or an emulator.
    pub is_guest: bool,
    /// The TSC's rate as CPUID states it.
    pub cpuid: Option<Bounds>,
    /// The TSC's rate as the HPET tells it.
    pub hpet: Option<Bounds>,
    /// The TSC's rate as the 8254 tells it.
    pub pit: Option<Bounds>,
    /// The least distance between two of these, in millionths; `None` if there is only one.
    pub deviation_ppm: Option<u64>,
}

static REPORT: Once<Report> = Once::new();

/// What was found out, and what the clock is now; `None` before [`choose`].
pub fn report() -> Option<Report> {
    let source = |chosen| if super::uses_hpet() { ClockSource::Hpet } else { chosen };
    REPORT.get().map(|report| Report { source: source(report.source), ..*report })
}

/// The TSCs of the CPUs differ: makes the HPET the clock, by the same rule, or says that
/// there is none to be used. Time goes on from that of this CPU.
pub fn distrust_tsc() {
    match HPET.get().filter(|hpet| hpet.is_64_bits()) {
        _ if super::uses_hpet() => {}
        Some(hpet) => {
            use_hpet(hpet);
            log::warn!("clock: the HPET from now on, since the TSCs of the CPUs differ");
        }
        None => log::warn!("clock: the TSC, although those of the CPUs differ"),
    }
}

/// The HPET.
pub fn hpet() -> Option<&'static Hpet> {
    HPET.get()
}

/// There is no clock: neither CPUID nor a timer tells the TSC's rate, and there is no HPET
/// to be used instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoClock;

/// Repeats `run`, with a length in milliseconds, until it tells enough; what the runs say
/// together.
fn bounds(first_ms: u64, run: impl Fn(u64) -> Option<Bounds>) -> Option<Bounds> {
    let mut known = Bounds::ANY;
    for attempt in 0..TRIES {
        let found = run(first_ms << attempt)?;
        // One that contradicts the others was disturbed in a way that bounds do not show.
        known = known.both(found).unwrap_or(found);
        if known.width_ppm() <= NARROW_PPM {
            return Some(known);
        }
    }
    None
}

/// The rule.
fn rule(is_steady: bool, deviation_ppm: Option<u64>, has_hpet: bool) -> ClockSource {
    if is_steady && deviation_ppm.is_some_and(|ppm| ppm <= AGREE_PPM) {
        ClockSource::Tsc
    } else if has_hpet {
        ClockSource::Hpet
    } else {
        ClockSource::UncheckedTsc
    }
}

/// The two that are nearest to each other: by how much they differ, in millionths, and what
/// the better one of them, the first, says.
fn nearest(all: [(Option<Bounds>, RateSource); 3]) -> Option<(u64, Bounds, RateSource)> {
    let mut best: Option<(u64, Bounds, RateSource)> = None;
    for (index, (one, source)) in all.iter().enumerate() {
        for other in all.iter().skip(index + 1).filter_map(|(other, _)| *other) {
            if let Some(one) = *one
                && best.is_none_or(|(ppm, ..)| one.gap_ppm(other) < ppm)
            {
                best = Some((one.gap_ppm(other), one, *source));
            }
        }
    }
    best
}

/// Checks the TSC's rate, takes `hpet` into use, and decides what the clock is. Call once,
/// on the boot CPU while it is alone, interrupts off. Takes some 5 ms, more
/// on a host that is busy.
///
/// # Errors
/// [`NoClock`]; there is then no time.
pub fn choose(hpet: Option<Hpet>) -> Result<&'static Report, NoClock> {
    let hpet: Option<&Hpet> = match hpet {
        Some(hpet) => Some(HPET.call_once(|| hpet)),
        None => None,
    };
    let cpuid = tsc::rate_from_cpuid().map(Bounds::exactly);
    let (mut by_hpet, mut by_pit, mut found) = (None, None, None);
    for _ in 0..ROUNDS {
        by_hpet = hpet.and_then(|hpet| {
            bounds(HPET_RUN_MS, |ms| Some(hpet.tsc_bounds(hpet.rate() * ms / 1000)))
        });
        by_pit = bounds(PIT_RUN_MS, |ms| pit::tsc_bounds((pit::RATE_HZ * ms / 1000) as u16));
        found = nearest([
            (cpuid, RateSource::Cpuid),
            (by_hpet, RateSource::Hpet),
            (by_pit, RateSource::Pit),
        ]);
        if found.is_some_and(|(ppm, ..)| ppm <= AGREE_PPM) {
            break;
        }
    }
    let deviation_ppm = found.map(|(ppm, ..)| ppm);
    let (invariant, is_guest) = (features().invariant_tsc, tsc::is_guest());
    let counter = hpet.filter(|hpet| hpet.is_64_bits());
    let source = rule(invariant || is_guest, deviation_ppm, counter.is_some());
    // The best that is known, whatever was chosen: the TSC stays a clock to compare with.
    let best = found.map(|(_, bounds, source)| (bounds, source));
    let alone = [(by_hpet, RateSource::Hpet), (by_pit, RateSource::Pit)];
    let alone = alone.into_iter().find_map(|(bounds, source)| Some((bounds?, source)));
    if let Some((bounds, from)) = best.or(alone) {
        set_tsc_rate(bounds.middle(), from);
    }
    match counter {
        Some(hpet) if source == ClockSource::Hpet => use_hpet(hpet),
        _ if super::tsc_rate() == 0 => return Err(NoClock),
        _ => {}
    }
    if let Some(ppm) = deviation_ppm.filter(|&ppm| ppm > AGREE_PPM) {
        log::warn!("clock: what is known of the TSC's rate differs by {ppm} ppm");
    }
    if source == ClockSource::UncheckedTsc {
        log::warn!(
            "clock: the TSC, although {}",
            if invariant || is_guest {
                "no two sources agree about its rate"
            } else {
                "nothing says that its rate stays"
            }
        );
    }
    let report =
        Report { source, invariant, is_guest, cpuid, hpet: by_hpet, pit: by_pit, deviation_ppm };
    Ok(REPORT.call_once(|| report))
}

#[cfg(not(test))]
mod tests {
    use super::*;

    #[macros::kernel_test]
    fn the_rule_for_choosing_a_clock() {
        assert_eq!(rule(true, Some(500), true), ClockSource::Tsc);
        assert_eq!(rule(true, Some(501), true), ClockSource::Hpet);
        assert_eq!(rule(true, None, true), ClockSource::Hpet);
        assert_eq!(rule(false, Some(0), true), ClockSource::Hpet);
        assert_eq!(rule(false, Some(0), false), ClockSource::UncheckedTsc);
        assert_eq!(rule(true, None, false), ClockSource::UncheckedTsc);
    }

    #[macros::kernel_test]
    fn two_sources_outvote_a_third() {
        let known = |low, high| Some(Bounds { low, high });
        let all = |cpuid, hpet, pit| {
            let all =
                [(cpuid, RateSource::Cpuid), (hpet, RateSource::Hpet), (pit, RateSource::Pit)];
            nearest(all).map(|(ppm, _, source)| (ppm, source))
        };
        let (right, about) = (known(1_000_000, 1_000_100), known(999_900, 1_000_050));
        let wrong = known(1_010_000, 1_010_000);
        assert_eq!(all(wrong, right, about), Some((0, RateSource::Hpet)));
        assert_eq!(all(right, wrong, about), Some((0, RateSource::Cpuid)));
        assert_eq!(all(None, right, wrong), Some((9900, RateSource::Hpet)));
        assert_eq!(all(None, right, None), None);
        assert_eq!(all(None, None, None), None);
    }

    #[macros::kernel_test]
    fn the_clock_agrees_with_the_hpet() {
        let Some(hpet) = hpet() else { return };
        let ns = |from, to| {
            let ticks = u128::from(hpet.since(from, to));
            (ticks * u128::from(hpet.period_fs()) / 1_000_000) as u64
        };
        let look = || (hpet.counter(), super::super::now_ns(), hpet.counter());
        let first = look();
        while ns(first.2, hpet.counter()) < 5_000_000 {
            core::hint::spin_loop();
        }
        let last = look();
        // Bounds, whatever the host did meanwhile; a thousandth for the rates.
        let (clock, least, most) = (last.1 - first.1, ns(first.2, last.0), ns(first.0, last.2));
        assert!(
            clock + clock / 1000 >= least && clock <= most + most / 1000 + 1000,
            "{clock} ns by the clock, {least} to {most} by the HPET"
        );
    }
}
