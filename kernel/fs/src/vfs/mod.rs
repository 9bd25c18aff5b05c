//! The virtual file system: one tree of all that is mounted, and the way through it.
//!
//! | file | what |
//! |---|---|
//! | `inode.rs` | [`Inode`]: what a file system has to offer of a file |
//! | `dentry.rs` | [`Dentry`]: a name in a directory, and the inode that it leads to |
//! | `dcache.rs`, `kept.rs` | the dentry cache |
//! | `superblock.rs` | [`Superblock`]: a file system; [`FileSystem`]: a kind of them |
//! | `mount.rs` | [`Mount`]: a file system in its place; the table of them |
//! | `path.rs` | [`Path`]: a dentry in a mount; `..`, and the path in words |
//! | `walk.rs` | [`lookup`]: from words to a [`Path`] |
//! | `names.rs` | making, linking, unlinking, renaming |
//! | `attributes.rs` | changing what stat(2) tells; looking whether one may |
//! | `open.rs` | [`open`]: from words to an open file |
//! | `writers.rs` | who writes to a file, and who runs it |
//!
//! A file system implements [`Inode`], makes a [`Superblock`] around its root and registers a
//! [`FileSystem`]. It hears nothing of paths, mounts and descriptors.
//!
//! What keeps what: a path keeps its mount and its dentry, a dentry its inode and its parent, a
//! mount its superblock and the path that it stands on, a superblock the root's dentry. So all
//! is there as long as anybody needs it, and nothing is kept in a circle.
//!
//! Locks: a walk takes spin locks alone, one at a time (a bucket of the dentry cache, its ring,
//! the mount table), and the file system's own where a name is not in the cache.

mod attributes;
mod dcache;
mod dentry;
mod inode;
mod kept;
mod mount;
mod names;
#[cfg(not(test))]
mod names_tests;
mod open;
mod path;
mod superblock;
#[cfg(not(test))]
mod tests;
mod walk;
mod writers;

pub use attributes::TimeChange;
pub use dcache::{dentries, drop_dentries};
pub use dentry::Dentry;
pub use inode::{Changes, DirEntry, Inode, LinkTarget, NewFile, Renaming, VisitEntry};
pub use mount::{Mount, mount, mounts, remount, root, shutdown, sync_all, unmount};
pub use names::{link, make, make_symlink, remove_directory, rename, unlink};
pub use open::open;
pub use path::Path;
pub use superblock::{
    Backing, Caching, FileSystem, MountFlags, MountRequest, Statistics, Superblock, Unbacked,
    file_systems, find_file_system, register,
};
pub use walk::{LastLink, lookup};
pub use writers::Writers;

pub(crate) use dcache::init;
pub(crate) use mount::{detached, mount_root};
pub(crate) use writers::{WriteAccess, WriteDenied};
