//! Floor 8: files.
//!
//! [`vfs`] is the tree of all that is mounted, and the way from a path in words to a file of
//! it; what file systems implement is there, too. [`initramfs`] is the first of them, the root.
//! [`pseudo`] is what those have in common whose files are made of what the kernel knows:
//! [`procfs`] and [`sysfs`].
//!
//! A [`File`] is what can be done with a file that is open; an [`OpenFile`] around it is what a
//! file descriptor holds. Most files come from the tree through [`open`]. Some are made by the
//! floors above and have no path, as the console. [`locks`] keeps those apart who share one. Bytes go to and come from programs and the
//! kernel alike ([`Destination`], [`Source`]).
//!
//! Start-up: [`init`], then [`mount_initramfs`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

base::module!();

mod block;
mod buffer;
mod credentials;
mod devices;
mod devtmpfs;
mod ext2;
mod file;
mod initramfs;
mod locks;
mod nodes;
mod open_file;
pub mod procfs;
pub mod pseudo;
mod regular;
mod status;
pub mod sysfs;
pub mod system;
#[cfg(not(test))]
mod tests;
mod tmpfs;
mod vfs;

use memory::OutOfMemory;

pub use buffer::{Destination, Source, UserParts};
pub use credentials::{Access, Credentials};
pub use devices::read_random;
pub use devtmpfs::add_character;
pub use file::{File, Readiness};
pub use initramfs::{Contents, mount_initramfs};
pub use locks::{LockMode, LockOwner, LockRecord, LockedBytes, LockedBytesError, RecordOwner};
pub use nodes::{Characters, register_characters};
pub use open_file::{MappedFile, OpenFile, Seek};
pub use status::{AccessTimes, DeviceNumber, FileFlags, Kind, Status, Time};
pub use vfs::*;

/// Makes the dentry cache, and the kinds of file system known that are here. Call once, when there is memory and random numbers.
///
/// # Errors
/// [`OutOfMemory`]: there can be no files.
pub fn init() -> Result<(), OutOfMemory> {
    vfs::init()?;
    procfs::init();
    sysfs::init();
    tmpfs::init();
    ext2::init();
    devices::init();
    block::init()?;
    devtmpfs::init().map_err(|_| OutOfMemory)?;
    vm::cache::init();
    Ok(())
}
