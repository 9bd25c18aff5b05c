//! `/sys/devices`: the tree of devices. The directory of a device has its attributes, some of them
//! in directories (groups), its children, `uevent`, and links: to its driver, to what it is one of
//! (`subsystem`), and from what is one of a class to the hardware behind it (`device`).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use device::block::Volume;
use device::{Attribute, Device};

use super::attribute::AttributeFile;
use super::group::GroupDirectory;
use super::keys::{CHILDREN, OWN, list, of_name};
use super::link::ToDevice;
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
    /// The group of an attribute.
    Group(Arc<Attribute>),
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

/// The name of the group that an attribute is in.
fn group_of(attribute: &Attribute) -> &str {
    attribute.in_group().map_or("", |(group, _)| group)
}

/// Whether it is one of something that sysfs has a directory for.
fn has_subsystem(device: &Device) -> bool {
    device.bus().is_some() || device.class().is_some()
}

/// The hardware that something of a class belongs to. A partition has its disk's only.
fn hardware(device: &Device) -> Option<Arc<Device>> {
    let volume = device.identity::<Arc<Volume>>();
    let is_part = volume.is_some_and(|volume| volume.partition().is_some());
    let parent = device.parent().filter(|parent| !Arc::ptr_eq(parent, device::root()));
    parent.filter(|_| device.class().is_some() && !is_part)
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
            "device" if hardware(&device).is_some() => {
                let depth = link::names(&device)?.len() + 1;
                hardware(&device).map(|hardware| ToDevice::node(&hardware, depth))
            }
            _ => GroupDirectory::node(&device, name)
                .or_else(|| device.child(name).map(|child| Self::node(&child))),
        })
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let device = self.device()?;
        let attributes = device.attributes();
        let mut entries: Vec<(u64, Entry)> = Vec::new();
        let children = device.children();
        entries.try_reserve(attributes.len() + children.len() + 4).map_err(|_| Errno::ENOMEM)?;
        for attribute in attributes {
            let Some((group, _)) = attribute.in_group() else {
                entries.push((of_name(attribute.name()), Entry::Attribute(attribute)));
                continue;
            };
            let key = of_name(group);
            let of_group = |(_, entry): &(u64, Entry)| match entry {
                Entry::Group(other) => group_of(other) == group,
                _ => false,
            };
            if !entries.iter().any(of_group) {
                entries.push((key, Entry::Group(attribute)));
            }
        }
        let own = [
            ("uevent", Kind::Regular, true),
            ("driver", Kind::Symlink, device.driver().is_some()),
            ("subsystem", Kind::Symlink, has_subsystem(&device)),
            ("device", Kind::Symlink, hardware(&device).is_some()),
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
            Entry::Group(attribute) => (group_of(attribute), Kind::Directory),
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
