//! devtmpfs: the nodes of the devices that there are, kept by the kernel itself, to be mounted on
//! `/dev` (Linux has the same, `drivers/base/devtmpfs.c`).
//!
//! It is a tmpfs, in which programs may do what they do in any other; there is one, wherever it
//! is mounted. Character devices are put in as they become known ([`add_character`]). Disks and
//! partitions come and go: the block layer says that there was a change, and what is there is
//! compared with the nodes. A node that somebody else put in the place of one of the kernel's
//! stays.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use device::block;
use spin::Once;
use task::{Mutex, named_mutex};

use crate::credentials::Credentials;
use crate::devices;
use crate::status::{DeviceNumber, Kind};
use crate::tmpfs;
use crate::vfs::{
    self, FileSystem, LastLink, MountRequest, Path, Superblock, detached, lookup, make,
    make_symlink, unlink,
};

const ROOT: Credentials = Credentials::ROOT;
const NAME: &str = "devtmpfs";
/// Permissions of disks and partitions.
const BLOCK_PERMISSIONS: u32 = 0o600;
/// What programs look for beside the devices.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

struct DevTmpFs {
    superblock: Arc<Superblock>,
    /// Its root, in a mount that stands nowhere: the kernel's way to it, whatever others mount.
    root: Path,
    /// The disks and partitions that have nodes. Held while that changes, before any lock of
    /// the VFS.
    blocks: Mutex<Vec<(String, DeviceNumber)>>,
}

static DEVICES: Once<DevTmpFs> = Once::new();

impl DevTmpFs {
    fn new() -> Result<Self> {
        let request = MountRequest { options: b"mode=755", ..MountRequest::default() };
        let superblock = tmpfs::superblock(NAME, &request)?;
        let root = detached(superblock.clone())?;
        for (name, target) in LINKS {
            make_symlink(&ROOT, &root, name.as_bytes(), target.as_bytes())?;
        }
        Ok(Self { superblock, root, blocks: named_mutex("nodes of disks", Vec::new()) })
    }

    fn add(&self, name: &str, mode: u32, number: DeviceNumber) -> Result<()> {
        make(&ROOT, &self.root, name.as_bytes(), mode, number).map(|_| ())
    }

    /// Removes the node of a disk or partition, if it is that.
    fn remove(&self, name: &str, number: DeviceNumber) -> Result<()> {
        let status = lookup(&ROOT, &self.root, name.as_bytes(), LastLink::Keep)?.status();
        if status.kind() != Kind::BlockDevice || status.rdev != number {
            return Err(Errno::EEXIST);
        }
        unlink(&ROOT, &self.root, name.as_bytes())
    }

    /// Makes the nodes of disks and partitions what they should be.
    fn update(&self) {
        let mut blocks = self.blocks.lock();
        let there = block::volumes();
        let same = |volume: &block::Volume, (name, number): &(String, DeviceNumber)| {
            volume.name() == name && number_of(volume) == *number
        };
        blocks.retain(|known| {
            let stays = there.iter().any(|volume| same(volume, known));
            if !stays && let Err(error) = self.remove(&known.0, known.1) {
                log::warn!("/dev/{} is not removed: {}", known.0, error.description());
            }
            stays
        });
        for volume in &there {
            if blocks.iter().any(|known| same(volume, known)) {
                continue;
            }
            let (name, number) = (volume.name(), number_of(volume));
            let mode = Kind::BlockDevice.mode() | BLOCK_PERMISSIONS;
            match self.add(name, mode, number) {
                Ok(()) => blocks.push((name.to_string(), number)),
                // At the next change it is tried again.
                Err(error) => log::warn!("/dev/{name} is not made: {}", error.description()),
            }
        }
    }
}

fn number_of(volume: &block::Volume) -> DeviceNumber {
    let number = volume.number();
    DeviceNumber { major: number.major, minor: number.minor }
}

/// Puts in the node of a character device. `permissions` are the lower 12 bits of its mode. A
/// node that cannot be made is told in the log.
pub fn add_character(name: &str, number: DeviceNumber, permissions: u32) {
    let mode = Kind::CharDevice.mode() | permissions;
    let Some(devices) = DEVICES.get() else { return };
    if let Err(error) = devices.add(name, mode, number) {
        log::warn!("/dev/{name} is not made: {}", error.description());
    }
}

struct DevTmpFsKind;

impl FileSystem for DevTmpFsKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn usual_place(&self) -> Option<&'static str> {
        Some("/dev")
    }

    fn superblock(&self, request: &MountRequest<'_>) -> Result<Arc<Superblock>> {
        // There is one, and it is as it is.
        if !request.options.is_empty() {
            return Err(Errno::EINVAL);
        }
        DEVICES.get().map(|devices| devices.superblock.clone()).ok_or(Errno::ENODEV)
    }
}

/// Makes it, with the devices that are known by now, and makes the kind of file system known.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn init() -> Result<()> {
    let devices = DevTmpFs::new()?;
    DEVICES.call_once(|| devices);
    for (name, minor, permissions) in devices::MEMORY {
        add_character(name, DeviceNumber { major: devices::MAJOR, minor }, permissions);
    }
    block::tell_of_changes(update);
    update();
    vfs::register(&DevTmpFsKind);
    Ok(())
}

fn update() {
    if let Some(devices) = DEVICES.get() {
        devices.update();
    }
}
