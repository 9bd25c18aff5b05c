//! What the registers of a controller say (section 3.1).

use core::fmt;

/// The bits of `value` from `first` on, `count` of them.
const fn field(value: u64, first: u32, count: u32) -> u64 {
    (value >> first) & ((1 << count) - 1)
}

/// CAP: what a controller can do (section 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Most entries of a queue, 2 to 65536.
    pub const fn queue_entries(self) -> u32 {
        field(self.0, 0, 16) as u32 + 1
    }

    /// Nanoseconds within which it becomes ready, or stops being it.
    pub const fn timeout_ns(self) -> u64 {
        // Units of half a second; 0 is no sensible promise.
        let units = field(self.0, 24, 8);
        (if units == 0 { 1 } else { units }) * 500_000_000
    }

    /// Bytes from one doorbell to the next.
    pub const fn doorbell_stride(self) -> usize {
        4 << field(self.0, 32, 4)
    }

    /// Whether it has the commands for blocks.
    pub const fn has_nvm_commands(self) -> bool {
        field(self.0, 37, 1) != 0
    }

    /// Whether memory may be in pages of 4 KiB.
    pub const fn has_small_pages(self) -> bool {
        field(self.0, 48, 4) == 0
    }
}

/// How a controller is asked to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Not at all.
    No = 0,
    /// In order.
    Normal = 1,
}

/// CC: how a controller is to work (section 3.1.5): with pages of 4 KiB, commands for blocks,
/// round robin, entries of 64 and 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Whether it works.
    pub enable: bool,
    /// Whether it is to shut down.
    pub shutdown: Shutdown,
}

impl Configuration {
    /// The controller works.
    pub const ON: Self = Self { enable: true, shutdown: Shutdown::No };
    /// It does not: a reset.
    pub const OFF: Self = Self { enable: false, shutdown: Shutdown::No };
    /// It works, and is to get ready to be switched off.
    pub const SHUT_DOWN: Self = Self { enable: true, shutdown: Shutdown::Normal };

    /// The register's value.
    pub const fn bits(self) -> u32 {
        // Entries of 2^6 and 2^4 bytes.
        self.enable as u32 | (self.shutdown as u32) << 14 | 6 << 16 | 4 << 20
    }
}

/// CSTS: how a controller is (section 3.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerStatus(pub u32);

impl ControllerStatus {
    /// It takes commands.
    pub const fn is_ready(self) -> bool {
        self.0 & 1 != 0
    }

    /// It has failed, and needs a reset.
    pub const fn is_fatal(self) -> bool {
        self.0 & 2 != 0
    }

    /// It has shut down.
    pub const fn is_shut_down(self) -> bool {
        (self.0 >> 2) & 3 == 2
    }

    /// It is not there any more: nobody answers on the bus.
    pub const fn is_gone(self) -> bool {
        self.0 == u32::MAX
    }
}

/// VS: the version of the specification that a controller follows (section 3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// 1.1, from which on there is a list of namespaces.
    pub const V1_1: Self = Self(0x0001_0100);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [third, minor, major_low, major_high] = self.0.to_le_bytes();
        let major = u16::from_le_bytes([major_low, major_high]);
        write!(f, "{major}.{minor}")?;
        if third != 0 { write!(f, ".{third}") } else { Ok(()) }
    }
}
