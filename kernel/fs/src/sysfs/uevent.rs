//! `uevent` of a device: what Linux tells udev of it, as far as it is known here.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use device::Device;
use device::block::Volume;

use crate::pseudo::{Node, Text, TextFile};

/// The file of a device.
pub(super) fn node(device: &Arc<Device>) -> Node {
    Node::Text(Arc::new(Uevent(Arc::downgrade(device))))
}

struct Uevent(Weak<Device>);

impl TextFile for Uevent {
    /// A line `KEY=VALUE` for each: numbers, name and type of a block device, the driver.
    fn show(&self, to: &mut Text) -> Result<()> {
        let device = self.0.upgrade().filter(|device| !device.is_gone()).ok_or(Errno::ENODEV)?;
        if let Some(volume) = device.identity::<Arc<Volume>>() {
            let number = volume.number();
            let kind = if volume.partition().is_some() { "partition" } else { "disk" };
            to.write(format_args!("MAJOR={}\nMINOR={}\n", number.major, number.minor))?;
            to.write(format_args!("DEVNAME={}\nDEVTYPE={kind}\n", volume.name()))?;
        }
        if let Some(driver) = device.driver() {
            to.write(format_args!("DRIVER={}\n", driver.name()))?;
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.0.upgrade().is_some_and(|device| !device.is_gone())
    }
}
