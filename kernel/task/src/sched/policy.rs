//! Who runs before whom: [`Policy`] and the order in a run queue, [`Rank`].
//!
//! Real-time tasks come before fair ones, by priority; among equals first come, first
//! served. Fair tasks are ordered by virtual run time: nanoseconds on a CPU, times the
//! weight of nice 0, divided by the task's own weight. Each nice level is about a quarter
//! more or less CPU.

use core::fmt;

/// Weight of nice 0.
pub(crate) const NICE_0_WEIGHT: u64 = 1024;

/// Weights of nice -20 to 19: neighbours differ by 1.25, so that one level is about a tenth
/// of the CPU when two tasks compete. Computed as 1024 / 1.25^nice.
pub(crate) const WEIGHTS: [u64; 40] = weights();

const fn weights() -> [u64; 40] {
    let mut table = [0; 40];
    let mut nice = 0;
    while nice < 20 {
        // 1.25^n as 5^n / 4^n, in 128 bits: 5^20 times 1024 fits.
        let (mut five, mut four) = (1u128, 1u128);
        let mut n = 0;
        while n < nice {
            five *= 5;
            four *= 4;
            n += 1;
        }
        table[20 + nice] = (NICE_0_WEIGHT as u128 * four / five) as u64;
        if nice > 0 {
            table[20 - nice] = (NICE_0_WEIGHT as u128 * five / four) as u64;
        }
        nice += 1;
    }
    let (five, four) = (5u128.pow(20), 4u128.pow(20));
    table[0] = (NICE_0_WEIGHT as u128 * five / four) as u64;
    table
}

/// How a task shares the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By virtual run time; nice from -20 (most) to 19 (least).
    Fair {
        /// Nice value; others are taken as the nearest.
        nice: i8,
    },
    /// Until it sleeps or yields. Priority 1 (lowest) to 99.
    Fifo {
        /// Priority; others are taken as the nearest.
        priority: u8,
    },
    /// As `Fifo`, but equals take turns of a slice.
    RoundRobin {
        /// Priority; others are taken as the nearest.
        priority: u8,
    },
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fair { nice } => write!(f, "nice {nice}"),
            Self::Fifo { priority } => write!(f, "fifo {priority}"),
            Self::RoundRobin { priority } => write!(f, "rr {priority}"),
        }
    }
}

impl Policy {
    /// What a task starts with.
    pub const NORMAL: Self = Self::Fair { nice: 0 };

    /// In one word, for an atomic.
    pub(crate) const fn encode(self) -> u32 {
        match self {
            Self::Fair { nice } => clamp_nice(nice) as u8 as u32,
            Self::Fifo { priority } => 1 << 8 | clamp_priority(priority) as u32,
            Self::RoundRobin { priority } => 2 << 8 | clamp_priority(priority) as u32,
        }
    }

    pub(crate) const fn decode(word: u32) -> Self {
        match word >> 8 {
            0 => Self::Fair { nice: word as u8 as i8 },
            1 => Self::Fifo { priority: word as u8 },
            _ => Self::RoundRobin { priority: word as u8 },
        }
    }

    pub(crate) fn weight(self) -> u64 {
        match self {
            Self::Fair { nice } => WEIGHTS[(clamp_nice(nice) + 20) as usize],
            _ => NICE_0_WEIGHT,
        }
    }

    /// Whether the task is of the real-time class.
    pub const fn is_real_time(self) -> bool {
        !matches!(self, Self::Fair { .. })
    }

    /// 0 for the highest real-time priority, [`FAIR_CLASS`] for fair tasks.
    pub(crate) const fn class(self) -> u8 {
        match self {
            Self::Fair { .. } => FAIR_CLASS,
            Self::Fifo { priority } | Self::RoundRobin { priority } => {
                99 - clamp_priority(priority)
            }
        }
    }
}

const fn clamp_nice(nice: i8) -> i8 {
    if nice < -20 {
        -20
    } else if nice > 19 {
        19
    } else {
        nice
    }
}

const fn clamp_priority(priority: u8) -> u8 {
    if priority < 1 {
        1
    } else if priority > 99 {
        99
    } else {
        priority
    }
}

/// The class of fair tasks, behind all real-time ones.
pub(crate) const FAIR_CLASS: u8 = 100;

/// A place in a run queue: class, then virtual run time or turn, then the task's number.
pub(crate) type Rank = (u8, u64, u64);

#[base::kernel_test]
fn policies_fit_into_a_word() {
    for policy in [
        Policy::Fair { nice: -20 },
        Policy::NORMAL,
        Policy::Fair { nice: 19 },
        Policy::Fifo { priority: 1 },
        Policy::RoundRobin { priority: 99 },
    ] {
        assert_eq!(Policy::decode(policy.encode()), policy);
    }
    assert_eq!(Policy::Fair { nice: 100 }.weight(), Policy::Fair { nice: 19 }.weight());
    assert!(Policy::Fifo { priority: 50 }.class() < Policy::Fifo { priority: 49 }.class());
    assert!(WEIGHTS.is_sorted_by(|a, b| a > b), "{WEIGHTS:?}");
}
