//! What stands behind device nodes: drivers of character devices by device number
//! ([`register_characters`]), and the disks ([`block`]).

use alloc::sync::Arc;

use abi::{Errno, Result};
use arrayvec::ArrayVec;
use base::sync::SpinLock;

use crate::block;
use crate::file::File;
use crate::status::{DeviceNumber, Kind};

/// Most majors.
const MOST: usize = 32;

/// Opens the devices of a major number.
pub trait Characters: Sync {
    /// Opens the device with that minor number, with the `O_*` flags of open(2).
    ///
    /// # Errors
    /// `ENXIO` if there is none.
    fn open(&self, minor: u32, flags: u32) -> Result<Arc<dyn File>>;
}

static CHARACTERS: SpinLock<ArrayVec<(u32, &'static dyn Characters), MOST>> =
    SpinLock::new("character devices", ArrayVec::new_const());

/// Says who opens character devices of a major number.
///
/// # Panics
/// If there are too many, or somebody does already.
pub fn register_characters(major: u32, characters: &'static dyn Characters) {
    let mut all = CHARACTERS.lock();
    assert!(all.iter().all(|(taken, _)| *taken != major), "two drivers of major {major}");
    all.push((major, characters));
}

/// Opens what a node stands for.
///
/// # Errors
/// `ENXIO` if nobody knows it.
pub(crate) fn open(kind: Kind, device: DeviceNumber, flags: u32) -> Result<Arc<dyn File>> {
    let known = match kind {
        Kind::CharDevice => {
            let all = CHARACTERS.lock();
            all.iter().find(|(major, _)| *major == device.major).map(|(_, driver)| *driver)
        }
        Kind::BlockDevice => return block::open(device, flags),
        _ => None,
    };
    known.ok_or(Errno::ENXIO)?.open(device.minor, flags)
}
