//! [`Bus`]: a way to find devices, with the drivers for them.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use base::sync::SpinLock;

use crate::device::Device;
use crate::driver::Driver;

/// A kind of bus: all of its devices and drivers, wherever the devices are in the tree.
pub struct Bus {
    name: &'static str,
    drivers: SpinLock<Vec<&'static dyn Driver>>,
    devices: SpinLock<Vec<Weak<Device>>>,
}

static BUSES: SpinLock<Vec<&'static Bus>> = SpinLock::new("buses", Vec::new());

impl core::fmt::Debug for Bus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bus({})", self.name)
    }
}

impl PartialEq for Bus {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Bus {
    /// A bus without devices and drivers; see [`register_bus`].
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            drivers: SpinLock::new("drivers of a bus", Vec::new()),
            devices: SpinLock::new("devices of a bus", Vec::new()),
        }
    }

    /// Its name, a file name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its drivers, in the order in which they were registered.
    pub fn drivers(&self) -> Vec<&'static dyn Driver> {
        self.drivers.lock().clone()
    }

    /// The driver of that name.
    pub fn driver(&self, name: &str) -> Option<&'static dyn Driver> {
        self.drivers.lock().iter().copied().find(|driver| driver.name() == name)
    }

    /// Its devices, in the order in which they were added.
    pub fn devices(&self) -> Vec<Arc<Device>> {
        self.devices.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<Arc<Device>> {
        let devices = self.devices.lock();
        devices.iter().filter_map(Weak::upgrade).find(|device| device.name() == name)
    }

    /// Adds a driver; false if one of that name is there.
    pub(crate) fn add_driver(&self, driver: &'static dyn Driver) -> bool {
        let mut drivers = self.drivers.lock();
        let is_new = drivers.iter().all(|known| known.name() != driver.name());
        if is_new {
            drivers.push(driver);
        }
        is_new
    }

    /// Adds a device; false without memory for that.
    pub(crate) fn add_device(&self, device: &Arc<Device>) -> bool {
        let mut devices = self.devices.lock();
        let has_room = devices.try_reserve(1).is_ok();
        if has_room {
            devices.push(Arc::downgrade(device));
        }
        has_room
    }

    pub(crate) fn remove_device(&self, device: &Device) {
        self.devices.lock().retain(|known| !core::ptr::eq(known.as_ptr(), device));
    }
}

/// Makes a bus known, which may have devices and drivers already. A second time does nothing.
pub fn register_bus(bus: &'static Bus) {
    let mut buses = BUSES.lock();
    if buses.iter().all(|known| *known != bus) {
        buses.push(bus);
    }
}

/// All buses that are known.
pub fn buses() -> Vec<&'static Bus> {
    BUSES.lock().clone()
}
