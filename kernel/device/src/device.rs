//! [`Device`] and the tree of all: adding ([`add`]), removing ([`DeviceGuard`]), looking.
//!
//! A device is in the tree from [`add`] until its guard is dropped or its parent goes. Who has
//! a reference may keep it longer; a device that was removed says so, has no driver and no
//! children. No lock of this file is held while a driver is called.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Errno;
use base::sync::SpinLock;
use spin::Once;

use crate::attribute::{Attribute, AttributeGuard, Tell};
use crate::binding::{self, Binding};
use crate::bus::Bus;

/// Something in the machine.
pub struct Device {
    id: u64,
    name: Cow<'static, str>,
    bus: Option<&'static Bus>,
    class: Option<&'static str>,
    identity: Box<dyn Any + Send + Sync>,
    tell: Option<Tell>,
    /// Set when it is added; never for the root.
    parent: Once<Weak<Device>>,
    children: SpinLock<Vec<Arc<Device>>>,
    attributes: SpinLock<Vec<Arc<Attribute>>>,
    pub(crate) binding: Binding,
    gone: AtomicBool,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name)
    }
}

impl fmt::Display for Device {
    /// Bus and name, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bus {
            Some(bus) => write!(f, "{} {}", bus.name(), self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Why a device cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The parent has a child of that name.
    Exists,
    /// The parent was removed.
    ParentGone,
    /// The name is empty, `.` or `..`, or has a slash in it.
    BadName,
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "there is a device of that name",
            Self::ParentGone => "what it is part of was removed",
            Self::BadName => "not a name of a device",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl core::error::Error for AddError {}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A device that is being made.
#[derive(Debug)]
pub struct Builder(Device);

impl Builder {
    /// A device of a bus, for which a driver will be looked for.
    #[must_use]
    pub fn bus(mut self, bus: &'static Bus) -> Self {
        self.0.bus = Some(bus);
        self
    }

    /// What kind of thing it is for its users, whoever drives it: `block`, `tty`.
    #[must_use]
    pub fn class(mut self, class: &'static str) -> Self {
        self.0.class = Some(class);
        self
    }

    /// What its bus knows of it: what [`Device::identity`] gives.
    #[must_use]
    pub fn identity(mut self, identity: impl Any + Send + Sync) -> Self {
        self.0.identity = Box::new(identity);
        self
    }

    /// What it tells programs that look for devices: see [`Device::tell`].
    #[must_use]
    pub fn tell(mut self, tell: Tell) -> Self {
        self.0.tell = Some(tell);
        self
    }

    /// An attribute that it has for good.
    #[must_use]
    pub fn attribute(self, attribute: Attribute) -> Self {
        self.0.attributes.lock().push(Arc::new(attribute));
        self
    }
}

impl Device {
    /// A device of that name, to be [added](add).
    #[expect(clippy::new_ret_no_self, reason = "a device is made by its builder")]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Builder {
        Builder(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            bus: None,
            class: None,
            identity: Box::new(()),
            tell: None,
            parent: Once::new(),
            children: SpinLock::new("children of a device", Vec::new()),
            attributes: SpinLock::new("attributes of a device", Vec::new()),
            binding: Binding::new(),
            gone: AtomicBool::new(false),
        })
    }

    /// A number that no other device has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name, which no other child of its parent has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bus that it belongs to.
    pub fn bus(&self) -> Option<&'static Bus> {
        self.bus
    }

    /// What kind of thing it is for its users.
    pub fn class(&self) -> Option<&'static str> {
        self.class
    }

    /// What its bus knows of it, if that is a `T`.
    pub fn identity<T: Any>(&self) -> Option<&T> {
        self.identity.downcast_ref()
    }

    /// Writes a line `KEY=VALUE` for each thing that its bus or class tells programs of it, as the
    /// file `uevent` of Linux's sysfs has it.
    ///
    /// # Errors
    /// If the writing fails.
    pub fn tell(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        self.tell.map_or(Ok(()), |tell| tell(self, to))
    }

    /// The device that it is part of; `None` for the root.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.parent.get()?.upgrade()
    }

    /// What is part of it, in the order in which it was added.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.children.lock().clone()
    }

    /// The child of that name.
    pub fn child(&self, name: &str) -> Option<Arc<Self>> {
        self.children.lock().iter().find(|child| child.name == name).cloned()
    }

    /// Its attributes.
    pub fn attributes(&self) -> Vec<Arc<Attribute>> {
        self.attributes.lock().clone()
    }

    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<Arc<Attribute>> {
        self.attributes.lock().iter().find(|attribute| attribute.name() == name).cloned()
    }

    /// Adds an attribute, which goes with the guard.
    ///
    /// # Errors
    /// As [`AddError`] says.
    pub fn add_attribute(
        self: &Arc<Self>,
        attribute: Attribute,
    ) -> Result<AttributeGuard, AddError> {
        let attribute = Arc::new(attribute);
        let mut attributes = self.attributes.lock();
        if attributes.iter().any(|known| known.name() == attribute.name()) {
            return Err(AddError::Exists);
        }
        attributes.try_reserve(1).map_err(|_| AddError::OutOfMemory)?;
        attributes.push(attribute.clone());
        Ok(AttributeGuard { device: Arc::downgrade(self), attribute })
    }

    pub(crate) fn remove_attribute(&self, attribute: &Arc<Attribute>) {
        self.attributes.lock().retain(|known| !Arc::ptr_eq(known, attribute));
    }

    /// Whether it was removed.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// # Errors
    /// `ENODEV` if it was removed.
    pub(crate) fn check_present(&self) -> Result<(), Errno> {
        if self.is_gone() { Err(Errno::ENODEV) } else { Ok(()) }
    }

    /// How many steps it is from the root.
    pub fn depth(&self) -> usize {
        core::iter::successors(self.parent(), |device| device.parent()).count()
    }
}

/// Takes a device out of the tree when dropped: its driver first, then what is part of it,
/// then itself. May sleep.
#[must_use = "the device is removed when this is dropped"]
#[derive(Debug)]
pub struct DeviceGuard(Arc<Device>);

impl DeviceGuard {
    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.0
    }

    /// Leaves the device in the tree until its parent goes.
    pub fn keep(self) -> Arc<Device> {
        let device = self.0.clone();
        core::mem::forget(self);
        device
    }
}

impl Drop for DeviceGuard {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// Adds a device to `parent` and looks for its driver, whose probe may be over or not when
/// this returns. May sleep.
///
/// # Errors
/// As [`AddError`] says.
pub fn add(parent: &Arc<Device>, device: Builder) -> Result<DeviceGuard, AddError> {
    let device = Arc::new(device.0);
    if !is_name(&device.name) {
        return Err(AddError::BadName);
    }
    device.parent.call_once(|| Arc::downgrade(parent));
    if let Some(bus) = device.bus
        && !bus.add_device(&device)
    {
        return Err(AddError::OutOfMemory);
    }
    if let Err(error) = insert(parent, &device) {
        if let Some(bus) = device.bus {
            bus.remove_device(&device);
        }
        return Err(error);
    }
    binding::try_device(&device);
    Ok(DeviceGuard(device))
}

fn insert(parent: &Device, device: &Arc<Device>) -> Result<(), AddError> {
    let mut children = parent.children.lock();
    // Under the lock: whoever removes the parent says so before it looks at its children.
    if parent.is_gone() {
        return Err(AddError::ParentGone);
    }
    if children.iter().any(|child| child.name == device.name) {
        return Err(AddError::Exists);
    }
    children.try_reserve(1).map_err(|_| AddError::OutOfMemory)?;
    children.push(device.clone());
    Ok(())
}

/// Takes a device out of the tree; one that is not in it stays as it is.
fn remove(device: &Arc<Device>) {
    {
        let _children = device.children.lock();
        if device.gone.swap(true, Ordering::AcqRel) {
            return;
        }
    }
    binding::release(device);
    // Those that the driver did not remove itself.
    loop {
        let child = device.children.lock().last().cloned();
        match child {
            Some(child) if child.is_gone() => take_out(device, &child),
            Some(child) => remove(&child),
            None => break,
        }
    }
    if let Some(bus) = device.bus {
        bus.remove_device(device);
    }
    if let Some(parent) = device.parent() {
        take_out(&parent, device);
    }
}

fn take_out(parent: &Device, child: &Arc<Device>) {
    let mut children = parent.children.lock();
    let at = children.iter().position(|known| Arc::ptr_eq(known, child));
    let taken = at.map(|at| children.remove(at));
    drop(children);
    drop(taken); // it may be the last reference
}

static ROOT: Once<Arc<Device>> = Once::new();

/// The root of the tree, which is nothing in the machine.
pub fn root() -> &'static Arc<Device> {
    ROOT.call_once(|| Arc::new(Device::new("devices").0))
}

/// All devices but the root, each before its children.
pub fn all() -> Vec<Arc<Device>> {
    let mut all = Vec::new();
    let mut next = root().children();
    next.reverse();
    while let Some(device) = next.pop() {
        next.extend(device.children().into_iter().rev());
        all.push(device);
    }
    all
}
