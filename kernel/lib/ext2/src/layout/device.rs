//! Numbers of device nodes: [`DeviceNumber`], and how an inode keeps one.
//!
//! The first block pointer holds a number of 8 and 8 bits; if it is 0, the second holds one
//! of 12 and 20 bits, as Linux writes it.

/// A device: major and minor number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Says which driver; 12 bits.
    pub major: u32,
    /// Says which of its devices; 20 bits.
    pub minor: u32,
}

impl DeviceNumber {
    /// The device of two block pointers.
    pub(crate) fn decode(old: u32, new: u32) -> Self {
        if old != 0 {
            Self { major: old >> 8 & 0xff, minor: old & 0xff }
        } else {
            Self { major: new >> 8 & 0xfff, minor: new & 0xff | new >> 12 & 0xf_ff00 }
        }
    }

    /// The two block pointers; `None` if a number has too many bits.
    pub(crate) fn encode(self) -> Option<[u32; 2]> {
        let Self { major, minor } = self;
        if major > 0xfff || minor > 0xf_ffff {
            None
        } else if major <= 0xff && minor <= 0xff {
            Some([major << 8 | minor, 0])
        } else {
            Some([0, major << 8 | minor & 0xff | (minor & 0xf_ff00) << 12])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_come_back() {
        for (major, minor, coded) in [
            (1, 3, Some([0x103, 0])),
            (255, 255, Some([0xffff, 0])),
            (256, 0, Some([0, 0x1_0000])),
            (8, 256, Some([0, 0x10_0800])),
            (4095, 0xf_ffff, Some([0, 0xffff_ffff])),
            (0, 0, Some([0, 0])),
            (4096, 0, None),
            (0, 0x10_0000, None),
        ] {
            let device = DeviceNumber { major, minor };
            assert_eq!(device.encode(), coded);
            if let Some([old, new]) = coded {
                assert_eq!(DeviceNumber::decode(old, new), device);
            }
        }
    }
}
