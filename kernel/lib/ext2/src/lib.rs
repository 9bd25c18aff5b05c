//! ext2

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;


mod allocation;
mod bits;
mod directory;
mod error;
mod file;
mod fs;
mod geometry;
mod groups;
mod held;
mod inode;
mod layout;
mod mount;
mod names;
mod order;
mod orphans;
mod reports;
mod storage;
mod usage;
mod writeback;

pub use directory::{DirectoryEntry, Found};
pub use error::{Corrupt, Damage, Error, Place};
pub use file::{Placed, Run};
pub use fs::{Caller, Ext2};
pub use geometry::ROOT_INODE;
pub use inode::{Attributes, Inode};
pub use layout::device::DeviceNumber;
pub use layout::dirent::NAME_MAX;
pub use layout::features::{Compat, Incompat, RoCompat};
pub use layout::inode::{FileKind, InodeFlags};
pub use layout::superblock::{SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE};
pub use layout::time::Timestamp;
pub use mount::{MountOptions, OnDamage, Probe, ReadOnly, probe};
pub use names::{Exchange, LINK_MAX, NewInode, NewKind, Removed, Rename, Renamed};
pub use order::BlockKind;
pub use storage::{Storage, StorageError};
pub use usage::Usage;
pub use writeback::{Batch, Scope, Write};
