//! [`TreeObject`]: the bytes of a file of the tree, to be mapped.

use alloc::vec::Vec;
use core::fmt::{self, Debug};

use spin::Once;
use vm::{MemoryObject, ObjectError, StaticBytes};

use crate::inode::Inode;

/// The bytes, with the path to the file.
pub struct TreeObject {
    inode: Inode,
    /// Looked for when somebody asks.
    path: Once<Vec<u8>>,
}

impl TreeObject {
    pub(crate) fn new(inode: Inode) -> Self {
        Self { inode, path: Once::new() }
    }
}

impl Debug for TreeObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeObject({:?})", StaticBytes(self.inode.bytes()))
    }
}

impl MemoryObject for TreeObject {
    fn len(&self) -> u64 {
        self.inode.bytes().len() as u64
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<(), ObjectError> {
        StaticBytes(self.inode.bytes()).read_at(offset, to)
    }

    fn name(&self) -> &[u8] {
        self.path.call_once(|| self.inode.path())
    }
}
