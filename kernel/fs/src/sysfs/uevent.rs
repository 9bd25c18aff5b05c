//! `uevent` of a device: what Linux tells udev of it, as far as it is known here.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use device::Device;

use crate::pseudo::{Node, Text, TextFile};

/// The file of a device.
pub(super) fn node(device: &Arc<Device>) -> Node {
    Node::Text(Arc::new(Uevent(Arc::downgrade(device))))
}

struct Uevent(Weak<Device>);

impl TextFile for Uevent {
    /// A line `KEY=VALUE` for each: the driver, and what the bus or the class tells.
    fn show(&self, to: &mut Text) -> Result<()> {
        let device = self.0.upgrade().filter(|device| !device.is_gone()).ok_or(Errno::ENODEV)?;
        if let Some(driver) = device.driver() {
            to.write(format_args!("DRIVER={}\n", driver.name()))?;
        }
        // The device does not know why its writing failed.
        device.tell(to).map_err(|_| to.failure().unwrap_or(Errno::ENOMEM))
    }

    fn is_current(&self) -> bool {
        self.0.upgrade().is_some_and(|device| !device.is_gone())
    }
}
