//! Sets of CPUs, by number: [`CpuSet`], and [`AtomicCpuSet`], which CPUs share.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use arch::cpu::local::MAX_CPUS;
use static_assertions::const_assert;

// One word holds a set.
const_assert!(MAX_CPUS <= 64);

/// A set of CPU numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(u64);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self(0);
    /// Every CPU that there could be.
    pub const ALL: Self = Self(u64::MAX);

    /// The set with the CPUs whose bits are set in `bits`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit n stands for CPU n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of one CPU, empty if its number is too large.
    pub const fn one(cpu: u32) -> Self {
        if cpu < u64::BITS { Self(1 << cpu) } else { Self(0) }
    }

    /// Whether `cpu` is in it.
    pub const fn contains(self, cpu: u32) -> bool {
        self.0 & Self::one(cpu).0 != 0
    }

    /// Whether no CPU is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many CPUs are in it.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The CPUs in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The CPUs in either.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The lowest number in it.
    pub const fn first(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros()) }
    }

    /// The numbers in it, from the lowest on.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let cpu = Self(rest).first()?;
            rest &= rest - 1;
            Some(cpu)
        })
    }
}

/// As Linux lists CPUs: `0-3,6`.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        while let Some(first) = rest.first() {
            let run = (rest.0 >> first).trailing_ones();
            let last = first + run - 1;
            match run {
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
            rest.0 = rest
                .0
                .checked_shr(last + 1)
                .and_then(|high| high.checked_shl(last + 1))
                .unwrap_or(0);
        }
        Ok(())
    }
}

/// A text that is no set of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACpuSet;

/// A list as Linux reads it: numbers and ranges, with commas between them.
impl core::str::FromStr for CpuSet {
    type Err = NotACpuSet;

    fn from_str(text: &str) -> Result<Self, NotACpuSet> {
        let number = |text: &str| -> Result<u32, NotACpuSet> {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| is_number && *number < u64::BITS);
            number.ok_or(NotACpuSet)
        };
        let mut set = Self::EMPTY;
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(NotACpuSet);
            }
            set = (first..=last).fold(set, |set, cpu| set.or(Self::one(cpu)));
        }
        Ok(set)
    }
}

/// A set that several CPUs change. The orderings are sequential: a CPU that enters a set
/// and then looks at something else is seen by whoever changed that and then looks at the
/// set.
#[derive(Debug, Default)]
pub struct AtomicCpuSet(AtomicU64);

impl AtomicCpuSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The set as it is now.
    pub fn load(&self) -> CpuSet {
        CpuSet(self.0.load(Ordering::SeqCst))
    }

    /// Adds a CPU; whether it was not in it.
    pub fn insert(&self, cpu: u32) -> bool {
        !CpuSet(self.0.fetch_or(CpuSet::one(cpu).0, Ordering::SeqCst)).contains(cpu)
    }

    /// Takes a CPU out; whether it was in it.
    pub fn remove(&self, cpu: u32) -> bool {
        CpuSet(self.0.fetch_and(!CpuSet::one(cpu).0, Ordering::SeqCst)).contains(cpu)
    }

    /// Adds several.
    pub fn insert_all(&self, set: CpuSet) {
        self.0.fetch_or(set.0, Ordering::SeqCst);
    }

    /// Empties the set; what was in it.
    pub fn take(&self) -> CpuSet {
        CpuSet(self.0.swap(0, Ordering::SeqCst))
    }

    /// Makes the set another one.
    pub fn store(&self, set: CpuSet) {
        self.0.store(set.0, Ordering::SeqCst);
    }
}

#[macros::kernel_test]
fn sets_of_cpus_are_listed() {
    use core::fmt::Write;
    for (bits, text) in
        [(0, ""), (1, "0"), (0b1111, "0-3"), (0b101, "0,2"), (u64::MAX, "0-63"), (3 << 62, "62-63")]
    {
        let mut list = arrayvec::ArrayString::<64>::new();
        write!(list, "{}", CpuSet::from_bits(bits)).expect("short");
        assert_eq!(&*list, text);
        let known = if text.is_empty() { Err(NotACpuSet) } else { Ok(CpuSet::from_bits(bits)) };
        assert_eq!(text.parse::<CpuSet>(), known);
        assert_eq!(CpuSet::from_bits(bits).iter().count() as u32, CpuSet::from_bits(bits).len());
    }
    for bad in ["64", "-1", "1-", "-", "2-1", "0,", ",0", "+1", " 1", "1 ", "0-64", "x", "1--2"] {
        assert_eq!(bad.parse::<CpuSet>(), Err(NotACpuSet), "{bad}");
    }
    assert_eq!("1,0-1,3".parse(), Ok(CpuSet::from_bits(0b1011)));
    let set = AtomicCpuSet::new();
    assert!(set.insert(5) && !set.insert(5) && set.load().contains(5));
    assert!(set.remove(5) && !set.remove(5) && set.take().is_empty());
}
