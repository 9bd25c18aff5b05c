//! Measuring the rate of one clock against another one that is known.
//!
//! A run never gives one number: each reading of the two clocks takes time, and whoever
//! runs this machine (a host, the firmware) may stop it in between. So both clocks are read
//! before and after, and the run gives [`Bounds`] that hold however long that took. A
//! disturbance makes them wide; it does not make them wrong. [`rate`] repeats runs until
//! enough of them agree.

use core::fmt;

/// A rate in Hz lies between these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Not lower than this.
    pub low: u64,
    /// Not higher than this.
    pub high: u64,
}

impl Bounds {
    /// A run that tells nothing.
    pub const ANY: Self = Self { low: 1, high: u64::MAX };

    /// The bounds of the rate of a clock that went on by `least` to `most` ticks while
    /// another one of `rate` Hz went on by `from` to `to`.
    pub fn of_run((least, most): (u64, u64), (from, to): (u64, u64), rate: u64) -> Self {
        let hz = |ticks: u64, of: u64| {
            let hz = u128::from(ticks) * u128::from(rate) / u128::from(of.max(1));
            u64::try_from(hz).unwrap_or(u64::MAX)
        };
        Self { low: hz(least, to), high: hz(most, from) }
    }

    /// A rate that is known.
    pub fn exactly(rate: u64) -> Self {
        Self { low: rate, high: rate }
    }

    /// What both say; `None` if they contradict each other.
    pub fn both(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    /// Whether the middle is right within 0.1 %.
    fn are_narrow(self) -> bool {
        (self.high - self.low).saturating_mul(500) <= self.low
    }

    /// Whether the middle is right within 5 %.
    fn are_usable(self) -> bool {
        (self.high - self.low).saturating_mul(10) <= self.low
    }

    /// How wide they are, in millionths of the rate.
    pub fn width_ppm(self) -> u64 {
        ppm(self.high - self.low, self.low)
    }

    /// By how much the two contradict each other, in millionths; 0 if they do not.
    pub fn gap_ppm(self, other: Self) -> u64 {
        let gap = self.low.max(other.low).saturating_sub(self.high.min(other.high));
        ppm(gap, self.low)
    }

    /// The best guess.
    pub fn middle(self) -> u64 {
        self.low + (self.high - self.low) / 2
    }
}

/// `part` in millionths of `whole`.
fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}

/// Why a rate is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationError {
    /// One of the clocks does not answer, or stands still.
    Absent,
    /// The runs were disturbed, or contradicted each other, again and again.
    Unsteady,
}

impl fmt::Display for CalibrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "it does not answer",
            Self::Unsteady => "it cannot be measured within 0.1 %",
        })
    }
}

/// Runs before giving up. A host with much else to do disturbs most of them.
const MAX_RUNS: u32 = 240;
/// Runs without an answer, one after the other, before the timer counts as absent: a run
/// that was stopped for long right after its start looks like that too.
const MAX_MISSES: u32 = 3;
/// Runs that must agree.
const AGREE: u32 = 2;
/// The longest run, as a power of two of the first one's length.
const LONGEST: u32 = 4;

/// A rate in Hz, right within 0.1 %: repeats `run` until two runs in a row agree and
/// together tell it so well; where none do, what is right within 5 % is taken. `run` gets
/// its length in quarters of the shortest run that may be enough; `None` from it, or bounds
/// that say nothing, three times in a row end everything.
///
/// # Errors
/// As [`CalibrationError`] says; at most 240 runs, each at most 16 times that long.
pub fn rate(mut run: impl FnMut(u32) -> Option<Bounds>) -> Result<u64, CalibrationError> {
    let mut known: Option<(Bounds, u32)> = None;
    let (mut length, mut misses) = (0, 0);
    for _ in 0..MAX_RUNS {
        // A short run is enough to confirm what is told well.
        let confirms = known.is_some_and(|(bounds, _)| bounds.are_narrow());
        let quarters = if confirms { 1 } else { 4 << length };
        let Some(found) = run(quarters).filter(|found| (1..=found.high).contains(&found.low))
        else {
            misses += 1;
            if misses == MAX_MISSES {
                return Err(CalibrationError::Absent);
            }
            continue;
        };
        misses = 0;
        if !confirms && !found.are_narrow() {
            length = (length + 1).min(LONGEST);
        }
        let agreed = known.and_then(|(bounds, runs)| Some((bounds.both(found)?, runs + 1)));
        let (bounds, runs) = agreed.unwrap_or((found, 1));
        if runs >= AGREE && bounds.are_narrow() {
            return Ok(bounds.middle());
        }
        known = Some((bounds, runs));
    }
    // On a host that disturbs every run: what the last ones that agreed say together.
    match known {
        Some((bounds, runs)) if runs >= AGREE && bounds.are_usable() => Ok(bounds.middle()),
        _ => Err(CalibrationError::Unsteady),
    }
}
