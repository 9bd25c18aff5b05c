//! VirtIO devices on PCI (VirtIO 1.2, section 4.1): the driver of the bus `pci` that puts them on
//! the bus `virtio`. A transitional device is driven as the modern one that it also is; one
//! without a modern interface is refused.
//!
//! | file | what |
//! |---|---|
//! | `capabilities.rs` | where a device's registers are |
//! | `registers.rs` | what they are |
//! | `transport.rs` | the [`Transport`](super::Transport) |
//! | `interrupts.rs` | MSI-X or the pin |

mod capabilities;
mod interrupts;
mod registers;
mod transport;

use alloc::boxed::Box;
use alloc::sync::Arc;

use ::device::{Bound, Bus, Device, DeviceGuard, Driver, ProbeError, register_driver};
use pci_config::Identity;

use super::{DeviceType, VirtioDevice};
use crate::pci::Function;
use transport::PciTransport;

/// Who makes them (section 4.1.2).
const VENDOR: u16 = 0x1af4;
/// Device ids of transitional devices.
const TRANSITIONAL: core::ops::RangeInclusive<u16> = 0x1000..=0x103f;
/// Device ids of modern ones: this and the device type.
const MODERN: core::ops::RangeInclusive<u16> = 0x1040..=0x107f;

struct PciDriver;

/// What is kept of a function: the device that it is.
struct Kept {
    _device: DeviceGuard,
}

impl Bound for Kept {}

base::initcall!(Drivers, register);

fn register() {
    register_driver(&PciDriver);
}

/// What kind of device a function is, if it is one.
fn device_type(identity: &Identity) -> Option<DeviceType> {
    if identity.vendor != VENDOR {
        return None;
    }
    if MODERN.contains(&identity.device) {
        Some(DeviceType(identity.device - MODERN.start()))
    } else if TRANSITIONAL.contains(&identity.device) {
        Some(DeviceType(identity.subsystem))
    } else {
        None
    }
}

impl Driver for PciDriver {
    fn name(&self) -> &'static str {
        "virtio-pci"
    }

    fn bus(&self) -> &'static Bus {
        &crate::pci::BUS
    }

    fn matches(&self, device: &Device) -> bool {
        let function = device.identity::<Function>();
        function.is_some_and(|function| device_type(function.identity()).is_some())
    }

    fn probe(&self, device: &Arc<Device>) -> Result<Box<dyn Bound>, ProbeError> {
        let virtio = virtio_device(device)?;
        Ok(Box::new(Kept { _device: super::add(device, virtio)? }))
    }
}

/// The VirtIO device that a function is. Not part of its caller, whose frame stays on the stack
/// while the driver of the device probes.
#[inline(never)]
fn virtio_device(device: &Arc<Device>) -> Result<Arc<VirtioDevice>, ProbeError> {
    let function = device.identity::<Function>().ok_or(ProbeError::NotMine)?;
    let kind = device_type(function.identity()).ok_or(ProbeError::NotMine)?;
    let transport = PciTransport::new(device, function, kind)?;
    let virtio = VirtioDevice::new(Box::new(transport))?;
    log::info!("{virtio}: {kind}, at {device}");
    Ok(virtio)
}

#[base::kernel_test]
fn device_ids_tell_the_type() {
    let identity = |vendor, device, subsystem| Identity {
        vendor,
        device,
        class: 0,
        revision: 1,
        subsystem_vendor: VENDOR,
        subsystem,
        layout: pci_config::Layout::Normal,
        multifunction: false,
        pin: Some(1),
    };
    let kind = |vendor, device, subsystem| device_type(&identity(vendor, device, subsystem));
    assert_eq!(kind(VENDOR, 0x1042, 0x1100), Some(DeviceType::BLOCK));
    assert_eq!(kind(VENDOR, 0x1044, 0), Some(DeviceType::ENTROPY));
    assert_eq!(kind(VENDOR, 0x1001, 2), Some(DeviceType::BLOCK));
    assert_eq!(kind(VENDOR, 0x1005, 4), Some(DeviceType::ENTROPY));
    assert_eq!(kind(VENDOR, 0x1080, 2), None);
    assert_eq!(kind(VENDOR, 0x0fff, 2), None);
    assert_eq!(kind(0x8086, 0x1042, 2), None);
}
