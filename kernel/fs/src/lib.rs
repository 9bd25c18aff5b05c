//! Floor 8: the file tree and open files.
//!
//! The tree is the initramfs: a newc cpio archive that the boot loader left in memory,
//! read-only ([`initramfs`]). A path leads to an [`Inode`] ([`lookup`]); opening one makes an
//! [`OpenFile`] around a [`File`], which is what a file descriptor holds. Other kinds of
//! file (the console) implement [`File`] on the floors above; what there is of `/proc` is text
//! that these make when it is opened ([`open_generated`]).
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod file;
mod generated;
mod initramfs;
mod inode;
mod path;
mod regular;
mod tree_object;

pub use file::{File, OpenFile, Readiness, Seek, Status};
pub use generated::{Generator, Text, generate, open_generated, set_generator};
pub use initramfs::{Contents, mount, root};
pub use inode::{Inode, Kind};
pub use path::{LastLink, lookup};
pub use regular::{DirectoryFile, RegularFile};
