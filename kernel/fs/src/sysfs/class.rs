//! `/sys/class`: a directory for each class of devices that there is one of, with links to
//! those in the tree.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Result;
use device::Device;

use super::bus::by_name;
use super::keys::{list, of_name};
use super::link::ToDevice;
use crate::pseudo::{Directory, Node, Visit};
use crate::status::Kind;

/// The devices of a class.
pub(super) fn members(class: &str) -> Vec<Arc<Device>> {
    let mut devices = device::all();
    devices.retain(|device| device.class() == Some(class));
    devices
}

/// All classes.
pub(super) struct Classes;

impl Directory for Classes {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let found = device::all().iter().find_map(|device| device.class().filter(|it| *it == name));
        Ok(found.map(|class| Node::Directory(Arc::new(ClassDirectory(class)))))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let mut classes: Vec<(u64, &'static str)> = Vec::new();
        for class in device::all().iter().filter_map(|device| device.class()) {
            if classes.iter().all(|(_, known)| *known != class) {
                classes.push((of_name(class), class));
            }
        }
        list(classes, from, visit, |class| (class, Kind::Directory))
    }
}

/// A class.
struct ClassDirectory(&'static str);

impl Directory for ClassDirectory {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let found = members(self.0).into_iter().find(|device| device.name() == name);
        Ok(found.map(|device| ToDevice::node(&device, 2)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        list(by_name(members(self.0)), from, visit, |device| (device.name(), Kind::Symlink))
    }

    fn is_current(&self) -> bool {
        !members(self.0).is_empty()
    }
}
