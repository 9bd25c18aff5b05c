//! [`Inode`]: a file, directory, symbolic link or device node of the tree.
//!
//! The tree never changes once it is mounted, so inodes are plain references to it.

use alloc::vec::Vec;

use crate::file::Status;
use crate::tree_object::TreeObject;
use abi::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

/// What the tree keeps of an inode.
#[derive(Debug)]
pub(crate) struct InodeData {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
    /// Major and minor number of a device node.
    pub(crate) rdev: (u32, u32),
    /// The contents of a file, the target of a symbolic link; empty for others.
    pub(crate) data: &'static [u8],
    /// The entries of a directory, sorted by name; indices into the tree.
    pub(crate) entries: Vec<(&'static [u8], usize)>,
    /// The directory that a directory is in.
    pub(crate) parent: usize,
}

impl InodeData {
    pub(crate) fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

/// All inodes; the root is the first.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) inodes: Vec<InodeData>,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device node, FIFO or socket: there is nothing behind it yet.
    Special,
}

/// One file of the tree. Copying it copies a reference.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    pub(crate) tree: &'static Tree,
    pub(crate) index: usize,
}

impl PartialEq for Inode {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.tree, other.tree) && self.index == other.index
    }
}

impl Inode {
    fn inode(&self, index: usize) -> Self {
        Self { tree: self.tree, index }
    }

    fn data(&self) -> &'static InodeData {
        match self.tree.inodes.get(self.index) {
            Some(data) => data,
            None => unreachable!("inode {} of {}", self.index, self.tree.inodes.len()),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.data().mode & S_IFMT {
            S_IFREG => Kind::Regular,
            S_IFDIR => Kind::Directory,
            S_IFLNK => Kind::Symlink,
            _ => Kind::Special,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == Kind::Directory
    }

    /// Type and permissions, as `st_mode`.
    pub fn mode(&self) -> u32 {
        self.data().mode
    }

    /// Whether anybody may execute it.
    pub fn is_executable(&self) -> bool {
        self.data().mode & 0o111 != 0
    }

    /// The bytes of a file, or the target of a symbolic link; none for others.
    pub fn bytes(&self) -> &'static [u8] {
        self.data().data
    }

    /// The bytes of a file, to be mapped.
    pub fn object(&self) -> TreeObject {
        TreeObject::new(*self)
    }

    /// The entries of a directory by name, without `.` and `..`; none for others.
    pub fn entries(&self) -> impl Iterator<Item = (&'static [u8], Self)> {
        let this = *self;
        self.data().entries.iter().map(move |(name, index)| (*name, this.inode(*index)))
    }

    /// The entry of a directory with that name.
    pub fn entry(&self, name: &[u8]) -> Option<Self> {
        let entries = &self.data().entries;
        let at = entries.binary_search_by(|(entry, _)| (*entry).cmp(name)).ok()?;
        entries.get(at).map(|(_, index)| self.inode(*index))
    }

    /// The directory that a directory is in; the root is in itself.
    pub fn parent(&self) -> Self {
        self.inode(self.data().parent)
    }

    /// A path to it from the root, one of them if it has several. Looks through the whole
    /// tree.
    pub(crate) fn path(&self) -> Vec<u8> {
        if self.index == 0 {
            return Vec::new();
        }
        for (above, data) in self.tree.inodes.iter().enumerate() {
            if let Some((name, _)) = data.entries.iter().find(|(_, index)| *index == self.index) {
                let mut path = self.inode(above).path();
                path.push(b'/');
                path.extend_from_slice(name);
                return path;
            }
        }
        Vec::new()
    }

    /// What stat(2) tells.
    pub fn status(&self) -> Status {
        let data = self.data();
        Status {
            inode: self.index as u64 + 1,
            mode: data.mode,
            links: data.nlink,
            uid: data.uid,
            gid: data.gid,
            rdev: data.rdev,
            size: data.data.len() as u64,
            mtime: data.mtime.into(),
        }
    }
}
