//! The structures of the disk, byte for byte, all numbers little-endian.
//!
//! Each is a `repr(C)` struct of byte-aligned fields whose size is asserted, so that it can
//! be looked at and changed in place in a block. Nothing here judges a value; that is done
//! where it is used.
//!
//! Files: `superblock.rs`, `features.rs` its three sets of features, `group.rs` a group
//! descriptor, `inode.rs` an inode and the fields behind its first 128 bytes, `dirent.rs` a
//! directory entry, `xattr.rs` the head of a block of extended attributes, `device.rs` numbers
//! of device nodes, `time.rs` times.

pub(crate) mod device;
pub(crate) mod dirent;
pub(crate) mod features;
pub(crate) mod group;
pub(crate) mod inode;
pub(crate) mod superblock;
pub(crate) mod time;
pub(crate) mod xattr;
