//! Floor 0: ext2, its format on the disk and all that is done with it.
//!
//! The file system stands on a [`Storage`], a cache of blocks of metadata, and knows nothing
//! of devices, pages and threads: the kernel puts its block cache under it and its VFS and
//! page cache over it (`kernel/fs`), the tests an image file. It reads and writes revisions 0
//! and 1 with blocks of 1, 2 and 4 KiB, as `mke2fs -t ext2` makes them.
//!
//! # The disk
//!
//! The disk is a row of blocks, in groups of at most eight times as many blocks as a block has
//! bytes. All numbers are little-endian.
//!
//! ```text
//! byte 0      1024        then, to the end
//! +-----------+----------+---------+---------+---------+-----
//! | boot code | super-   | group 0           | group 1 | …
//! |           | block    | (its first block has the superblock)
//! +-----------+----------+---------+---------+---------+-----
//!
//! a group
//! +------------+-------------+------------+--------+--------+---------+----------------+
//! | superblock | descriptors | kept for   | bitmap | bitmap | table   | blocks of      |
//! | 1 block    | of all      | more       | of     | of     | of      | files and      |
//! |            | groups      | descriptors| blocks | inodes | inodes  | directories    |
//! +------------+-------------+------------+--------+--------+---------+----------------+
//!  `--- copies; with `sparse_super` in ---'  1 block  1 block
//!       groups 0, 1, 3ⁿ, 5ⁿ, 7ⁿ only
//! ```
//!
//! An inode is 128 bytes or more: mode, owner, times, size, and 15 block numbers. Twelve lead
//! to data, the last three over one, two and three levels of indirect blocks. A number of 0 is
//! a hole. A directory is a file of entries, each an inode number, a length and a name.
//!
//! # What is where
//!
//! | files | hold |
//! |---|---|
//! | `layout/` | the structures of the disk, byte for byte |
//! | `storage.rs` | what the kernel must provide: [`Storage`] |
//! | `fs.rs` | [`Ext2`], and how its blocks are got at |
//! | `geometry.rs`, `groups.rs` | where things are; what is free in each group |
//! | `mount.rs` | [`probe`], [`Ext2::mount`], [`Ext2::close`], what is done about damage |
//! | `inode.rs` | [`Ext2::inode`], [`Ext2::set_attributes`] |
//! | `file/` | [`Ext2::map`], [`Ext2::allocate`], [`Ext2::truncate`], [`Ext2::extend`] |
//! | `directory/` | [`Ext2::lookup`], [`Ext2::read_directory`], entries, an index in memory |
//! | `names/` | [`Ext2::create`], [`Ext2::link`], [`Ext2::unlink`], [`Ext2::rename`], … |
//! | `orphans.rs` | inodes without a name: [`Ext2::release`] |
//! | `allocation/` | blocks and inodes are taken and given back |
//! | `bits.rs`, `held.rs` | bitmaps; what is free but must not be used yet |
//! | `order/` | what must be on the disk before what |
//! | `writeback.rs` | [`Ext2::begin`], [`Batch`], [`Ext2::finish`] |
//! | `usage.rs`, `reports.rs`, `error.rs` | statfs; damage that was survived; [`Error`] |
//!
//! # How it is used
//!
//! Read the superblock, [`probe`] it for the size of a block, make a [`Storage`], and
//! [`Ext2::mount`]. One lock that many can hold for reading goes around the [`Ext2`]: what
//! looks things up takes `&self`.
//!
//! **Data** go by the page cache. It asks [`Ext2::map`] where blocks are. Before it keeps a
//! dirty page it calls [`Ext2::allocate`]; blocks that are [`new`](Placed::new) have garbage on
//! the disk, so each such page is filled with zeros or data as a whole, and is dirty from the
//! same moment on. [`Ext2::extend`] and [`Ext2::truncate`] set the size. For fallocate(2) it
//! allocates, and has pages of zeros written.
//!
//! **Metadata** stay in the store and are written in batches. A flusher, sync(2) and fsync(2)
//! do this, one at a time (a lock of the kernel's own for that):
//!
//! 1. with the lock around the [`Ext2`], [`Ext2::begin`];
//! 2. without it, write the dirty pages of the files in [`Batch::data`], and for fsync those
//!    of the file; with them the first phase; then the other phases, with a flush of the
//!    device between any two and after the last;
//! 3. with the lock, [`Ext2::finish`].
//!
//! **[`Error::WriteBackFirst`]** asks for this with [`Scope::All`], repeated until
//! [`Ext2::is_settled`] (three times are enough if nothing else changes), and then for the
//! call to be made again; three rounds are enough for any call. Nothing has changed when it is
//! returned. The locks of directories can stay held, but nothing that writing back waits for,
//! such as a locked page.
//!
//! **Damage** is [`Error::Corrupt`]: write it to the log, pass it to [`Ext2::report`], and
//! return `EUCLEAN` ([`Error::errno`]). After changes, ask [`Ext2::take_report`] for what was
//! survived. Nothing that the disk holds makes the engine panic or run on for ever.
//!
//! # When the power is cut
//!
//! Between any two writes of a batch, `e2fsck -fy` makes the disk whole, and every file is
//! there, with its name, for which fsync returned and that was not changed since:
//!
//! - The disk never points to a block that is not initialised, or to data that are not written.
//! - What was freed is not used again until nothing on the disk refers to it.
//! - A name that moves is at its new place before it leaves the old one; what a rename
//!   replaces is whole until the name stands for what replaces it.
//! - fsync takes along the inode, its indirect blocks, and, as far as they are not written yet,
//!   its names and the directories up to the root.
//!
//! How this comes about is told in `order/mod.rs`. Bitmaps and counters may be out of date
//! then, so a file system that was not unmounted is mounted read-only unless
//! [`MountOptions::write_unclean`] says otherwise.
//!
//! # An example
//!
//! ```
//! # use std::collections::HashMap;
//! # use ext2::*;
//! /// A store that never writes: all of the disk is in memory.
//! struct Memory(HashMap<u32, Vec<u8>>);
//!
//! impl Storage for Memory {
//!     type Frozen = Vec<u8>;
//!     fn block_size(&self) -> usize { 1024 }
//!     fn blocks(&self) -> u64 { 64 }
//!     fn read<R>(&self, block: u32, look: impl FnOnce(&[u8]) -> R) -> Result<R, StorageError> {
//!         self.0.get(&block).map(|bytes| look(bytes)).ok_or(StorageError::Device)
//!     }
//!     fn modify<R>(&mut self, block: u32, change: impl FnOnce(&mut [u8]) -> R) -> Result<R, StorageError> {
//!         self.0.get_mut(&block).map(|bytes| change(bytes)).ok_or(StorageError::Device)
//!     }
//!     fn fresh<R>(&mut self, block: u32, fill: impl FnOnce(&mut [u8]) -> R) -> Result<R, StorageError> {
//!         self.0.insert(block, vec![0; 1024]);
//!         self.modify(block, fill)
//!     }
//!     fn freeze(&mut self, block: u32) -> Result<Vec<u8>, StorageError> {
//!         self.0.get(&block).cloned().ok_or(StorageError::Device)
//!     }
//!     fn settle(&mut self, _block: u32) {}
//!     fn forget(&mut self, _block: u32) {}
//! }
//!
//! /// Looks for a name in the root directory.
//! fn find(store: Memory, name: &[u8]) -> Result<Option<Found>, Error> {
//!     let now = Timestamp::from_seconds(1_800_000_000);
//!     let options = MountOptions { read_only: true, write_unclean: false, now };
//!     Ext2::mount(store, &options)?.lookup(ROOT_INODE, name)
//! }
//!
//! let nothing = Memory((0..64).map(|block| (block, vec![0; 1024])).collect());
//! assert!(matches!(find(nothing, b"etc"), Err(Error::Corrupt(_))));
//! ```

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
