//! The disks and partitions there are, by name: [`register`], [`find`], [`volumes`]; and who
//! holds them, [`Claim`]; and who is told when they change, [`tell_of_changes`].

use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use base::sync::SpinLock;
use memory::OutOfMemory;
use spin::Once;

use super::device::{BlockDevice, Description, DiskName};
use super::disk::Disk;
use super::limits::{LimitsFault, MAX_DEPTH};
use super::names::{self, DeviceNumber, Numbers};
use super::node;
use super::partitions;
use super::volume::{Part, Volume};
use super::watch;
use crate::{AddError, Device, DeviceGuard};

/// Most hardware queues of a disk that the layer uses.
const MAX_QUEUES: usize = 256;

/// One volume that is there.
struct Entry {
    volume: Arc<Volume>,
    /// Who has it for himself.
    holder: Option<String>,
    /// Its place in the tree of devices; none while it is being made.
    node: Option<DeviceGuard>,
}

struct Registry {
    /// A disk stands before its partitions, which are in the order of their numbers.
    entries: Vec<Entry>,
    numbers: Numbers,
}

static REGISTRY: SpinLock<Registry> =
    SpinLock::new("block devices", Registry { entries: Vec::new(), numbers: Numbers::new() });

static LISTENER: Once<fn()> = Once::new();

/// From now on `listener` is called after disks or partitions came or went, by the task in which
/// that happened and without locks of the layer; what there is then it asks [`volumes`]. It may
/// sleep. Call once; a second listener is not taken.
pub fn tell_of_changes(listener: fn()) {
    LISTENER.call_once(|| listener);
}

fn changed() {
    if let Some(listener) = LISTENER.get() {
        listener();
    }
}

/// Why a disk cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// It has no queues, or their depth is 0 or more than [`MAX_DEPTH`].
    Queues,
    /// Its limits make no sense.
    Limits(LimitsFault),
    /// A disk has its name already.
    NameInUse,
    /// It does not get a place in the tree of devices.
    Tree(AddError),
    /// No memory.
    NoMemory,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queues => f.write_str("it has no queues, or too many, or too long ones"),
            Self::Limits(fault) => fault.fmt(f),
            Self::NameInUse => f.write_str("a disk has its name already"),
            Self::Tree(error) => error.fmt(f),
            Self::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for RegisterError {}

impl From<AddError> for RegisterError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::OutOfMemory => Self::NoMemory,
            error => Self::Tree(error),
        }
    }
}

impl From<OutOfMemory> for RegisterError {
    fn from(_: OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// A disk is registered as long as this lives: for its driver. Dropping it ends the disk: those
/// who have it get errors from then on, and keep nothing of the driver. What the driver still has
/// it is to complete (or drop) afterwards. Dropped by a task, since that may sleep; not in
/// [`BlockDevice::timed_out`](super::BlockDevice::timed_out).
#[must_use = "the disk is gone when this is dropped"]
pub struct Registration {
    disk: Arc<Disk>,
}

impl Deref for Registration {
    type Target = Arc<Disk>;

    fn deref(&self) -> &Arc<Disk> {
        &self.disk
    }
}

impl Registration {
    /// What tells the layer of changes of the disk, for any part of its driver.
    pub fn handle(&self) -> DiskHandle {
        DiskHandle(Arc::downgrade(&self.disk))
    }
}

/// The disk of a driver, which tells the layer of changes. Does nothing when the disk is not
/// registered any more.
#[derive(Clone, Debug)]
pub struct DiskHandle(Weak<Disk>);

impl DiskHandle {
    /// The disk has another size from now on, in sectors of 512 bytes. Partitions stay as they
    /// are: what of them lies behind the end, the device refuses. For any context.
    pub fn set_sectors(&self, sectors: u64) {
        if let Some(disk) = self.0.upgrade() {
            let before = disk.sectors();
            disk.set_sectors(sectors);
            if disk.sectors() != before {
                log::info!("{}: {} sectors now", disk.name(), disk.sectors());
            }
        }
    }

    /// The disk can, or cannot, be written from now on. For any context.
    pub fn set_read_only(&self, read_only: bool) {
        if let Some(disk) = self.0.upgrade() {
            disk.set_read_only(read_only);
        }
    }

    /// The driver ends: requests fail from now on, and those that it has it completes itself. For
    /// any context.
    pub fn close(&self) {
        if let Some(disk) = self.0.upgrade() {
            disk.close();
        }
    }

    /// As [`DiskHandle::close`], since the device is not there any more: it was unplugged, or
    /// does not work. The log tells of it.
    pub fn gone(&self) {
        if let Some(disk) = self.0.upgrade()
            && disk.close()
        {
            log::warn!("{}: gone", disk.name());
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.disk.close();
        let removed = {
            let mut registry = REGISTRY.lock();
            registry.numbers.free(self.disk.name());
            registry.remove(|volume| Arc::ptr_eq(volume.disk(), &self.disk))
        };
        removed.iter().for_each(|entry| entry.volume.set_gone());
        // The partitions leave the tree before the disk of which they are part.
        for Entry { volume, holder, node } in removed.into_iter().rev() {
            if let Some(holder) = holder {
                log::warn!("{} is gone while {holder} uses it", volume.name());
            }
            drop(node);
        }
        self.disk.let_driver_go();
        changed();
    }
}

impl Registry {
    fn index_of(&self, volume: &Volume) -> Option<usize> {
        self.entries.iter().position(|entry| core::ptr::eq(&*entry.volume, volume))
    }

    fn remove(&mut self, gone: impl Fn(&Volume) -> bool) -> Vec<Entry> {
        self.entries.extract_if(.., |entry| gone(&entry.volume)).collect()
    }

    /// Who has `volume`, the disk that it is a part of, or a part of it.
    fn holder(&self, volume: &Volume) -> Option<&Entry> {
        self.entries.iter().filter(|entry| entry.holder.is_some()).find(|entry| {
            let other = &*entry.volume;
            let whole = volume.partition().is_none() || other.partition().is_none();
            core::ptr::eq(other, volume) || (whole && Arc::ptr_eq(other.disk(), volume.disk()))
        })
    }
}

/// Makes a disk known, and its partitions, in the tree of devices as part of `parent`. The device
/// must be ready for requests: its first sectors are read. May sleep, for as long as the device
/// takes.
///
/// # Errors
/// As [`RegisterError`] says. A table of partitions that cannot be read is no error: the log
/// tells of it.
pub fn register(
    parent: &Arc<Device>,
    description: Description,
    device: Arc<dyn BlockDevice>,
) -> Result<Registration, RegisterError> {
    if !(1..=MAX_QUEUES).contains(&description.queues)
        || !(1..=MAX_DEPTH).contains(&description.depth)
    {
        return Err(RegisterError::Queues);
    }
    if let Some(fault) = description.limits.fault() {
        return Err(RegisterError::Limits(fault));
    }
    let registration = enter(description, device)?;
    watch::add(&registration.disk)?;
    if let Some(whole) = whole(&registration.disk) {
        attach(parent, &whole)?;
    }
    changed();
    log::info!("{}", names::Introduction(&registration.disk));
    if let Err(error) = partitions::rescan(&registration.disk) {
        log::warn!("{}: {error}", registration.disk.name());
    }
    Ok(registration)
}

/// Gives a volume its place in the tree of devices.
fn attach(parent: &Arc<Device>, volume: &Arc<Volume>) -> Result<(), AddError> {
    let node = node::add_volume(parent, volume)?;
    let mut registry = REGISTRY.lock();
    let index = registry.index_of(volume);
    let left = match index.and_then(|index| registry.entries.get_mut(index)) {
        Some(entry) => entry.node.replace(node),
        None => Some(node), // it went meanwhile
    };
    drop(registry);
    drop(left);
    Ok(())
}

/// Gives a disk its name and enters it.
fn enter(
    description: Description,
    device: Arc<dyn BlockDevice>,
) -> Result<Registration, RegisterError> {
    let (name, number) = {
        let mut registry = REGISTRY.lock();
        let Registry { entries, numbers } = &mut *registry;
        entries.try_reserve(1).map_err(|_| OutOfMemory)?;
        let in_use = |name: &str| entries.iter().any(|entry| entry.volume.name() == name);
        match &description.name {
            DiskName::Lettered(prefix) => numbers.take_lettered(prefix)?,
            DiskName::Fixed(name) if in_use(name) => return Err(RegisterError::NameInUse),
            DiskName::Fixed(name) => numbers.take_fixed(name)?,
        }
    };
    let free = |error| {
        REGISTRY.lock().numbers.free(&name);
        error
    };
    let disk = Disk::new(name.clone(), description, device).map_err(free)?;
    let volume = Arc::new(Volume::new(name, number, disk.clone(), None));
    let mut registry = REGISTRY.lock();
    registry.entries.push(Entry { volume, holder: None, node: None });
    Ok(Registration { disk })
}

/// The volume of this name.
pub fn find(name: &str) -> Option<Arc<Volume>> {
    let registry = REGISTRY.lock();
    registry.entries.iter().find(|entry| entry.volume.name() == name).map(|it| it.volume.clone())
}

/// The volume with this number.
pub fn find_number(number: DeviceNumber) -> Option<Arc<Volume>> {
    let registry = REGISTRY.lock();
    registry
        .entries
        .iter()
        .find(|entry| entry.volume.number() == number)
        .map(|it| it.volume.clone())
}

/// All volumes: each disk, and behind it its partitions.
pub fn volumes() -> Vec<Arc<Volume>> {
    REGISTRY.lock().entries.iter().map(|entry| entry.volume.clone()).collect()
}

/// Who has the volume for himself, if somebody has.
pub fn holder(volume: &Volume) -> Option<String> {
    let registry = REGISTRY.lock();
    let index = registry.index_of(volume)?;
    registry.entries.get(index)?.holder.clone()
}

/// Whether somebody has the volume for himself, the disk that it is a part of, or a part of it.
pub fn is_held(volume: &Volume) -> bool {
    REGISTRY.lock().holder(volume).is_some()
}

/// The whole of a disk.
pub(super) fn whole(disk: &Arc<Disk>) -> Option<Arc<Volume>> {
    let is_whole =
        |volume: &Volume| volume.partition().is_none() && Arc::ptr_eq(volume.disk(), disk);
    let registry = REGISTRY.lock();
    registry.entries.iter().find(|entry| is_whole(&entry.volume)).map(|it| it.volume.clone())
}

/// Why a volume cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// Somebody has it, or a part of it, or the whole of which it is a part: the name of that
    /// volume and who has it.
    InUse(String, String),
    /// It is not there any more.
    Gone,
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(name, holder) => write!(f, "{name} is in use by {holder}"),
            Self::Gone => f.write_str("the device is gone"),
        }
    }
}

impl core::error::Error for ClaimError {}

impl From<ClaimError> for abi::Errno {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::InUse(..) => Self::EBUSY,
            ClaimError::Gone => Self::ENODEV,
        }
    }
}

/// A volume that somebody has for himself, as long as this lives: one that is mounted. Dropped by
/// a task. That others do not write to it is up to them: [`holder`] tells.
#[must_use = "others may have the volume when this is dropped"]
#[derive(Debug)]
pub struct Claim(Arc<Volume>);

impl Claim {
    /// Takes `volume` for `holder`, who is named to others who want it.
    ///
    /// # Errors
    /// [`ClaimError`], also if the disk of which it is a part, or one of its parts, is taken.
    pub fn new(volume: &Arc<Volume>, holder: &str) -> Result<Self, ClaimError> {
        let holder = holder.to_string();
        let mut registry = REGISTRY.lock();
        let index = registry.index_of(volume).ok_or(ClaimError::Gone)?;
        if let Some(Entry { volume, holder: Some(holder), .. }) = registry.holder(volume) {
            return Err(ClaimError::InUse(volume.name().to_string(), holder.clone()));
        }
        if let Some(entry) = registry.entries.get_mut(index) {
            entry.holder = Some(holder);
        }
        Ok(Self(volume.clone()))
    }
}

impl Deref for Claim {
    type Target = Arc<Volume>;

    fn deref(&self) -> &Arc<Volume> {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut registry = REGISTRY.lock();
        if let Some(index) = registry.index_of(&self.0)
            && let Some(entry) = registry.entries.get_mut(index)
        {
            entry.holder = None;
        }
    }
}

/// Replaces the partitions of a disk by `parts`, unless somebody has the disk or one of them who
/// does not ask for it with his `claim` to the whole.
///
/// # Errors
/// [`ClaimError::InUse`], or [`ClaimError::Gone`] if the disk is not registered any more.
pub(super) fn replace_partitions(
    disk: &Arc<Disk>,
    parts: Vec<Part>,
    claim: Option<&Claim>,
) -> Result<usize, ClaimError> {
    let whole = whole(disk).ok_or(ClaimError::Gone)?;
    let count = parts.len();
    let removed = {
        let mut registry = REGISTRY.lock();
        // Who has the whole knows that nobody has a part.
        let is_callers = claim.is_some_and(|claim| Arc::ptr_eq(claim, &whole));
        if let Some(Entry { volume, holder: Some(holder), .. }) = registry.holder(&whole)
            && !is_callers
        {
            return Err(ClaimError::InUse(volume.name().to_string(), holder.clone()));
        }
        let is_part =
            |volume: &Volume| volume.partition().is_some() && Arc::ptr_eq(volume.disk(), disk);
        let removed = registry.remove(is_part);
        let index = registry.index_of(&whole).ok_or(ClaimError::Gone)?;
        let Registry { entries, numbers } = &mut *registry;
        for removed in &removed {
            numbers.free_partition(removed.volume.number());
        }
        let new = parts.into_iter().map(|part| {
            let name = names::of_partition(disk.name(), part.info.number);
            let number = numbers.of_partition(whole.number(), disk.name(), part.info.number);
            let volume = Arc::new(Volume::new(name, number, disk.clone(), Some(part)));
            Entry { volume, holder: None, node: None }
        });
        entries.splice(index + 1..index + 1, new);
        removed
    };
    removed.iter().for_each(|entry| entry.volume.set_gone());
    drop(removed); // and with them their places in the tree
    attach_parts(disk, &whole);
    changed();
    Ok(count)
}

/// Gives the partitions of a disk their places in the tree of devices.
fn attach_parts(disk: &Arc<Disk>, whole: &Arc<Volume>) {
    let parent = {
        let registry = REGISTRY.lock();
        let entry = registry.index_of(whole).and_then(|index| registry.entries.get(index));
        entry.and_then(|entry| entry.node.as_ref()).map(|node| node.device().clone())
    };
    let Some(parent) = parent else { return };
    let is_part =
        |volume: &Arc<Volume>| volume.partition().is_some() && Arc::ptr_eq(volume.disk(), disk);
    for volume in volumes().iter().filter(|volume| is_part(volume)) {
        if let Err(error) = attach(&parent, volume) {
            log::warn!("{} is not in the tree of devices: {error}", volume.name());
        }
    }
}
