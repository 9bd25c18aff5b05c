//! Links from one place of sysfs to another: relative, for it can be mounted anywhere.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use device::Device;

use crate::pseudo::{Link, Node, Text};
use crate::vfs::LinkTarget;

/// Most bytes of a link's text.
const MOST: usize = 4095;

/// `..` for each of `depth` directories, then `parts`, with slashes between them.
pub(super) fn text<'a>(
    depth: usize,
    parts: impl Iterator<Item = &'a str>,
) -> Result<LinkTarget<'static>> {
    let mut text = Text::within(MOST);
    for part in core::iter::repeat_n("..", depth).chain(parts) {
        if !text.is_empty() {
            text.push(b"/")?;
        }
        text.push(part.as_bytes())?;
    }
    Ok(LinkTarget::Text(Cow::Owned(text.into_bytes())))
}

/// The names from below the root of the tree of devices down to `device`.
///
/// # Errors
/// `ENOENT` if it is not in the tree any more.
pub(super) fn names(device: &Arc<Device>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut at = device.clone();
    loop {
        if at.is_gone() {
            return Err(Errno::ENOENT);
        }
        let Some(parent) = at.parent() else { break };
        let mut name = String::new();
        name.try_reserve_exact(at.name().len()).map_err(|_| Errno::ENOMEM)?;
        name.push_str(at.name());
        names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        names.push(name);
        at = parent;
    }
    names.reverse();
    // A device that was never added has no parent, as the root.
    if Arc::ptr_eq(&at, device::root()) { Ok(names) } else { Err(Errno::ENOENT) }
}

/// A link to the directory of a device.
pub(super) struct ToDevice {
    device: Weak<Device>,
    /// How many directories lie between the link and the root of sysfs.
    depth: usize,
}

impl ToDevice {
    /// The link as a node, from a place `depth` directories below the root of sysfs.
    pub(super) fn node(device: &Arc<Device>, depth: usize) -> Node {
        Node::Link(Arc::new(Self { device: Arc::downgrade(device), depth }))
    }
}

impl Link for ToDevice {
    fn target(&self) -> Result<LinkTarget<'static>> {
        let device = self.device.upgrade().ok_or(Errno::ENOENT)?;
        let names = names(&device)?;
        text(self.depth, core::iter::once("devices").chain(names.iter().map(String::as_str)))
    }

    fn is_current(&self) -> bool {
        self.device.upgrade().is_some_and(|device| !device.is_gone())
    }
}
