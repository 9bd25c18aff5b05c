//! Mounting: what is mounted at boot, and what `mount -o` understands ([`Options`]).
//!
//! The initramfs is the root, unless the command line has `root=`: then a disk is mounted over it.
//! `/proc` and `/dev` come on top.

use alloc::string::String;

use abi::{Errno, Result};
use device::block;
use fs::{Credentials, LastLink, MountFlags, MountRequest, Path};

use crate::settings::Settings;

/// How long a disk with the root is waited for: some are found late.
const WAIT_NS: u64 = 10_000_000_000;
const LOOK_NS: u64 = 20_000_000;

/// What `-o` says: flags, what is left for the file system, and whether a mount is changed.
#[derive(Default)]
pub(crate) struct Options {
    /// The flags.
    pub(crate) flags: MountFlags,
    /// What the file system is to know, with commas.
    pub(crate) own: String,
    /// `remount` is among them.
    pub(crate) remount: bool,
}

impl Options {
    /// Words with commas between them, on top of `flags`.
    pub(crate) fn parse(text: &str, flags: MountFlags) -> Self {
        let mut options = Self { flags, ..Self::default() };
        for word in text.split(',').filter(|word| !word.is_empty()) {
            if word == "remount" {
                options.remount = true;
            } else if !options.flags.apply(word) {
                options.own += if options.own.is_empty() { "" } else { "," };
                options.own += word;
            }
        }
        options
    }
}

/// A device's name without `/dev/`.
pub(crate) fn device_name(text: &str) -> &str {
    text.strip_prefix("/dev/").unwrap_or(text)
}

/// Mounts the disk or partition that `request` has as its source, whatever kind of file system is
/// on it.
///
/// # Errors
/// `EINVAL` if none that is known is; what the one says that is.
pub(crate) fn mount_device(place: &Path, request: &MountRequest<'_>) -> Result<()> {
    for kind in fs::file_systems().into_iter().filter(|kind| kind.needs_device()) {
        match fs::mount(kind, place.clone(), request) {
            // Another kind may know it.
            Err(Errno::EINVAL) => {}
            result => return result,
        }
    }
    Err(Errno::EINVAL)
}

/// Mounts what the command line wants, and what programs look for.
pub(crate) fn mount_at_boot(settings: &Settings) {
    if let Some(device) = settings.value("root") {
        match mount_root(device, settings.value("rootflags").unwrap_or_default()) {
            Ok(()) => log::info!("the root is on {device}"),
            Err(error) => {
                log::error!("root={device}: {}; the root is the initramfs", error.description())
            }
        }
    }
    // Another initramfs or disk may have no such directories.
    for (kind, place) in [("proc", "/proc"), ("devtmpfs", "/dev")] {
        if let Err(error) = mount_kind(kind, place) {
            log::warn!("{place} is not mounted: {}", error.description());
        }
    }
}

fn mount_kind(kind: &str, place: &str) -> Result<()> {
    let place = fs::lookup(&Credentials::ROOT, &fs::root()?, place.as_bytes(), LastLink::Follow)?;
    let request = MountRequest { source: kind.as_bytes(), ..MountRequest::default() };
    fs::mount(fs::find_file_system(kind.as_bytes())?, place, &request)
}

/// Mounts a disk over the root.
fn mount_root(device: &str, options: &str) -> Result<()> {
    let deadline = base::time::now_ns() + WAIT_NS;
    while block::find(device_name(device)).is_none() {
        if base::time::now_ns() > deadline {
            return Err(Errno::ENODEV);
        }
        task::sleep(LOOK_NS);
    }
    let options = Options::parse(options, MountFlags::empty());
    let own = options.own.as_bytes();
    let request = MountRequest { source: device.as_bytes(), flags: options.flags, options: own };
    mount_device(&fs::root()?, &request)
}
