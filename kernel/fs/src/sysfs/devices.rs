//! `/sys/devices`: the tree of devices. The directory of a device has its attributes, its
//! children, `uevent`, and links to its driver and to what it is one of (`subsystem`).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use device::{Attribute, Device};

use super::attribute::AttributeFile;
use super::keys::{CHILDREN, OWN, list, of_name};
use super::{link, uevent};
use crate::pseudo::{Directory, Link, Node, Visit};
use crate::status::Kind;
use crate::vfs::LinkTarget;

/// The devices below the root of the tree.
pub(super) struct Top;

impl Directory for Top {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        Ok(device::root().child(name).map(|device| DeviceDirectory::node(&device)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let children = device::root().children();
        let keyed = children.into_iter().map(|child| (child.id(), child)).collect();
        list(keyed, from, visit, |child: &Arc<Device>| (child.name(), Kind::Directory))
    }
}

/// The directory of a device.
pub(super) struct DeviceDirectory(Weak<Device>);

/// An entry.
enum Entry {
    Attribute(Arc<Attribute>),
    Own(&'static str, Kind),
    Child(Arc<Device>),
}

impl DeviceDirectory {
    fn node(device: &Arc<Device>) -> Node {
        Node::Directory(Arc::new(Self(Arc::downgrade(device))))
    }

    fn device(&self) -> Result<Arc<Device>> {
        self.0.upgrade().filter(|device| !device.is_gone()).ok_or(Errno::ENOENT)
    }
}

/// Whether it is one of something that sysfs has a directory for.
fn has_subsystem(device: &Device) -> bool {
    device.bus().is_some() || device.class().is_some()
}

impl Directory for DeviceDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let device = self.device()?;
        if let Some(attribute) = device.attribute(name) {
            return Ok(Some(AttributeFile::node(&device, attribute)));
        }
        Ok(match name {
            "uevent" => Some(uevent::node(&device)),
            "driver" if device.driver().is_some() => Some(ToDriver::node(&device)),
            "subsystem" if has_subsystem(&device) => Some(ToSubsystem::node(&device)),
            _ => device.child(name).map(|child| Self::node(&child)),
        })
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let device = self.device()?;
        let attributes = device.attributes();
        let mut entries: Vec<(u64, Entry)> = Vec::new();
        let children = device.children();
        entries.try_reserve(attributes.len() + children.len() + 3).map_err(|_| Errno::ENOMEM)?;
        for attribute in attributes {
            entries.push((of_name(attribute.name()), Entry::Attribute(attribute)));
        }
        let own = [
            ("uevent", Kind::Regular, true),
            ("driver", Kind::Symlink, device.driver().is_some()),
            ("subsystem", Kind::Symlink, has_subsystem(&device)),
        ];
        for (key, (name, kind, _)) in (OWN..).zip(own).filter(|(_, (.., there))| *there) {
            // An attribute of the device itself comes before.
            if device.attribute(name).is_none() {
                entries.push((key, Entry::Own(name, kind)));
            }
        }
        for child in children {
            entries.push((CHILDREN + child.id(), Entry::Child(child)));
        }
        list(entries, from, visit, |entry| match entry {
            Entry::Attribute(attribute) => (attribute.name(), Kind::Regular),
            Entry::Own(name, kind) => (name, *kind),
            Entry::Child(child) => (child.name(), Kind::Directory),
        })
    }

    fn is_current(&self) -> bool {
        self.device().is_ok()
    }
}

/// `driver`: to the directory of the driver that has the device.
struct ToDriver(Weak<Device>);

impl ToDriver {
    fn node(device: &Arc<Device>) -> Node {
        Node::Link(Arc::new(Self(Arc::downgrade(device))))
    }
}

impl Link for ToDriver {
    fn target(&self) -> Result<LinkTarget<'static>> {
        let device = self.0.upgrade().ok_or(Errno::ENOENT)?;
        let driver = device.driver().ok_or(Errno::ENOENT)?;
        let parts = ["bus", driver.bus().name(), "drivers", driver.name()];
        link::text(link::names(&device)?.len() + 1, parts.into_iter())
    }

    fn is_current(&self) -> bool {
        self.0.upgrade().is_some_and(|device| device.driver().is_some())
    }
}

/// `subsystem`: to the bus of a device, or its class.
struct ToSubsystem(Weak<Device>);

impl ToSubsystem {
    fn node(device: &Arc<Device>) -> Node {
        Node::Link(Arc::new(Self(Arc::downgrade(device))))
    }
}

impl Link for ToSubsystem {
    fn target(&self) -> Result<LinkTarget<'static>> {
        let device = self.0.upgrade().ok_or(Errno::ENOENT)?;
        let depth = link::names(&device)?.len() + 1;
        let parts = match (device.bus(), device.class()) {
            (Some(bus), _) => ["bus", bus.name()],
            (None, Some(class)) => ["class", class],
            (None, None) => return Err(Errno::ENOENT),
        };
        link::text(depth, parts.into_iter())
    }

    fn is_current(&self) -> bool {
        self.0.upgrade().is_some_and(|device| !device.is_gone())
    }
}
