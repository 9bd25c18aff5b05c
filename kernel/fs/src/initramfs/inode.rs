//! The inodes of the initramfs: [`Node`]s of a [`Tree`] that never changes.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::stat::{S_IFDIR, S_IFMT};
use abi::{Errno, Result};
use vm::{MemoryObject, StaticBytes};

use crate::buffer::{Destination, Source};
use crate::file::File;
use crate::status::{DeviceNumber, Kind, Status};
use crate::vfs::{DirEntry, Inode, LinkTarget, VisitEntry};

/// A file as the archive has it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    /// Seconds since 1970.
    pub(super) mtime: u32,
    /// Of a device node.
    pub(super) rdev: DeviceNumber,
    /// The contents of a file, the target of a symbolic link; empty for others.
    pub(super) data: &'static [u8],
    /// The entries of a directory, sorted by name; indices into the tree.
    pub(super) entries: Vec<(&'static [u8], usize)>,
}

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

/// All nodes; the root is the first.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// An inode: a node and the tree that it is in.
pub(super) struct TreeInode {
    tree: Arc<Tree>,
    index: usize,
}

impl TreeInode {
    /// The root directory of `tree`.
    pub(super) fn root(tree: Arc<Tree>) -> Self {
        Self { tree, index: 0 }
    }

    fn node(&self) -> &Node {
        match self.tree.nodes.get(self.index) {
            Some(node) => node,
            None => unreachable!("inode {} of {}", self.index, self.tree.nodes.len()),
        }
    }

    fn directory(&self) -> Result<&[(&'static [u8], usize)]> {
        let node = self.node();
        if node.is_directory() { Ok(&node.entries) } else { Err(Errno::ENOTDIR) }
    }
}

/// The inode number of a node. 0 is none.
fn number(index: usize) -> u64 {
    index as u64 + 1
}

impl fmt::Debug for TreeInode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeInode({}, {:?})", number(self.index), self.kind())
    }
}

impl Inode for TreeInode {
    fn kind(&self) -> Kind {
        Kind::of_mode(self.node().mode)
    }

    fn status(&self) -> Status {
        let node = self.node();
        Status {
            inode: number(self.index),
            mode: node.mode,
            links: node.nlink,
            uid: node.uid,
            gid: node.gid,
            rdev: node.rdev,
            size: node.data.len() as u64,
            mtime: node.mtime.into(),
            ..Status::default()
        }
    }

    fn open(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn File>> {
        match self.kind() {
            Kind::Regular => Ok(self),
            // A node without a driver.
            _ => Err(Errno::ENXIO),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        let entries = self.directory()?;
        let Ok(at) = entries.binary_search_by(|(entry, _)| (*entry).cmp(name)) else {
            return Ok(None);
        };
        let inode = |(_, index): &(_, usize)| Self { tree: self.tree.clone(), index: *index };
        Ok(entries.get(at).map(inode).map(|inode| Arc::new(inode) as Arc<dyn Inode>))
    }

    /// Positions are places in the list.
    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        let from = usize::try_from(position).unwrap_or(usize::MAX);
        let entries = self.directory()?.get(from..).unwrap_or_default();
        for (next, (name, index)) in (position.saturating_add(1)..).zip(entries) {
            let kind =
                self.tree.nodes.get(*index).map_or(Kind::Regular, |node| Kind::of_mode(node.mode));
            if visit(DirEntry { name, inode: number(*index), kind, next }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn link_target(&self) -> Result<LinkTarget<'_>> {
        match self.kind() {
            Kind::Symlink => Ok(LinkTarget::Text(Cow::Borrowed(self.node().data))),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl File for TreeInode {
    fn read(&self, position: u64, to: &mut Destination<'_>) -> Result<usize> {
        let from = usize::try_from(position).ok().and_then(|at| self.node().data.get(at..));
        to.put(from.unwrap_or_default())
    }

    fn write(&self, _position: u64, _from: &mut Source<'_>) -> Result<usize> {
        Err(Errno::EROFS)
    }

    fn status(&self) -> Status {
        Inode::status(self)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        Ok(Arc::new(StaticBytes(self.node().data)))
    }
}
