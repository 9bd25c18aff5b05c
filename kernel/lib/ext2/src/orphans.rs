//! Inodes without a name that are still there: [`Orphan`], [`Ext2::release`].
//!
//! An inode that loses its last name is marked as deleted on the disk at once: whoever has it
//! open goes on using it, and if the power is cut, e2fsck finds it deleted. Its blocks are
//! given back when nobody has it open any more.
//!
//! It is otherwise if a rename put another inode in its place: then it stays on the disk as it
//! is until the block with the changed entry has been written, so that the name never stands
//! for nothing.
//!
//! ext3 keeps a list of such inodes on the disk. Here it is not kept, for e2fsck needs it only
//! where a journal makes all else good; but one that is found is worked off.

use zerocopy::FromBytes;

use crate::error::{Corrupt, Damage, Error, Place};
use crate::fs::Ext2;
use crate::layout::inode::{FileKind, Time, set_time};
use crate::layout::time::Timestamp;
use crate::layout::xattr::{RawXattr, XATTR_MAGIC};
use crate::names::Removed;
use crate::order::BlockKind;
use crate::storage::Storage;

/// An inode without a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orphan {
    /// The block of a directory that must be on the disk before the inode is marked as
    /// deleted.
    after: Option<u32>,
    /// Nobody has it open.
    released: bool,
    /// It never had a name, and may get one.
    unnamed: bool,
    /// When it lost its name, in seconds since 1970, and never 0.
    deleted: u32,
}

impl<S: Storage> Ext2<S> {
    /// Makes sure that there is room for one more orphan.
    pub(crate) fn reserve_orphan(&mut self) -> Result<(), Error> {
        self.orphans.try_reserve(1).map_err(|_| Error::NoMemory)
    }

    /// An inode that had `links` names loses one; with the last it becomes an orphan, for
    /// which there is room. It has been touched.
    pub(crate) fn lose_link(
        &mut self,
        inode: u32,
        links: u32,
        after: Option<u32>,
        now: Timestamp,
    ) -> Result<Removed, Error> {
        let left = links.saturating_sub(1);
        if left == 0 {
            let deleted = now.unsigned().max(1);
            self.orphans.insert(inode, Orphan { after, released: false, unnamed: false, deleted });
        }
        self.change_inode(inode, |raw, extra| {
            set_time(raw, extra, Time::Change, now);
            if left > 0 {
                raw.links = (left as u16).into();
            }
        })?;
        if left == 0 && after.is_none() {
            self.mark_deleted(inode)?;
        }
        Ok(Removed { inode, links: left })
    }

    /// Keeps an inode without a name, for which there is room.
    pub(crate) fn add_orphan(&mut self, inode: u32, deleted: u32, unnamed: bool) {
        let orphan = Orphan { after: None, released: false, unnamed, deleted };
        self.orphans.insert(inode, orphan);
    }

    /// Whether an inode never had a name and may get one.
    pub(crate) fn is_unnamed(&self, inode: u32) -> bool {
        self.orphans.get(&inode).is_some_and(|orphan| orphan.unnamed && !orphan.released)
    }

    /// Makes the disk see that an orphan is deleted.
    fn mark_deleted(&mut self, inode: u32) -> Result<(), Error> {
        let Some(orphan) = self.orphans.get_mut(&inode) else { return Ok(()) };
        orphan.after = None;
        let deleted = orphan.deleted;
        self.change_inode(inode, |raw, _| {
            raw.links = 0.into();
            raw.delete_time = deleted.into();
        })
    }

    /// Nobody has this inode open any more. If it has no name, it is deleted, with all that it
    /// has; else nothing happens. It must be called for each inode that lost its last name.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: it is deleted later. Damage or a failure of the device: what can
    /// be given back has been.
    pub fn release(&mut self, inode: u32) -> Result<(), Error> {
        self.trim(inode);
        let Some(orphan) = self.orphans.get_mut(&inode) else { return Ok(()) };
        orphan.released = true;
        if orphan.after.is_some() { Ok(()) } else { self.delete(inode) }
    }

    /// Whether there are inodes without a name.
    pub fn has_nameless(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Whether something is to be deleted as soon as everything is written back.
    pub(crate) fn has_deferred_work(&self) -> bool {
        self.orphans.values().any(|orphan| orphan.released)
    }

    /// Collects the orphans that wait for one of these blocks, which are sorted.
    pub(crate) fn orphans_waiting_for(
        &self,
        blocks: &[u32],
    ) -> Result<alloc::vec::Vec<u32>, Error> {
        let mut waiting = alloc::vec::Vec::new();
        for (inode, orphan) in &self.orphans {
            if orphan.after.is_some_and(|block| blocks.binary_search(&block).is_ok()) {
                waiting.try_reserve(1).map_err(|_| Error::NoMemory)?;
                waiting.push(*inode);
            }
        }
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// The blocks that these orphans waited for are on the disk.
    pub(crate) fn orphans_may_go(&mut self, inodes: &[u32]) {
        for inode in inodes {
            let done = self.mark_deleted(*inode);
            self.log(*inode, done);
        }
    }

    /// A block is no longer one of a directory: nobody waits for it any more.
    pub(crate) fn orphans_lost_block(&mut self, block: u32) {
        loop {
            let mut waiting = self.orphans.iter().filter(|(_, orphan)| orphan.after == Some(block));
            let Some(inode) = waiting.next().map(|(inode, _)| *inode) else { return };
            let done = self.mark_deleted(inode);
            self.log(inode, done);
        }
    }

    /// Deletes the orphans that nobody has open and that wait for nothing.
    pub(crate) fn delete_released(&mut self) {
        loop {
            let ready = |orphan: &Orphan| orphan.released && orphan.after.is_none();
            let mut inodes = self.orphans.iter().filter(|(_, orphan)| ready(orphan));
            let Some(inode) = inodes.next().map(|(inode, _)| *inode) else { return };
            match self.delete(inode) {
                // The next time.
                Err(Error::NoMemory) => return,
                done => self.log(inode, done),
            }
        }
    }

    /// Deletes all orphans, whoever has them open.
    pub(crate) fn release_orphans(&mut self) -> Result<(), Error> {
        for orphan in self.orphans.values_mut() {
            orphan.released = true;
        }
        self.delete_released();
        if self.orphans.values().any(|orphan| orphan.after.is_none()) {
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Keeps an error that nobody waits for.
    fn log(&mut self, inode: u32, result: Result<(), Error>) {
        match result {
            Ok(()) => {}
            Err(Error::Corrupt(corrupt)) => self.note(corrupt),
            // The blocks of this inode are lost until e2fsck finds them.
            Err(_) => self.note(Corrupt { place: Place::Inode(inode), damage: Damage::BadOrphan }),
        }
    }

    /// Deletes an orphan, with its blocks. Only lack of memory lets it be one still.
    fn delete(&mut self, inode: u32) -> Result<(), Error> {
        let raw = self.look_at_inode(inode, |raw, _| raw.clone());
        let result = raw.and_then(|raw| {
            self.prepare_free_inode(inode)?;
            let mut result = Ok(());
            if self.has_blocks(&raw) {
                result = self.cut_blocks(inode, 0);
            }
            if result != Err(Error::NoMemory) && raw.xattr_block.get() != 0 {
                result = result.and(self.drop_attributes(inode, raw.xattr_block.get()));
            }
            if result == Err(Error::NoMemory) {
                return result;
            }
            self.change_inode(inode, |raw, _| {
                raw.set_size(0);
                raw.sectors = 0.into();
                raw.pointers.fill(0.into());
            })?;
            result.and(self.free_inode(inode, raw.kind() == Some(FileKind::Directory)))
        });
        if result != Err(Error::NoMemory) {
            self.indices.drop_one(inode);
            self.orphans.remove(&inode);
            self.order.forget_inode(inode);
        }
        result
    }

    /// Gives up an inode's share of a block of extended attributes.
    fn drop_attributes(&mut self, inode: u32, block: u32) -> Result<(), Error> {
        self.check_pointer(inode, block)?;
        let damaged = Place::Block { inode, block }.is(Damage::BadAttributes);
        let look = |bytes: &[u8]| {
            let (raw, _) = RawXattr::ref_from_prefix(bytes).ok()?;
            Some(raw.references.get()).filter(|_| raw.magic.get() == XATTR_MAGIC)
        };
        match self.read_block(block, look)? {
            None | Some(0) => return Err(damaged),
            Some(1) => {
                self.prepare_free(block, 1)?;
                self.change_inode(inode, |raw, _| raw.xattr_block = 0.into())?;
                self.free_run(inode, block, 1)?;
                self.forget_block(block);
            }
            Some(references) => {
                self.change_file_block(block, BlockKind::Attributes, inode, |bytes| {
                    if let Ok((raw, _)) = RawXattr::mut_from_prefix(bytes) {
                        raw.references = (references - 1).into();
                    }
                })?;
                self.change_inode(inode, |raw, _| raw.xattr_block = 0.into())?;
            }
        }
        Ok(())
    }

    /// Works off the list of orphans that the superblock begins: those without a name are
    /// deleted, of the others what is behind their end is given back.
    pub(crate) fn delete_listed_orphans(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut next = self.superblock.last_orphan.get();
        if next == 0 {
            return Ok(());
        }
        self.superblock.last_orphan = 0.into();
        self.state.superblock_dirty = true;
        // Each is taken from the list, so it comes to an end.
        while next != 0 {
            let inode = next;
            let damaged = Corrupt { place: Place::Inode(inode), damage: Damage::BadOrphan };
            let good = self.geometry.is_file_inode(inode) && !self.orphans.contains_key(&inode);
            if !good {
                self.note(damaged);
                break;
            }
            let raw = self.look_at_inode(inode, |raw, _| raw.clone())?;
            next = raw.delete_time.get();
            if !self.is_inode_taken(inode)? || raw.kind().is_none() {
                self.note(damaged);
                break;
            }
            let done = if raw.links.get() == 0 {
                self.reserve_orphan()?;
                let deleted = now.unsigned().max(1);
                self.add_orphan(inode, deleted, false);
                self.mark_deleted(inode)?;
                self.release(inode)
            } else {
                self.change_inode(inode, |raw, _| raw.delete_time = 0.into())?;
                let kept = raw.size().div_ceil(self.geometry.block_size as u64);
                if raw.kind() == Some(FileKind::Regular) {
                    self.cut_blocks(inode, kept)
                } else {
                    Ok(())
                }
            };
            self.note_damage(done)?;
        }
        Ok(())
    }
}
