//! Names and numbers of disks and partitions: the names as Linux gives them, and the numbers of
//! the first 16 disks of a kind.
//!
//! | disks | major | minors |
//! |---|---|---|
//! | `ramN` | 1 | one each |
//! | `sdX` | 8 | 16 each: the disk and 15 partitions |
//! | `vdX` | 254 | 16 each |
//! | others, and what does not fit above | 259 | as they come |
//!
//! Linux gives `vdX` a major number that is free, from 254 downwards, so that programs do not
//! count on one; 259 is its `BLOCK_EXT_MAJOR` (`Documentation/admin-guide/devices.txt`).
//!
//! From the 17th disk of a kind on the numbers are not Linux's, which goes on with majors 65 to 71
//! and 128 to 135 for `sdX`, and with minors from 256 on for `vdX`: here they come from 259.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use memory::OutOfMemory;

use super::disk::Disk;
use super::limits::SECTOR;

/// A device number: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The kind of device.
    pub major: u32,
    /// The device among those of its kind.
    pub minor: u32,
}

impl DeviceNumber {
    /// As Linux encodes it in `st_rdev` (`makedev` of the C library).
    pub const fn encoded(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Minors of a disk with a range of them: itself and 15 partitions.
const MINORS: u32 = 16;
/// Disks of one kind that have such a range: 256 minors.
const RANGES: u32 = 16;
/// Where everything else is.
const EXTENDED: u32 = 259;

fn major_of(prefix: &str) -> Option<u32> {
    match prefix {
        "sd" => Some(8),
        "vd" => Some(254),
        _ => None,
    }
}

/// A disk that has a name.
struct Named {
    name: String,
    /// Its place among those with its prefix.
    place: Option<(&'static str, u32)>,
    number: DeviceNumber,
}

/// The names and numbers that are given out.
pub(super) struct Numbers {
    named: Vec<Named>,
    /// Minors of [`EXTENDED`] that partitions have.
    parts: Vec<u32>,
}

impl Numbers {
    pub(super) const fn new() -> Self {
        Self { named: Vec::new(), parts: Vec::new() }
    }

    /// The first name with `prefix` that is free.
    pub(super) fn take_lettered(
        &mut self,
        prefix: &'static str,
    ) -> Result<(String, DeviceNumber), OutOfMemory> {
        let places = || {
            let placed = self.named.iter().filter_map(|named| named.place);
            placed.filter(|(with, _)| *with == prefix).map(|(_, place)| place)
        };
        let place = first_free(places);
        let number = match major_of(prefix) {
            Some(major) if place < RANGES => DeviceNumber { major, minor: place * MINORS },
            _ => self.extended(),
        };
        let name = format!("{prefix}{}", Letters(place));
        self.enter(name, Some((prefix, place)), number)
    }

    /// A number for `name`, which is free.
    pub(super) fn take_fixed(&mut self, name: &str) -> Result<(String, DeviceNumber), OutOfMemory> {
        let ram = name.strip_prefix("ram").and_then(|number| number.parse().ok());
        let number = match ram {
            Some(minor @ 0..256) => DeviceNumber { major: 1, minor },
            _ => self.extended(),
        };
        self.enter(name.to_string(), None, number)
    }

    fn enter(
        &mut self,
        name: String,
        place: Option<(&'static str, u32)>,
        number: DeviceNumber,
    ) -> Result<(String, DeviceNumber), OutOfMemory> {
        self.named.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.named.push(Named { name: name.clone(), place, number });
        Ok((name, number))
    }

    /// A disk has no name any more.
    pub(super) fn free(&mut self, name: &str) {
        self.named.retain(|named| named.name != name);
    }

    /// The number of partition `part` of the disk `name` with number `whole`.
    pub(super) fn of_partition(
        &mut self,
        whole: DeviceNumber,
        name: &str,
        part: u32,
    ) -> DeviceNumber {
        let has_range = self.named.iter().any(|named| named.name == name && named.place.is_some());
        if has_range && whole.major != EXTENDED && part < MINORS {
            return DeviceNumber { major: whole.major, minor: whole.minor + part };
        }
        let number = self.extended();
        self.parts.push(number.minor);
        number
    }

    /// A partition has its number no more.
    pub(super) fn free_partition(&mut self, number: DeviceNumber) {
        if number.major == EXTENDED {
            self.parts.retain(|&minor| minor != number.minor);
        }
    }

    /// The first number of [`EXTENDED`] that is free.
    fn extended(&self) -> DeviceNumber {
        let minors = || {
            let numbers = self.named.iter().map(|named| named.number);
            let disks = numbers.filter(|number| number.major == EXTENDED);
            self.parts.iter().copied().chain(disks.map(|number| number.minor))
        };
        DeviceNumber { major: EXTENDED, minor: first_free(minors) }
    }
}

/// The lowest number that is not among those in use, each of which comes once. Of a range in which
/// one is free, the lower half has one if fewer are in use there than it has numbers.
fn first_free<I: Iterator<Item = u32>>(used: impl Fn() -> I) -> u32 {
    let (mut low, mut len) = (0, (used().count() as u32 + 1).next_power_of_two());
    while len > 1 {
        len /= 2;
        let lower = low..low + len;
        if used().filter(|number| lower.contains(number)).count() as u32 == len {
            low += len;
        }
    }
    low
}

/// The letters of a disk: a to z, aa to zz, aaa …
struct Letters(u32);

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, last) = (self.0 / 26, (self.0 % 26) as u8);
        if let Some(before) = before.checked_sub(1) {
            Self(before).fmt(f)?;
        }
        fmt::Write::write_char(f, char::from(b'a' + last))
    }
}

/// The name of a partition: with a `p` between if the disk's name ends in a digit.
pub(super) fn of_partition(disk: &str, number: u32) -> String {
    let between = if disk.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{between}{number}")
}

/// The line with which a disk is introduced in the log.
pub(super) struct Introduction<'a>(pub(super) &'a Disk);

impl fmt::Display for Introduction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.0;
        let mib = disk.sectors() / ((1 << 20) / SECTOR);
        write!(f, "{}: {} sectors, {mib} MiB", disk.name(), disk.sectors())?;
        if disk.limits().logical_block != SECTOR as u32 {
            write!(f, ", blocks of {}", disk.limits().logical_block)?;
        }
        if disk.is_read_only() {
            f.write_str(", read-only")?;
        }
        let (queues, depth) = disk.queues();
        write!(f, ", {queues} × {depth} requests")?;
        let identity = disk.identity();
        for text in [&identity.model, &identity.serial] {
            if !text.is_empty() {
                write!(f, ", {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(not(test))]
#[base::kernel_test]
fn disks_have_the_names_of_linux_and_numbers_of_their_own() {
    let mut numbers = Numbers::new();
    let number = |major, minor| DeviceNumber { major, minor };
    let mut take = |prefix| numbers.take_lettered(prefix).expect("memory");
    assert_eq!(take("vd"), ("vda".into(), number(254, 0)));
    assert_eq!(take("vd"), ("vdb".into(), number(254, 16)));
    assert_eq!(take("sd"), ("sda".into(), number(8, 0)));
    let last = (2..703).map(|_| take("vd")).last();
    assert_eq!(last, Some(("vdaaa".into(), number(259, 686))));
    numbers.free("vdb");
    assert_eq!(numbers.take_lettered("vd").expect("memory").0, "vdb");
    let nvme = numbers.take_fixed("nvme0n1").expect("memory").1;
    assert_eq!(nvme, number(259, 687));
    assert_eq!(numbers.of_partition(nvme, "nvme0n1", 1), number(259, 688));
    assert_eq!(numbers.of_partition(number(8, 0), "sda", 15), number(8, 15));
    assert_eq!(numbers.of_partition(number(8, 0), "sda", 16), number(259, 689));
    assert_eq!(numbers.take_fixed("ram3").expect("memory").1, number(1, 3));
    assert_eq!(of_partition("vda", 1), "vda1");
    assert_eq!(of_partition("nvme0n1", 12), "nvme0n1p12");
    assert_eq!(number(259, 300).encoded(), 0x0011_032c);
}
