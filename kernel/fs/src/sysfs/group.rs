//! The directory of a group of attributes, as `queue` of a disk.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use device::{Attribute, Device};

use super::attribute::AttributeFile;
use super::keys::{list, of_name};
use crate::pseudo::{Directory, Node, Visit};
use crate::status::Kind;

/// The attributes of a device that are in one group.
pub(super) struct GroupDirectory {
    device: Weak<Device>,
    group: String,
}

impl GroupDirectory {
    /// The directory as a node, if `device` has attributes in that group.
    pub(super) fn node(device: &Arc<Device>, group: &str) -> Option<Node> {
        if members(device, group).is_empty() {
            return None;
        }
        let (device, group) = (Arc::downgrade(device), String::from(group));
        Some(Node::Directory(Arc::new(Self { device, group })))
    }

    /// The device and its attributes in the group.
    fn members(&self) -> Result<(Arc<Device>, Vec<Arc<Attribute>>)> {
        let device = self.device.upgrade().filter(|device| !device.is_gone());
        let device = device.ok_or(Errno::ENOENT)?;
        let members = members(&device, &self.group);
        if members.is_empty() { Err(Errno::ENOENT) } else { Ok((device, members)) }
    }
}

fn members(device: &Device, group: &str) -> Vec<Arc<Attribute>> {
    let mut attributes = device.attributes();
    attributes.retain(|attribute| attribute.in_group().is_some_and(|(of, _)| of == group));
    attributes
}

/// The name of an attribute in its group.
fn name(attribute: &Attribute) -> &str {
    attribute.in_group().map_or(attribute.name(), |(_, name)| name)
}

impl Directory for GroupDirectory {
    fn find(&self, wanted: &str) -> Result<Option<Node>> {
        let (device, members) = self.members()?;
        let found = members.into_iter().find(|attribute| name(attribute) == wanted);
        Ok(found.map(|attribute| AttributeFile::node(&device, attribute)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let (_, members) = self.members()?;
        let keyed = members.into_iter().map(|it| (of_name(name(&it)), it)).collect();
        list(keyed, from, visit, |attribute: &Arc<Attribute>| (name(attribute), Kind::Regular))
    }

    fn is_current(&self) -> bool {
        self.members().is_ok()
    }
}
