//! `/sys/bus`: a directory for each bus, with `devices`, links to its devices in the tree, and
//! `drivers`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Result;
use device::{Bus, Device, buses};

use super::driver::DriverDirectory;
use super::keys::list;
use super::link::ToDevice;
use crate::pseudo::{Directory, Node, Visit};
use crate::status::Kind;

/// All buses.
pub(super) struct Buses;

impl Directory for Buses {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let found = buses().into_iter().find(|bus| bus.name() == name);
        Ok(found.map(|bus| Node::Directory(Arc::new(BusDirectory(bus)))))
    }

    /// Buses only come: their places in the list are keys.
    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = (0..).zip(buses()).collect();
        list(keyed, from, visit, |bus| (bus.name(), Kind::Directory))
    }
}

/// A bus.
struct BusDirectory(&'static Bus);

impl Directory for BusDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(match name {
            "devices" => Some(Node::Directory(Arc::new(Devices(self.0)))),
            "drivers" => Some(Node::Directory(Arc::new(Drivers(self.0)))),
            _ => None,
        })
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = (0..).zip(["devices", "drivers"]).collect();
        list(keyed, from, visit, |name| (name, Kind::Directory))
    }
}

/// The devices of a bus, each once by its name.
struct Devices(&'static Bus);

impl Directory for Devices {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(self.0.device(name).map(|device| ToDevice::node(&device, 3)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        list(by_name(self.0.devices()), from, visit, |device| (device.name(), Kind::Symlink))
    }
}

/// Devices with their keys; of those with one name the first, which is the one that is found.
pub(super) fn by_name(devices: Vec<Arc<Device>>) -> Vec<(u64, Arc<Device>)> {
    let mut named: Vec<(u64, Arc<Device>)> = Vec::new();
    for device in devices {
        if named.iter().all(|(_, other)| other.name() != device.name()) {
            named.push((device.id(), device));
        }
    }
    named
}

/// The drivers of a bus.
struct Drivers(&'static Bus);

impl Directory for Drivers {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let driver = self.0.driver(name);
        Ok(driver.map(|driver| Node::Directory(Arc::new(DriverDirectory(driver)))))
    }

    /// Drivers only come, too.
    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let keyed = (0..).zip(self.0.drivers()).collect();
        list(keyed, from, visit, |driver| (driver.name(), Kind::Directory))
    }
}
