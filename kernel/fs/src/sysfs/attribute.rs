//! A file for an attribute of a device.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use device::{Attribute, Device};

use crate::pseudo::{BytesFile, Node, Text, TextFile};

/// The file.
pub(super) struct AttributeFile {
    device: Weak<Device>,
    attribute: Arc<Attribute>,
}

impl AttributeFile {
    /// The file as a node.
    pub(super) fn node(device: &Arc<Device>, attribute: Arc<Attribute>) -> Node {
        let is_binary = attribute.is_binary();
        let file = Arc::new(Self { device: Arc::downgrade(device), attribute });
        if is_binary { Node::Bytes(file) } else { Node::Text(file) }
    }

    /// The device, if the attribute is still one of it.
    fn device(&self) -> Result<Arc<Device>> {
        let device = self.device.upgrade().ok_or(Errno::ENODEV)?;
        let has_it = device.attribute(self.attribute.name());
        if device.is_gone() || !has_it.is_some_and(|has| Arc::ptr_eq(&has, &self.attribute)) {
            return Err(Errno::ENODEV);
        }
        Ok(device)
    }

    fn permissions(&self) -> u32 {
        let read = if self.attribute.is_readable() { 0o444 } else { 0 };
        let write = if self.attribute.is_writable() { 0o200 } else { 0 };
        read | write
    }
}

impl TextFile for AttributeFile {
    fn show(&self, to: &mut Text) -> Result<()> {
        let shown = self.attribute.show(&*self.device()?, to);
        // The attribute may not know why its writing failed.
        shown.map_err(|error| to.failure().unwrap_or(error))
    }

    fn store(&self, text: &str) -> Result<()> {
        self.attribute.store(&*self.device()?, text)
    }

    fn mode(&self) -> u32 {
        self.permissions()
    }

    fn is_current(&self) -> bool {
        self.device().is_ok()
    }
}

impl BytesFile for AttributeFile {
    fn size(&self) -> Option<u64> {
        None
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize> {
        self.attribute.read(&*self.device()?, offset, to)
    }

    fn mode(&self) -> u32 {
        self.permissions()
    }

    fn is_current(&self) -> bool {
        self.device().is_ok()
    }
}
