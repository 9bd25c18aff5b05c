//! Tests of all drivers of disks, with the disks that the machine has. Nothing is written.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use device::Device;
use device::block::{BlockError, Volume, find, holder};

/// Tasks that read while a driver leaves.
const READERS: usize = 4;

/// The whole disks that are part of a device, unless somebody uses one or a part of it.
fn free_disks(device: &Device) -> Vec<Arc<Volume>> {
    let children = device.children();
    let disks: Vec<_> =
        children.iter().filter_map(|child| child.identity::<Arc<Volume>>().cloned()).collect();
    let parts = children.iter().flat_map(|child| child.children());
    let mut volumes = parts.filter_map(|part| part.identity::<Arc<Volume>>().cloned());
    let is_used = |volume: &Arc<Volume>| holder(volume).is_some();
    if disks.iter().any(is_used) || volumes.any(|volume| is_used(&volume)) {
        return Vec::new();
    }
    disks
}

/// Reads all over a disk until it is gone; how often, or what else it says.
fn read_until_gone(volume: &Arc<Volume>, seed: u64) -> Result<u32, BlockError> {
    let mut bytes = vec![0; 16 << 10];
    let places = (volume.bytes() / bytes.len() as u64).max(1);
    let mut at = seed;
    for count in 0.. {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match volume.read_at((at >> 33) % places * 512, &mut bytes) {
            Ok(()) => {}
            Err(BlockError::Gone) => return Ok(count),
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

#[base::kernel_test]
fn drivers_leave_disks_that_are_read_and_take_them_again() {
    for device in device::all() {
        let (Some(driver), disks) = (device.driver(), free_disks(&device)) else { continue };
        let Some(disk) = disks.first().filter(|disk| disk.bytes() >= 16 << 10) else { continue };
        let name = String::from(disk.name());
        let (begun, failed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let readers: Vec<_> = (0..READERS)
            .map(|index| {
                let (disk, begun, failed) = (disk.clone(), begun.clone(), failed.clone());
                task::spawn("test reader", move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                    if read_until_gone(&disk, index as u64).is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                })
                .expect("memory")
            })
            .collect();
        while begun.load(Ordering::Relaxed) < READERS as u32 {
            task::yield_now();
        }
        task::sleep(20_000_000);
        device.unbind(None).expect("it has a driver");
        readers.iter().for_each(|reader| reader.join());
        assert!(!failed.load(Ordering::Relaxed), "{name}: another error");
        assert!(disk.is_gone() && find(&name).is_none(), "{name} is still there");
        assert_eq!(disk.flush(), Err(BlockError::Gone));
        assert!(device.children().is_empty() && disk.disk().load() == (0, 0));

        device.bind(driver).expect("the driver takes it again");
        let again = free_disks(&device);
        assert_eq!(again.len(), disks.len(), "{name}: not all disks are there again");
        let again = again.first().expect("as many");
        assert_eq!(again.bytes(), disk.bytes());
        let mut bytes = vec![0; 16 << 10];
        assert_eq!(again.read_at(0, &mut bytes), Ok(()));
    }
}
