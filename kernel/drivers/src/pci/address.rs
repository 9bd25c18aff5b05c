//! [`Address`]: where a PCI function is.

use core::fmt;

/// Segment, bus, device and function, which together name one PCI function. Written as Linux
/// does: `0000:00:1f.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A machine's PCI buses come in segments of up to 256; nearly all machines have one, 0.
    pub segment: u16,
    /// Bus in the segment.
    pub bus: u8,
    /// Device on the bus, up to 31.
    pub device: u8,
    /// Function of the device, up to 7.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, bus, device, function } = self;
        write!(f, "{segment:04x}:{bus:02x}:{device:02x}.{function}")
    }
}

#[base::kernel_test]
fn addresses_are_written_as_linux_does() {
    let address = Address { segment: 1, bus: 0xa0, device: 31, function: 7 };
    assert_eq!(alloc::format!("{address}"), "0001:a0:1f.7");
}
