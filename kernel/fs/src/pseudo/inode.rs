//! The inodes of pseudo file systems, as the VFS sees them.

use alloc::sync::Arc;
use core::fmt;
use core::ops::ControlFlow;

use abi::fcntl::{O_ACCMODE, O_RDONLY, O_WRONLY};
use abi::stat::{PROC_SUPER_MAGIC, SYSFS_MAGIC};
use abi::{Errno, Result};

use crate::file::File;
use crate::pseudo::file::{OpenBytes, OpenText};
use crate::pseudo::node::{Directory, Node};
use crate::status::{Kind, Status, Time};
use crate::vfs::{Caching, DirEntry, Inode, LinkTarget, Superblock, Unbacked, VisitEntry};

/// Where Linux's procfs and sysfs differ in what they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Texts have no size, and as many bytes as they need. Any file can be opened for writing,
    /// and says then that it takes nothing. There are no names without a file.
    Proc,
    /// Texts have a page, as stat(2) says, and are mostly shorter. Files that take nothing
    /// cannot be opened for writing, nor those for reading that tell nothing.
    Sys,
}

impl Manners {
    /// Most bytes of a text.
    pub(super) fn most_shown(self) -> usize {
        match self {
            // A process with as many mappings as it may have stays below.
            Self::Proc => 16 << 20,
            Self::Sys => 4096,
        }
    }

    /// As statfs(2) has it.
    fn magic(self) -> u32 {
        match self {
            Self::Proc => PROC_SUPER_MAGIC,
            Self::Sys => SYSFS_MAGIC,
        }
    }

    fn size_of_text(self) -> u64 {
        match self {
            Self::Proc => 0,
            Self::Sys => 4096,
        }
    }
}

/// Most bytes that one write brings, in both.
pub(super) const MOST_STORED: usize = 4096;

/// A node, with what the VFS wants to know.
pub(super) struct NodeInode {
    node: Node,
    number: u64,
    manners: Manners,
    /// When somebody first came here.
    made: Time,
}

/// The superblock of a pseudo file system.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn superblock(
    kind: &'static str,
    root: Arc<dyn Directory>,
    manners: Manners,
) -> Result<Arc<Superblock>> {
    let root = Arc::new(NodeInode::new(Node::Directory(root), 1, manners));
    let backing = Arc::new(Unbacked { magic: manners.magic() });
    Superblock::new(kind, root, backing, Caching::WhileUsed, false)
}

/// The inode number of what is called `name` in the directory of number `directory`: always the
/// same, and hardly ever that of another file (FNV-1a).
fn number_of(directory: u64, name: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const FACTOR: u64 = 0x100_0000_01b3;
    let number = directory.to_le_bytes();
    let bytes = number.iter().chain(name);
    let hash = bytes.fold(START, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FACTOR));
    // 0 is none and 1 the root.
    hash.max(2)
}

impl NodeInode {
    fn new(node: Node, number: u64, manners: Manners) -> Self {
        Self { node, number, manners, made: Time::now() }
    }

    fn directory(&self) -> Result<&dyn Directory> {
        match &self.node {
            Node::Directory(directory) => Ok(&**directory),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

impl fmt::Debug for NodeInode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeInode({}, {:?})", self.number, self.node)
    }
}

impl Inode for NodeInode {
    fn kind(&self) -> Kind {
        self.node.kind()
    }

    fn status(&self) -> Status {
        let size = match &self.node {
            Node::Text(_) => self.manners.size_of_text(),
            Node::Bytes(bytes) => bytes.size().unwrap_or(0),
            Node::Directory(_) | Node::Link(_) => 0,
        };
        Status {
            inode: self.number,
            mode: self.kind().mode() | self.node.mode(),
            links: if self.kind() == Kind::Directory { 2 } else { 1 },
            size,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            ..Status::default()
        }
    }

    fn open(self: Arc<Self>, flags: u32) -> Result<Arc<dyn File>> {
        if self.manners == Manners::Sys {
            let (reads, writes) = (flags & O_ACCMODE != O_WRONLY, flags & O_ACCMODE != O_RDONLY);
            let mode = self.node.mode();
            if reads && mode & 0o444 == 0 || writes && mode & 0o222 == 0 {
                return Err(Errno::EACCES);
            }
        }
        match &self.node {
            Node::Text(text) => Ok(Arc::new(OpenText::new(text.clone(), self.clone()))),
            Node::Bytes(bytes) => Ok(Arc::new(OpenBytes::new(bytes.clone(), self.clone()))),
            // The VFS does not ask for these.
            Node::Directory(_) | Node::Link(_) => Err(Errno::EINVAL),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
        let directory = self.directory()?;
        let found = match core::str::from_utf8(name) {
            Ok(name) => directory.find(name)?,
            Err(_) => None,
        };
        match found {
            Some(node) => {
                let number = number_of(self.number, name);
                Ok(Some(Arc::new(Self::new(node, number, self.manners))))
            }
            None if self.manners == Manners::Proc => Err(Errno::ENOENT),
            None => Ok(None),
        }
    }

    /// Positions are keys.
    fn entries(&self, position: u64, visit: &mut VisitEntry<'_>) -> Result<()> {
        self.directory()?.list(position, &mut |key, name, kind| {
            let name = name.as_bytes();
            let inode = number_of(self.number, name);
            let Some(next) = key.checked_add(1) else { return ControlFlow::Break(()) };
            visit(DirEntry { name, inode, kind, next })
        })
    }

    fn link_target(&self) -> Result<LinkTarget<'_>> {
        match &self.node {
            Node::Link(link) => link.target(),
            _ => Err(Errno::EINVAL),
        }
    }

    /// There is no length that could be set, but `O_TRUNC` is what shells open with: whatever
    /// is written then replaces what was there, as it does anyway.
    fn set_len(&self, _len: u64) -> Result<()> {
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.node.is_current()
    }
}

impl NodeInode {
    /// Most bytes of its text.
    pub(super) fn most_shown(&self) -> usize {
        self.manners.most_shown()
    }

    /// What is said to who writes to a file that takes nothing, or reads one that tells
    /// nothing.
    pub(super) fn check(&self, permissions: u32) -> Result<()> {
        if self.node.mode() & permissions == 0 { Err(Errno::EIO) } else { Ok(()) }
    }
}
