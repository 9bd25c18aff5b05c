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
