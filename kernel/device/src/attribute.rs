//! [`Attribute`]: something that a device tells in a line of text, or lets one set: what
//! sysfs has a file for. One that is called `GROUP/NAME` is in a directory of its device, with the
//! others of the group, as `queue/rotational` of a disk.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::fmt;

use abi::Result;

use crate::device::Device;

/// Writes an attribute's text. May sleep; the device may have been removed meanwhile.
pub type Show = Box<dyn Fn(&Device, &mut dyn fmt::Write) -> Result<()> + Send + Sync>;
/// Takes a text, without the newline at its end.
pub type Store = Box<dyn Fn(&Device, &str) -> Result<()> + Send + Sync>;
/// Reads bytes from an offset on; how many, 0 at the end.
pub type Read = Box<dyn Fn(&Device, u64, &mut [u8]) -> Result<usize> + Send + Sync>;

/// Writes lines `KEY=VALUE` that tell programs what a device is.
pub type Tell = fn(&Device, &mut dyn fmt::Write) -> fmt::Result;

/// How an attribute is read.
pub(crate) enum Source {
    Text(Show),
    Bytes(Read),
    Nothing,
}

/// One attribute of a device.
pub struct Attribute {
    name: Cow<'static, str>,
    source: Source,
    store: Option<Store>,
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({})", self.name)
    }
}

impl Attribute {
    /// One that can be read. The text that `show` writes should end with a newline.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        show: impl Fn(&Device, &mut dyn fmt::Write) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), source: Source::Text(Box::new(show)), store: None }
    }

    /// One of bytes that are no text, as a configuration space.
    pub fn bytes(
        name: impl Into<Cow<'static, str>>,
        read: impl Fn(&Device, u64, &mut [u8]) -> Result<usize> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), source: Source::Bytes(Box::new(read)), store: None }
    }

    /// One that can only be written: it makes the device do something.
    pub fn action(
        name: impl Into<Cow<'static, str>>,
        store: impl Fn(&Device, &str) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), source: Source::Nothing, store: Some(Box::new(store)) }
    }

    /// The same, and it can be written.
    #[must_use]
    pub fn with_store(
        mut self,
        store: impl Fn(&Device, &str) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Its name: a file name, or two with a slash between them, the first one of a group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group that it is in, and its name in there; `None` if it is in no group.
    pub fn in_group(&self) -> Option<(&str, &str)> {
        self.name.split_once('/')
    }

    /// Whether it can be read.
    pub fn is_readable(&self) -> bool {
        !matches!(self.source, Source::Nothing)
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.store.is_some()
    }

    /// Whether its bytes are no text.
    pub fn is_binary(&self) -> bool {
        matches!(self.source, Source::Bytes(_))
    }

    /// Writes the text of `device`'s attribute to `to`.
    ///
    /// # Errors
    /// `ENODEV` if the device was removed, `EACCES` if the attribute has no text; what it says
    /// itself.
    pub fn show(&self, device: &Device, to: &mut dyn fmt::Write) -> Result<()> {
        device.check_present()?;
        match &self.source {
            Source::Text(show) => show(device, to),
            _ => Err(abi::Errno::EACCES),
        }
    }

    /// Reads bytes of `device`'s attribute from `offset` on.
    ///
    /// # Errors
    /// As [`Attribute::show`].
    pub fn read(&self, device: &Device, offset: u64, to: &mut [u8]) -> Result<usize> {
        device.check_present()?;
        match &self.source {
            Source::Bytes(read) => read(device, offset, to),
            _ => Err(abi::Errno::EACCES),
        }
    }

    /// Sets `device`'s attribute.
    ///
    /// # Errors
    /// `ENODEV` if the device was removed, `EACCES` if the attribute cannot be set; what it
    /// says itself.
    pub fn store(&self, device: &Device, text: &str) -> Result<()> {
        device.check_present()?;
        let store = self.store.as_ref().ok_or(abi::Errno::EACCES)?;
        store(device, text.strip_suffix('\n').unwrap_or(text))
    }
}

/// Takes an attribute away when dropped: for those that a driver adds to its device.
#[must_use = "the attribute goes when this is dropped"]
#[derive(Debug)]
pub struct AttributeGuard {
    pub(crate) device: Weak<Device>,
    pub(crate) attribute: Arc<Attribute>,
}

impl Drop for AttributeGuard {
    fn drop(&mut self) {
        if let Some(device) = self.device.upgrade() {
            device.remove_attribute(&self.attribute);
        }
    }
}
