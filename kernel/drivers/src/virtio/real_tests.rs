//! Kernel tests with the VirtIO devices that the machine has; without any they do nothing.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::device::block::{self, BlockError, SECTOR};
use ::device::{Device, Driver};
use base::time;
use memory::frames::{FrameUse, frames_for};

use super::{DeviceType, Status, VIRTIO, VirtioDevice, of};
use crate::random;
use crate::scratch_tests::{scratch_disks, write_and_read};

fn comes(what: impl Fn() -> bool) -> bool {
    let deadline = time::now_ns() + 5_000_000_000;
    while !what() && time::now_ns() < deadline {
        task::sleep(1_000_000);
    }
    what()
}

/// Whether somebody uses a disk behind the device.
fn is_held(device: &Device) -> bool {
    device.children().iter().any(|child| {
        block::find(child.name()).is_some_and(|volume| block::holder(&volume).is_some())
    })
}

/// Devices with a driver that may be taken away for a while.
fn movable() -> Vec<(Arc<Device>, &'static dyn Driver)> {
    let mut devices = VIRTIO.devices();
    devices.retain(|device| !is_held(device));
    devices.into_iter().filter_map(|device| Some((device.clone(), device.driver()?))).collect()
}

fn virtio(device: &Device) -> &Arc<VirtioDevice> {
    of(device).expect("a device of the bus")
}

/// Vectors that functions on PCI have.
fn vectors() -> usize {
    let functions = crate::pci::BUS.devices();
    let of = |device: &Arc<Device>| {
        device.identity::<crate::pci::Function>().map_or(0, |function| function.vectors().len())
    };
    functions.iter().map(of).sum()
}

#[base::kernel_test]
fn drivers_leave_their_devices_and_come_back() {
    for (device, driver) in movable() {
        let taken = virtio(&device).report().expect("it has a driver").taken;
        let (mut frames, before) = (0, vectors());
        for round in 0..4 {
            device.unbind(Some(driver)).expect("it has the driver");
            assert!(virtio(&device).report().is_none() && device.driver().is_none());
            assert_eq!(virtio(&device).status(), Status::empty(), "{device} is not reset");
            assert!(device.children().is_empty() && vectors() < before, "{device}");
            device.bind(driver).expect("it takes it again");
            let report = virtio(&device).report().expect("it has a driver");
            assert_eq!((report.taken, vectors()), (taken, before), "{device}");
            // Some come when the device answers. Pools keep a page of each size.
            task::sleep(20_000_000);
            let used = || frames_for(FrameUse::Dma);
            if round == 0 {
                frames = used();
            }
            assert!(comes(|| used() <= frames), "{device}: {} after {frames}", used());
        }
    }
}

#[base::kernel_test]
fn functions_on_pci_leave_and_come_back() {
    // Whoever has a disk that is gone keeps nothing that its driver needs to come back.
    let _kept = block::volumes();
    for device in crate::pci::BUS.devices() {
        let Some(driver) = device.driver().filter(|driver| driver.name() == "virtio-pci") else {
            continue;
        };
        if device.children().iter().any(|child| is_held(child)) {
            continue;
        }
        let count = VIRTIO.devices().len();
        let names = |device: &Device| {
            let names = device.children().into_iter().map(|child| child.name().into());
            names.collect::<Vec<alloc::string::String>>()
        };
        let before = (names(&device), vectors());
        device.unbind(Some(driver)).expect("it has the driver");
        assert_eq!(VIRTIO.devices().len(), count - 1);
        assert!(device.children().is_empty());
        device.bind(driver).expect("it takes it again");
        assert_eq!((names(&device), vectors()), before);
        assert!(device.children().iter().all(|child| child.driver().is_some()));
    }
}

#[base::kernel_test]
fn devices_feed_the_pool_of_random_numbers() {
    let devices = movable();
    let is_source = |device: &Device| virtio(device).device_type() == DeviceType::ENTROPY;
    let Some((device, driver)) = devices.iter().find(|(device, _)| is_source(device)) else {
        return;
    };
    // Each asks when it comes.
    let before = random::statistics();
    device.unbind(Some(*driver)).expect("it has the driver");
    device.bind(*driver).expect("it takes it again");
    let has_come = || {
        let now = random::statistics();
        now.contributed >= before.contributed + 32 && now.reseeds > before.reseeds
    };
    assert!(comes(has_come), "{:?}", random::statistics());
}

/// The VirtIO device that the disk `name` is on.
fn under(name: &str) -> Option<(Arc<Device>, &'static dyn Driver)> {
    movable().into_iter().find(|(device, _)| device.child(name).is_some())
}

#[base::kernel_test]
fn a_disk_that_is_reset_at_work_loses_nothing() {
    for volume in scratch_disks() {
        let Some((device, driver)) = under(volume.name()) else { continue };
        // Its failures are counted afresh.
        device.unbind(Some(driver)).expect("it has the driver");
        device.bind(driver).expect("it takes it again");
        let volume = block::find(volume.name()).expect("the same name again");
        let is_over = Arc::new(AtomicBool::new(false));
        let failing = {
            let (device, is_over) = (device.clone(), is_over.clone());
            let body = move || {
                for _ in 0..3 {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    task::sleep(30_000_000);
                    virtio(&device).alarm();
                }
            };
            task::spawn("alarm", body).expect("memory for a task")
        };
        let (wrong, _) = write_and_read(&volume, 3);
        is_over.store(true, Ordering::Relaxed);
        failing.join();
        assert_eq!(wrong, None, "{}: the first sector that is wrong", volume.name());
        let restarts = || virtio(&device).report().map_or(0, |report| report.restarts);
        assert!(comes(|| restarts() > 0));
        assert!(!virtio(&device).report().expect("a driver").given_up);
    }
}

#[base::kernel_test]
fn a_disk_that_goes_away_fails_what_it_has() {
    for volume in scratch_disks() {
        let Some((device, driver)) = under(volume.name()) else { continue };
        let reads = Arc::new(AtomicU64::new(0));
        let task = |number: u64| {
            let (volume, reads) = (volume.clone(), reads.clone());
            let body = move || {
                let mut bytes = [0; 4096];
                let error = loop {
                    match volume.read_at(number * 64 * SECTOR, &mut bytes) {
                        Ok(()) => reads.fetch_add(1, Ordering::Relaxed),
                        Err(error) => break error,
                    };
                };
                assert_eq!(error, BlockError::Gone);
            };
            task::spawn("reader", body).expect("memory for a task")
        };
        let tasks: Vec<_> = (0..6).map(task).collect();
        assert!(comes(|| reads.load(Ordering::Relaxed) > 50), "the disk is slow");
        device.unbind(Some(driver)).expect("it has the driver");
        tasks.iter().for_each(|task| task.join());
        assert!(volume.is_gone() && block::find(volume.name()).is_none());
        device.bind(driver).expect("it takes it again");
        assert!(block::find(volume.name()).is_some());
    }
}
