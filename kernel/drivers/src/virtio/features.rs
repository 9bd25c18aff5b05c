//! What devices offer and drivers take: [`Features`], by bit and by name (VirtIO 1.2, section
//! 2.2, 6 and those of the devices); [`DeviceType`] (section 5).

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// A set of feature bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceType(pub u16);

/// The name of a feature, by its bit.
type Name = (u32, &'static str);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);
    /// A descriptor may stand for a table of descriptors.
    pub const INDIRECT_DESC: Self = Self::bit(28);
    /// Notifications and interrupts are asked for by index.
    pub const EVENT_IDX: Self = Self::bit(29);
    /// The device follows VirtIO 1.0 or later, not what was before.
    pub const VERSION_1: Self = Self::bit(32);

    /// The device reaches memory as the platform says: behind an IOMMU, by its addresses.
    pub const ACCESS_PLATFORM: Self = Self::bit(33);

    /// The set of one bit, 0 to 63.
    pub const fn bit(bit: u32) -> Self {
        Self(1 << bit)
    }

    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// All that are in one of both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in this.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Its names for devices of a type, with blanks between them; `-` if there are none.
    pub fn of(self, device: DeviceType) -> impl fmt::Display {
        Names { features: self, device }
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

struct Names {
    features: Features,
    device: DeviceType,
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.features == Features::NONE {
            return f.write_str("-");
        }
        let mut separator = "";
        for bit in (0..u64::BITS).filter(|&bit| self.features.has(Features::bit(bit))) {
            let mut names = self.device.feature_names().iter().chain(COMMON);
            match names.find(|name| name.0 == bit) {
                Some((_, name)) => write!(f, "{separator}{name}")?,
                None => write!(f, "{separator}bit-{bit}")?,
            }
            separator = " ";
        }
        Ok(())
    }
}

impl DeviceType {
    /// A network card.
    pub const NETWORK: Self = Self(1);
    /// A disk.
    pub const BLOCK: Self = Self(2);
    /// A console, or several.
    pub const CONSOLE: Self = Self(3);
    /// A source of random numbers.
    pub const ENTROPY: Self = Self(4);
    /// A memory balloon.
    pub const BALLOON: Self = Self(5);

    /// What it is, in words.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NETWORK => "network card",
            Self::BLOCK => "disk",
            Self::CONSOLE => "console",
            Self::ENTROPY => "random numbers",
            Self::BALLOON => "memory balloon",
            Self(8) => "SCSI host",
            Self(9) => "9P transport",
            Self(16) => "GPU",
            Self(18) => "input",
            Self(19) => "socket",
            Self(20) => "cryptography",
            Self(23) => "IOMMU",
            Self(24) => "memory",
            Self(25) => "sound",
            Self(26) => "file system",
            Self(27) => "persistent memory",
            _ => return None,
        })
    }

    fn feature_names(self) -> &'static [Name] {
        match self {
            Self::NETWORK => NETWORK,
            Self::BLOCK => BLOCK,
            Self::CONSOLE => CONSOLE,
            Self::BALLOON => BALLOON,
            _ => &[],
        }
    }
}

impl fmt::Display for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "device type {}", self.0),
        }
    }
}

/// Section 6, and 6.3 for those of old devices.
const COMMON: &[Name] = &[
    (24, "notify-on-empty"),
    (27, "any-layout"),
    (28, "indirect-desc"),
    (29, "event-idx"),
    (32, "version-1"),
    (33, "access-platform"),
    (34, "ring-packed"),
    (35, "in-order"),
    (36, "order-platform"),
    (37, "sr-iov"),
    (38, "notification-data"),
    (39, "notif-config-data"),
    (40, "ring-reset"),
];

/// Section 5.1.3.
const NETWORK: &[Name] = &[
    (0, "csum"),
    (1, "guest-csum"),
    (2, "ctrl-guest-offloads"),
    (3, "mtu"),
    (5, "mac"),
    (6, "gso"),
    (7, "guest-tso4"),
    (8, "guest-tso6"),
    (9, "guest-ecn"),
    (10, "guest-ufo"),
    (11, "host-tso4"),
    (12, "host-tso6"),
    (13, "host-ecn"),
    (14, "host-ufo"),
    (15, "mrg-rxbuf"),
    (16, "status"),
    (17, "ctrl-vq"),
    (18, "ctrl-rx"),
    (19, "ctrl-vlan"),
    (20, "ctrl-rx-extra"),
    (21, "guest-announce"),
    (22, "mq"),
    (23, "ctrl-mac-addr"),
    (57, "hash-report"),
    (59, "guest-hdrlen"),
    (60, "rss"),
    (61, "rsc-ext"),
    (62, "standby"),
    (63, "speed-duplex"),
];

/// Section 5.2.3.
const BLOCK: &[Name] = &[
    (0, "barrier"),
    (1, "size-max"),
    (2, "seg-max"),
    (4, "geometry"),
    (5, "ro"),
    (6, "blk-size"),
    (7, "scsi"),
    (9, "flush"),
    (10, "topology"),
    (11, "config-wce"),
    (12, "mq"),
    (13, "discard"),
    (14, "write-zeroes"),
    (15, "lifetime"),
    (16, "secure-erase"),
    (17, "zoned"),
];

/// Section 5.3.3.
const CONSOLE: &[Name] = &[(0, "size"), (1, "multiport"), (2, "emerg-write")];

/// Section 5.5.3.
const BALLOON: &[Name] = &[
    (0, "must-tell-host"),
    (1, "stats-vq"),
    (2, "deflate-on-oom"),
    (3, "free-page-hint"),
    (4, "page-poison"),
    (5, "page-reporting"),
];

#[cfg(not(test))]
#[base::kernel_test]
fn features_have_names() {
    use alloc::string::ToString;
    let some = Features::VERSION_1 | Features::bit(5) | Features::bit(22);
    assert_eq!(some.of(DeviceType::NETWORK).to_string(), "mac mq version-1");
    assert_eq!(some.of(DeviceType::BLOCK).to_string(), "ro bit-22 version-1");
    assert_eq!(Features::NONE.of(DeviceType::BLOCK).to_string(), "-");
    assert!(some.has(Features::VERSION_1) && !some.has(Features::VERSION_1 | Features::bit(0)));
    assert_eq!(some.without(Features::VERSION_1).bits(), 1 << 5 | 1 << 22);
}
