//! Targets of symbolic links: [`Ext2::read_link`].
//!
//! A target of less than 60 bytes is in the inode, in place of the pointers; a longer one is in
//! a block.

use zerocopy::IntoBytes;

use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::layout::inode::{FileKind, INLINE, RawInode};
use crate::storage::Storage;

impl<S: Storage> Ext2<S> {
    /// Whether the target of a symbolic link is in the inode: then it has no blocks, but for
    /// that of its attributes.
    pub(crate) fn is_fast_symlink(&self, raw: &RawInode) -> bool {
        let attributes = if raw.xattr_block.get() == 0 { 0 } else { self.geometry.sectors() };
        raw.sectors.get() == attributes
    }

    /// Lets `look` see the target of a symbolic link, which has no NUL in it. `look` must not
    /// come back to the file system or the store.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the inode is no symbolic link; damage; a failure of the device.
    pub fn read_link<R>(&self, inode: u32, look: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
        let raw = self.raw_inode(inode)?;
        if raw.kind() != Some(FileKind::Symlink) {
            return Err(Error::Invalid);
        }
        let damaged = Place::Inode(inode).is(Damage::BadTarget);
        let Ok(size) = usize::try_from(raw.size()) else { return Err(damaged) };
        let good = |target: &&[u8]| !target.is_empty() && !target.contains(&0);
        if self.is_fast_symlink(&raw) {
            let target = raw.pointers.as_bytes().get(..size).filter(|_| size < INLINE);
            return target.filter(good).map(look).ok_or(damaged);
        }
        let block = self.map_one(inode, &raw.pointers, 0)?;
        if block == 0 {
            return Err(damaged);
        }
        self.read_block(block, |bytes| bytes.get(..size).filter(good).map(look))?.ok_or(damaged)
    }
}
