//! Where the registers are: the vendor's capabilities of a function (VirtIO 1.2, section 4.1.4).

use pci_config::{BarKind, ConfigSpace, capability_id};

use crate::pci::{BarInfo, Function};

// Offsets in a capability.
const LENGTH: u16 = 2;
const KIND: u16 = 3;
const BAR: u16 = 4;
const OFFSET: u16 = 8;
const BYTES: u16 = 12;
const NOTIFY_MULTIPLIER: u16 = 16;

/// Bytes of a capability, and of one for notifications.
const LEAST_LENGTH: u8 = 16;
const NOTIFY_LENGTH: u8 = 20;

const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const ISR: u8 = 3;
const DEVICE: u8 = 4;

/// A range of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// In which base address register's range.
    pub(super) bar: u8,
    /// Where it begins there, in bytes.
    pub(super) offset: u32,
    /// How many bytes.
    pub(super) bytes: u32,
}

/// The ranges of a modern device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) common: Region,
    pub(super) notify: Region,
    /// Bytes between the places for notifications.
    pub(super) notify_multiplier: u32,
    pub(super) isr: Region,
    /// The device's own configuration; not all have one.
    pub(super) device: Option<Region>,
}

impl Regions {
    /// The ranges of a function; `None` if it has no modern interface. Of several of a kind the
    /// first in memory is taken, since the device puts what it prefers first.
    pub(super) fn find(function: &Function) -> Option<Self> {
        let in_memory = |bar: u8| {
            let info = function.bar(usize::from(bar));
            matches!(info, BarInfo::Present { kind: BarKind::Memory { .. }, .. })
        };
        let vendors = function.capabilities().iter().filter(|one| one.id == capability_id::VENDOR);
        Self::among(function.config(), vendors.map(|one| u16::from(one.offset)), in_memory)
    }

    fn among(
        config: &impl ConfigSpace,
        capabilities: impl Iterator<Item = u16>,
        in_memory: impl Fn(u8) -> bool,
    ) -> Option<Self> {
        let (mut common, mut notify, mut isr, mut device) = (None, None, None, None);
        for at in capabilities {
            let (length, kind) = (config.read_u8(at + LENGTH), config.read_u8(at + KIND));
            let region = Region {
                bar: config.read_u8(at + BAR),
                offset: config.read(at + OFFSET),
                bytes: config.read(at + BYTES),
            };
            // Of bars past the last one nothing is known yet: they are to be ignored.
            if length < LEAST_LENGTH || region.bar > 5 || !in_memory(region.bar) {
                continue;
            }
            match kind {
                COMMON => common = common.or(Some(region)),
                NOTIFY if length >= NOTIFY_LENGTH => {
                    notify = notify.or(Some((region, config.read(at + NOTIFY_MULTIPLIER))));
                }
                ISR => isr = isr.or(Some(region)),
                DEVICE => device = device.or(Some(region)),
                _ => {}
            }
        }
        let (notify, notify_multiplier) = notify?;
        Some(Self { common: common?, notify, notify_multiplier, isr: isr?, device })
    }
}

#[cfg(not(test))]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// A configuration space of which only capabilities matter.
    struct Bytes(Vec<u8>);

    impl ConfigSpace for Bytes {
        fn read(&self, offset: u16) -> u32 {
            let bytes = self.0.get(usize::from(offset)..).and_then(|rest| rest.first_chunk());
            bytes.map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
        }

        fn is_extended(&self) -> bool {
            false
        }
    }

    fn space(capabilities: &[(u8, u8, u8, u32, u32, u32)]) -> (Bytes, Vec<u16>) {
        let mut bytes = vec![0; 0x40];
        let mut offsets = Vec::new();
        for &(length, kind, bar, offset, size, multiplier) in capabilities {
            offsets.push(bytes.len() as u16);
            bytes.extend([capability_id::VENDOR, 0, length, kind, bar, 0, 0, 0]);
            bytes.extend([offset, size, multiplier].map(u32::to_le_bytes).as_flattened());
        }
        (Bytes(bytes), offsets)
    }

    #[base::kernel_test]
    fn the_first_usable_range_of_each_kind_is_taken() {
        let all = [
            (16, 5, 0, 0, 4, 0),         // access through configuration space: not used
            (20, 2, 0, 0, 4, 0),         // notifications by ports
            (16, 1, 7, 0, 0x38, 0),      // a bar that means nothing yet
            (16, 1, 4, 0, 0x1000, 0),    // common
            (12, 3, 4, 0x10, 1, 0),      // too short
            (16, 3, 4, 0x1000, 1, 0),    // interrupt status
            (16, 4, 4, 0x2000, 0x20, 0), // the device's own
            (16, 4, 4, 0x9000, 0x20, 0),
            (16, 2, 4, 0, 4, 0), // too short for notifications
            (20, 2, 4, 0x3000, 0x1000, 4),
        ];
        let (config, offsets) = space(&all);
        let find =
            |offsets: &[u16]| Regions::among(&config, offsets.iter().copied(), |bar| bar == 4);
        let region = |offset, bytes| Region { bar: 4, offset, bytes };
        let expected = Regions {
            common: region(0, 0x1000),
            notify: region(0x3000, 0x1000),
            notify_multiplier: 4,
            isr: region(0x1000, 1),
            device: Some(region(0x2000, 0x20)),
        };
        assert_eq!(find(&offsets), Some(expected));
        assert_eq!(find(&offsets[..9]), None, "no notifications");
        assert_eq!(find(&[]), None);
        let without_device: Vec<u16> =
            [3, 5, 9].iter().map(|&index: &usize| offsets[index]).collect();
        assert_eq!(find(&without_device), Some(Regions { device: None, ..expected }));
    }
}
