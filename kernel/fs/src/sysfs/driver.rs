//! `/sys/bus/NAME/drivers/NAME`: a driver, with links to the devices that it has, and `bind` and
//! `unbind`, to which the name of a device is written that it is to take or leave.

use alloc::sync::Arc;

use abi::{Errno, Result};
use device::{Device, Driver};

use super::bus::by_name;
use super::keys::{OWN, list};
use super::link::ToDevice;
use crate::pseudo::{Directory, Node, Text, TextFile, Visit};
use crate::status::Kind;

/// The directory.
pub(super) struct DriverDirectory(pub(super) &'static dyn Driver);

impl DriverDirectory {
    fn has(&self, device: &Device) -> bool {
        device.driver().is_some_and(|driver| driver.name() == self.0.name())
    }
}

impl Directory for DriverDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let act = |act| Some(Node::Text(Arc::new(Action { driver: self.0, act })));
        Ok(match name {
            "bind" => act(bind),
            "unbind" => act(unbind),
            _ => {
                let device = self.0.bus().device(name).filter(|device| self.has(device));
                device.map(|device| ToDevice::node(&device, 4))
            }
        })
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        for (key, name) in (0..).zip(["bind", "unbind"]).filter(|(key, _)| *key >= from) {
            if visit(key, name, Kind::Regular).is_break() {
                return Ok(());
            }
        }
        let mut devices = self.0.bus().devices();
        devices.retain(|device| self.has(device));
        let keyed = by_name(devices).into_iter().map(|(id, device)| (OWN + id, device));
        list(keyed.collect(), from, visit, |device: &Arc<Device>| (device.name(), Kind::Symlink))
    }
}

fn bind(driver: &'static dyn Driver, device: &Arc<Device>) -> Result<()> {
    device.bind(driver).map_err(|error| {
        log::warn!("{device}: driver {}: {error}", driver.name());
        error.into()
    })
}

fn unbind(driver: &'static dyn Driver, device: &Arc<Device>) -> Result<()> {
    device.unbind(Some(driver)).map_err(Errno::from)
}

/// A file that does something with the device whose name is written to it.
struct Action {
    driver: &'static dyn Driver,
    act: fn(&'static dyn Driver, &Arc<Device>) -> Result<()>,
}

impl TextFile for Action {
    fn show(&self, _: &mut Text) -> Result<()> {
        Err(Errno::EIO)
    }

    fn store(&self, text: &str) -> Result<()> {
        let device = self.driver.bus().device(text.trim()).ok_or(Errno::ENODEV)?;
        (self.act)(self.driver, &device)
    }

    fn mode(&self) -> u32 {
        0o200
    }
}
