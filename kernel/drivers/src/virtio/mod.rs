//! VirtIO devices, as virtual machines have them (VirtIO 1.2, modern devices only).
//!
//! A [`Transport`] is how a device is reached. Whoever finds one makes a [`VirtioDevice`] of it
//! and adds that to the tree on the bus [`VIRTIO`]; a driver of that bus takes it by a
//! [`Setup`], which becomes a [`Session`] when the [`Queue`]s are made. The session resets the
//! device when it fails and at the end.
//!
//! | file | what |
//! |---|---|
//! | `features.rs` | [`Features`] and [`DeviceType`], with their names |
//! | `transport.rs` | [`Transport`], [`Status`] |
//! | `device.rs` | [`VirtioDevice`]: configuration, events |
//! | `session.rs` | [`Setup`], [`Session`], [`Function`]: from features to reset |
//! | `queue.rs` | [`Queue`]: chains, notifications, counters |
//! | `error.rs` | [`VirtioError`] |
//! | `pci/` | the transport over PCI |
//! | `rng.rs` | the driver of sources of random numbers |
//! | `console/` | the driver of consoles |
//! | `blk/` | the driver of disks |
//!
//! The arithmetic of rings is in `kernel/lib/virtqueue`.

mod blk;
pub mod console;
mod device;
mod error;
mod features;
mod pci;
mod queue;
#[cfg(not(test))]
mod real_tests;
mod rng;
mod session;
#[cfg(not(test))]
mod tests;
mod transport;

use alloc::sync::Arc;

use ::device::{AddError, Attribute, Builder, Bus, Device, DeviceGuard, register_bus};
use abi::Errno;
use base::sync::SpinLock;

pub use self::device::{SessionReport, VirtioDevice};
pub use error::VirtioError;
pub use features::{DeviceType, Features};
pub use queue::{Counters, Queue, QueueReport, RingDma, Table};
pub use session::{Function, Session, Setup};
pub use transport::{Callback, Callbacks, Connection, NO_VECTOR, QueueSetup, Status, Transport};

/// All VirtIO devices.
pub static VIRTIO: Bus = Bus::new("virtio");

base::initcall!(Buses, register);

fn register() {
    register_bus(&VIRTIO);
}

/// Numbers of devices that are taken, a bit each.
static NUMBERS: SpinLock<[u64; 4]> = SpinLock::new("virtio numbers", [0; 4]);

/// A number that no other device has, for its name.
#[derive(Debug)]
pub struct Number(u32);

impl Number {
    /// The lowest that is free.
    ///
    /// # Errors
    /// `OutOfMemory` if there are 256 devices.
    pub fn take() -> Result<Self, VirtioError> {
        let mut numbers = NUMBERS.lock();
        let free = (0..).zip(numbers.iter_mut()).find(|(_, word)| **word != u64::MAX);
        let (index, word) = free.ok_or(VirtioError::OutOfMemory)?;
        let bit = word.trailing_ones();
        *word |= 1 << bit;
        Ok(Self(index * u64::BITS + bit))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(word) = NUMBERS.lock().get_mut((self.0 / u64::BITS) as usize) {
            *word &= !(1 << (self.0 % u64::BITS));
        }
    }
}

/// Adds a device to the tree, behind what it is plugged into.
///
/// # Errors
/// As [`AddError`] says.
pub fn add(parent: &Arc<Device>, virtio: Arc<VirtioDevice>) -> Result<DeviceGuard, AddError> {
    ::device::add(parent, in_tree(virtio))
}

/// The device as it is in the tree. Not part of its caller, whose frame stays on the stack while
/// the driver of the device probes.
#[inline(never)]
fn in_tree(virtio: Arc<VirtioDevice>) -> Builder {
    let name = alloc::format!("{virtio}");
    let show = |text: fn(&VirtioDevice, &mut dyn core::fmt::Write) -> core::fmt::Result| {
        move |device: &Device, to: &mut dyn core::fmt::Write| {
            let virtio = of(device).ok_or(Errno::ENODEV)?;
            text(virtio, to).map_err(|_| Errno::EIO)
        }
    };
    // As Linux shows them.
    Device::new(name)
        .bus(&VIRTIO)
        .attribute(Attribute::new(
            "device",
            show(|virtio, to| writeln!(to, "{:#06x}", virtio.device_type().0)),
        ))
        .attribute(Attribute::new(
            "status",
            show(|virtio, to| writeln!(to, "{:#010x}", virtio.status().bits())),
        ))
        .attribute(Attribute::new(
            "features",
            show(|virtio, to| {
                let taken = virtio.report().map_or(0, |report| report.taken.bits());
                (0..u64::BITS).try_for_each(|bit| write!(to, "{}", taken >> bit & 1))?;
                writeln!(to)
            }),
        ))
        .identity(virtio)
}

/// The VirtIO device that `device` is.
pub fn of(device: &Device) -> Option<&Arc<VirtioDevice>> {
    device.identity()
}

/// Whether `device` is a VirtIO device of a type.
pub fn is(device: &Device, device_type: DeviceType) -> bool {
    of(device).is_some_and(|virtio| virtio.device_type() == device_type)
}
