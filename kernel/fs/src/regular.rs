//! Open files of the tree: [`RegularFile`] and [`DirectoryFile`]. The tree is read-only.

use alloc::sync::Arc;

use abi::{Errno, Result};
use memory::user::UserSlice;
use vm::MemoryObject;

use crate::file::{File, Status};
use crate::inode::Inode;
use crate::tree_object::TreeObject;

/// A file with bytes.
#[derive(Debug)]
pub struct RegularFile {
    inode: Inode,
    object: Arc<TreeObject>,
}

impl RegularFile {
    /// The file `inode`.
    pub fn new(inode: Inode) -> Self {
        Self { inode, object: Arc::new(inode.object()) }
    }
}

impl File for RegularFile {
    fn read(&self, position: u64, to: UserSlice) -> Result<usize> {
        let from = usize::try_from(position).ok().and_then(|at| self.inode.bytes().get(at..));
        Ok(to.write(from.unwrap_or_default())?)
    }

    fn write(&self, _position: u64, _from: UserSlice) -> Result<usize> {
        Err(Errno::EROFS)
    }

    fn status(&self) -> Status {
        self.inode.status()
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn object(&self) -> Result<Arc<dyn MemoryObject>> {
        Ok(self.object.clone())
    }
}

/// A directory, opened to be the start of relative paths.
#[derive(Debug)]
pub struct DirectoryFile(pub Inode);

impl File for DirectoryFile {
    fn read(&self, _position: u64, _to: UserSlice) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn write(&self, _position: u64, _from: UserSlice) -> Result<usize> {
        Err(Errno::EISDIR)
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    fn directory(&self) -> Option<Inode> {
        Some(self.0)
    }
}
