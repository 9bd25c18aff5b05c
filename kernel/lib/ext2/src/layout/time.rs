//! Times: [`Timestamp`], and how an inode keeps one.
//!
//! An inode has 32 bits of seconds, with a sign. One of more than 128 bytes may have 32 bits
//! more for each time: two that go on above the seconds, and 30 of nanoseconds.

/// A point of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds, less than 1,000,000,000.
    pub nanoseconds: u32,
}

/// The last second that 34 bits hold: in the year 2446.
const LAST_WIDE: i64 = (3 << 32) + i32::MAX as i64;

impl Timestamp {
    /// This time in whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// The time of an inode's two fields; `extra` is `None` if it has but one.
    pub(crate) fn decode(low: u32, extra: Option<u32>) -> Self {
        let extra = extra.unwrap_or(0);
        Self {
            seconds: i64::from(low as i32) + (i64::from(extra & 3) << 32),
            // What is more than a second is garbage.
            nanoseconds: Some(extra >> 2).filter(|nanos| *nanos < 1_000_000_000).unwrap_or(0),
        }
    }

    /// The two fields, the nearest there is: the second is of use if there is room for it.
    pub(crate) fn encode(self, wide: bool) -> (u32, u32) {
        if !wide {
            return (self.narrow(), 0);
        }
        let seconds = self.seconds.clamp(i32::MIN.into(), LAST_WIDE);
        let low = seconds as u32;
        let epoch = ((seconds - i64::from(low as i32)) >> 32) as u32 & 3;
        (low, epoch | self.nanoseconds.min(999_999_999) << 2)
    }

    /// The seconds in 32 bits with a sign, the nearest there are.
    pub(crate) fn narrow(self) -> u32 {
        self.seconds.clamp(i32::MIN.into(), i32::MAX.into()) as u32
    }

    /// The seconds in 32 bits without a sign, as the superblock and deletion times have them.
    pub(crate) fn unsigned(self) -> u32 {
        self.seconds.clamp(0, u32::MAX.into()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wide_times_come_back(
            seconds in i64::from(i32::MIN)..=LAST_WIDE,
            nanoseconds in 0..1_000_000_000u32,
        ) {
            let time = Timestamp { seconds, nanoseconds };
            let (low, extra) = time.encode(true);
            prop_assert_eq!(Timestamp::decode(low, Some(extra)), time);
        }

        #[test]
        fn narrow_times_are_the_nearest(seconds: i64) {
            let (low, _) = Timestamp::from_seconds(seconds).encode(false);
            let nearest = seconds.clamp(i32::MIN.into(), i32::MAX.into());
            prop_assert_eq!(Timestamp::decode(low, None).seconds, nearest);
        }

        #[test]
        fn any_bits_are_a_time(low: u32, extra: u32) {
            prop_assert!(Timestamp::decode(low, Some(extra)).nanoseconds < 1_000_000_000);
        }
    }
}
