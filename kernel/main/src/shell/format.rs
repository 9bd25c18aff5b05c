//! Numbers in words.

use core::fmt;

/// A number of bytes, in the largest unit that leaves at least one; with one decimal
/// below ten.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 1u64;
        let mut name = "B";
        for next in ["KiB", "MiB", "GiB", "TiB"] {
            if self.0 / unit < 1024 {
                break;
            }
            (unit, name) = (unit << 10, next);
        }
        let whole = self.0 / unit;
        if whole < 10 && unit > 1 && !self.0.is_multiple_of(unit) {
            f.pad(&alloc::format!("{whole}.{} {name}", self.0 % unit * 10 / unit))
        } else {
            f.pad(&alloc::format!("{whole} {name}"))
        }
    }
}

/// How many of something there are, with its name in the singular or the plural.
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, name) = self;
        let ending = match name.ends_with("sh") {
            _ if *count == 1 => "",
            true => "es",
            false => "s",
        };
        write!(f, "{count} {name}{ending}")
    }
}

/// A duration in nanoseconds, in seconds with as many decimals as the format says.
pub(crate) struct Seconds(pub(crate) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(3).min(9);
        let fraction = self.0 % 1_000_000_000 / 10u64.pow(9 - decimals as u32);
        let text = alloc::format!("{}.{fraction:0decimals$} s", self.0 / 1_000_000_000);
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

/// Seconds since 1970, as date and time of day in UTC, to the minute.
pub(crate) struct Date(pub(crate) u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        // The calendar repeats after 400 years.
        let (mut days, mut year) = (self.0 / DAY % 146_097, 1970 + self.0 / DAY / 146_097 * 400);
        loop {
            let length = if is_leap(year) { 366 } else { 365 };
            if days < length {
                break;
            }
            (days, year) = (days - length, year + 1);
        }
        let mut month = 1;
        for length in [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30]
        {
            if days < length {
                break;
            }
            (days, month) = (days - length, month + 1);
        }
        let (hour, minute) = (self.0 % DAY / 3600, self.0 / 60 % 60);
        write!(f, "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}", days + 1)
    }
}

#[base::kernel_test]
fn dates_follow_the_calendar() {
    use alloc::string::ToString;
    for (seconds, text) in [
        (0, "1970-01-01 00:00"),
        (951_782_399, "2000-02-28 23:59"),
        (951_782_400, "2000-02-29 00:00"),
        (951_868_800, "2000-03-01 00:00"),
        (1_735_689_599, "2024-12-31 23:59"),
        (4_107_542_400, "2100-03-01 00:00"),
        (13_569_465_600, "2400-01-01 00:00"),
        (u64::MAX, "584554051223-11-09 07:00"),
    ] {
        assert_eq!(Date(seconds).to_string(), text);
    }
}

#[base::kernel_test]
fn sizes_and_times_in_words() {
    use alloc::string::ToString;
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (20 << 20, "20 MiB"),
        ((20 << 20) + 1, "20 MiB"),
        (u64::MAX, "16777215 TiB"),
    ] {
        assert_eq!(Size(bytes).to_string(), text);
    }
    assert_eq!(alloc::format!("{:>8}", Size(1024)), "   1 KiB");
    assert_eq!(Seconds(1_234_567_890).to_string(), "1.234 s");
    assert_eq!(alloc::format!("{:8.1}", Seconds(90_000_000)), "   0.0 s");
}
