//! `/sys/block`: links to the disks in the tree of devices; and `/sys/dev/block`: links to disks
//! and partitions by their numbers, `MAJOR:MINOR`.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Result;
use device::Device;
use device::block::Volume;

use super::class::members;
use super::keys::list;
use super::link::ToDevice;
use crate::pseudo::{Directory, Node, Visit};
use crate::status::Kind;

/// Disks and partitions, with their devices.
fn volumes() -> Vec<(Arc<Device>, Arc<Volume>)> {
    let volume = |device: Arc<Device>| {
        let volume = device.identity::<Arc<Volume>>()?.clone();
        Some((device, volume))
    };
    members("block").into_iter().filter_map(volume).collect()
}

/// The disks.
pub(super) struct Disks;

impl Directory for Disks {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let mut disks = volumes().into_iter().filter(|(_, volume)| volume.partition().is_none());
        let found = disks.find(|(device, _)| device.name() == name);
        Ok(found.map(|(device, _)| ToDevice::node(&device, 1)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let disks = volumes().into_iter().filter(|(_, volume)| volume.partition().is_none());
        let keyed = disks.map(|(device, _)| (device.id(), device)).collect();
        list(keyed, from, visit, |device: &Arc<Device>| (device.name(), Kind::Symlink))
    }
}

/// Disks and partitions by their numbers.
pub(super) struct Numbers;

impl Directory for Numbers {
    fn find(&self, name: &str) -> Result<Option<Node>> {
        let mut all = volumes().into_iter();
        let found = all.find(|(_, volume)| format!("{}", volume.number()) == name);
        Ok(found.map(|(device, _)| ToDevice::node(&device, 2)))
    }

    fn list(&self, from: u64, visit: &mut Visit<'_>) -> Result<()> {
        let number = |(device, volume): (Arc<Device>, Arc<Volume>)| {
            (device.id(), format!("{}", volume.number()))
        };
        let keyed = volumes().into_iter().map(number).collect();
        list(keyed, from, visit, |number: &String| (number, Kind::Symlink))
    }
}
