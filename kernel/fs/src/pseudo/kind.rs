//! [`PseudoKind`]: a pseudo file system as a kind to be mounted. It is one and the same wherever
//! it is mounted.

use alloc::sync::Arc;

use abi::{Errno, Result};
use task::{Mutex, named_mutex};

use crate::pseudo::folder::Folder;
use crate::pseudo::inode::{Manners, superblock};
use crate::vfs::{FileSystem, MountRequest, Superblock};

/// A pseudo file system.
pub(crate) struct PseudoKind {
    name: &'static str,
    place: &'static str,
    manners: Manners,
    root: fn() -> &'static Arc<Folder>,
    /// Made by the first mount, and kept.
    superblock: Mutex<Option<Arc<Superblock>>>,
}

impl PseudoKind {
    /// The one with that name and root, which is usually mounted at `place`.
    pub(crate) const fn new(
        name: &'static str,
        place: &'static str,
        manners: Manners,
        root: fn() -> &'static Arc<Folder>,
    ) -> Self {
        let superblock = named_mutex("pseudo file system", None);
        Self { name, place, manners, root, superblock }
    }
}

impl FileSystem for PseudoKind {
    fn name(&self) -> &'static str {
        self.name
    }

    fn usual_place(&self) -> Option<&'static str> {
        Some(self.place)
    }

    fn superblock(&self, request: &MountRequest<'_>) -> Result<Arc<Superblock>> {
        if !request.options.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut kept = self.superblock.lock();
        if let Some(superblock) = &*kept {
            return Ok(superblock.clone());
        }
        let made = superblock(self.name, (self.root)().clone(), self.manners)?;
        *kept = Some(made.clone());
        Ok(made)
    }
}
