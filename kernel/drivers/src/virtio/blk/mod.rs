//! The driver of disks (VirtIO 1.2, section 5.2), under the contract of the block layer
//! (`kernel/device/src/block`): read, write, flush, discard, write zeroes; a queue for each CPU
//! where the device has as many.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | what a disk says of itself |
//! | `slot.rs` | what a request is made of |
//! | `disk.rs` | requests to the device and back |

mod config;
mod disk;
mod slot;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::device::block::{self, Description, Registration};
use ::device::{
    Attribute, AttributeGuard, Bound, Bus, Device, Driver, ProbeError, register_driver,
};
use abi::Errno;
use base::smp;
use memory::OutOfMemory;

use super::{DeviceType, Features, Session, Setup, VIRTIO, VirtioDevice, VirtioError};
use config::{CONFIG_WCE, DiskConfig, KNOWN};
use disk::{Disk, Lane};

/// Most descriptors of a queue that are of use.
const MOST_DESCRIPTORS: u16 = 256;
/// Most requests in flight in a queue.
const MOST_DEPTH: u16 = 128;
/// Descriptors of the smallest request with memory: header, memory, status.
const LEAST_CHAIN: u16 = 3;

struct BlkDriver;

/// What is kept of a device.
struct Kept {
    disk: Arc<Disk>,
    session: Session,
    /// As long as the block layer has the disk.
    registration: Option<Registration>,
    _attributes: Vec<AttributeGuard>,
}

base::initcall!(Drivers, register);

fn register() {
    register_driver(&BlkDriver);
}

impl Driver for BlkDriver {
    fn name(&self) -> &'static str {
        "virtio-blk"
    }

    fn bus(&self) -> &'static Bus {
        &VIRTIO
    }

    fn matches(&self, device: &Device) -> bool {
        super::is(device, DeviceType::BLOCK)
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let (mut kept, description) = start(device)?;
        let registration = block::register(device, description, kept.disk.clone())?;
        *kept.disk.handle.lock() = Some(registration.handle());
        kept.registration = Some(registration);
        Ok(kept)
    }
}

/// Starts the device, and has it tell what the block layer wants to know. Not part of its caller,
/// whose frame stays on the stack while partitions are looked for.
#[inline(never)]
fn start(device: &Arc<Device>) -> Result<(Box<Kept>, Description), ProbeError> {
    let virtio = super::of(device).ok_or(ProbeError::NotMine)?;
    let mut setup = Setup::begin(virtio, KNOWN)?;
    let features = setup.features();
    let config = DiskConfig::read(virtio, features)?;
    let lanes = lanes(&mut setup, &config)?;
    let first = lanes.first().ok_or(VirtioError::NoQueue { index: 0 })?;
    let (queues, size, depth) = (lanes.len(), first.queue.size(), first.slots.len() as u16);
    let disk = Arc::new(Disk::new(virtio, features, lanes));
    let session = setup.start(disk.clone())?;
    // From here on what is dropped is taken apart in order.
    let mut kept = Box::new(Kept { disk, session, registration: None, _attributes: Vec::new() });
    let serial = kept.disk.serial()?.map_or(String::new(), |serial| String::from(&*serial));
    kept._attributes = attributes(device, &config, features)?;
    Ok((kept, config.describe(queues, size, depth, serial)))
}

/// Makes the queues, at most one for each CPU: all of the same size.
fn lanes(setup: &mut Setup, config: &DiskConfig) -> Result<Vec<Lane>, VirtioError> {
    let cpus = smp::online().iter().count().max(1);
    let count = usize::from(config.queues).min(cpus);
    let mut lanes = Vec::new();
    lanes.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    for index in 0..count as u16 {
        // The block layer has CPU n use queue n.
        let cpu = (count == cpus).then_some(index.into());
        let queue = setup.queue(index, "requests", MOST_DESCRIPTORS, cpu)?;
        let size = queue.size();
        if size < LEAST_CHAIN {
            return Err(VirtioError::BadConfig { what: "a queue that is too short for requests" });
        }
        let needed = if setup.features().has(Features::INDIRECT_DESC) { 1 } else { LEAST_CHAIN };
        lanes.push(Lane::new(queue, (size / needed).min(MOST_DEPTH))?);
    }
    Ok(lanes)
}

/// What the disk tells in text beside what the block layer does.
fn attributes(
    device: &Arc<Device>,
    config: &DiskConfig,
    features: Features,
) -> Result<Vec<AttributeGuard>, ProbeError> {
    let mut guards = Vec::new();
    if let Some(geometry) = config.geometry {
        let show = Attribute::new("geometry", move |_, to| {
            let config::Geometry { cylinders, heads, sectors } = geometry;
            writeln!(to, "{cylinders} cylinders, {heads} heads, {sectors} sectors")
                .map_err(|_| Errno::EIO)
        });
        guards.push(device.add_attribute(show)?);
    }
    let cache = Attribute::new("cache_type", move |device, to| {
        let virtio = super::of(device).ok_or(Errno::ENODEV)?;
        let config = DiskConfig::read(virtio, features).map_err(|_| Errno::EIO)?;
        let name = if config.has_cache { "write back" } else { "write through" };
        writeln!(to, "{name}").map_err(|_| Errno::EIO)
    });
    let cache = if features.has(CONFIG_WCE) { cache.with_store(set_cache) } else { cache };
    guards.push(device.add_attribute(cache)?);
    Ok(guards)
}

fn set_cache(device: &Device, text: &str) -> Result<(), Errno> {
    let virtio: &Arc<VirtioDevice> = super::of(device).ok_or(Errno::ENODEV)?;
    let has_cache = match text {
        "write back" => true,
        "write through" => false,
        _ => return Err(Errno::EINVAL),
    };
    config::set_cache(virtio, has_cache).map_err(|_| Errno::EIO)
}

impl Bound for Kept {
    fn shutdown(&self) {
        let disk = self.registration.as_ref();
        if let Some(volume) = disk.and_then(|disk| block::find(disk.name()))
            && let Err(error) = volume.flush()
        {
            log::error!("{}: what was written may be lost: {error}", volume.name());
        }
        self.session.stop();
        self.disk.fail_all();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Nothing new comes, then the device is reset, and what it had fails.
        drop(self.registration.take());
        self.session.stop();
        self.disk.fail_all();
    }
}
