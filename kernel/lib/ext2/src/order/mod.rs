//! In which order the disk may see what has changed: [`Order`].
//!
//! Changes are made in memory. They reach the disk in batches, each a snapshot of all that is
//! dirty, or of what one file needs ([`Scope`](crate::Scope)). Within a batch some blocks must
//! be on the disk before others, so that a cut of the power between any two writes leaves what
//! e2fsck mends without loss. What must come first is a graph of two kinds of [`Node`]: a
//! dirty block, and "this inode has a name on the disk".
//!
//! - A block must come after a *fresh* block that it points to (`needs`): an indirect block, a
//!   block of a directory. Else the disk would point to garbage.
//! - A block of a directory in which an inode lost a name that the disk may have (`drops`)
//!   must come after the inode has another name (`young`): a name is on the disk if the block
//!   of the directory is, the inode, and the way to the directory.
//! - Blocks of directories should come after the inodes that they name for the first time, and
//!   indirect blocks after the inode with the new size. These rules give way if all cannot
//!   hold: a name of an inode that is not there yet e2fsck removes, and no loss comes of it.
//!
//! A move that would close a circle of the first two rules is refused until all is written
//! back (`Error::WriteBackFirst`). What is freed is not used again before a whole batch has
//! been written (`held.rs`), and an inode that a rename put another in the place of stays
//! whole on the disk until the block with the new name is there (`orphans.rs`).
//!
//! Files: `mod.rs` what is recorded, `graph.rs` what must come before what, `levels.rs` a
//! batch in levels, `proposal.rs` a change of names that is recorded or refused, `take.rs` what leaves the record with a batch and comes back if it fails.

mod graph;
mod levels;
mod proposal;
mod take;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use crate::error::Error;

pub(crate) use graph::Closure;
pub(crate) use proposal::Proposal;

/// What a block of metadata holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// The superblock.
    Superblock,
    /// Group descriptors.
    Descriptors,
    /// Bits of blocks or inodes.
    Bitmap,
    /// Inodes.
    Inodes,
    /// Numbers of blocks of a file.
    Indirect,
    /// Entries of a directory.
    Directory,
    /// Extended attributes.
    Attributes,
    /// The target of a symbolic link.
    Target,
}

/// A dirty block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dirty {
    pub(crate) kind: BlockKind,
    /// The inode whose block it is; of a block of inodes the first; 0 for others.
    pub(crate) owner: u32,
    /// The block with the owner.
    pub(crate) home: u32,
    /// Nothing on the disk points to it yet.
    pub(crate) fresh: bool,
}

/// A name that may not be on the disk yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The block of the directory.
    pub(crate) block: u32,
    /// Where in it the entry is. Entries stay where they are.
    pub(crate) offset: u32,
    /// The directory.
    pub(crate) directory: u32,
    /// The block with the directory's inode.
    pub(crate) directory_home: u32,
    /// The block with the inode that is named.
    pub(crate) home: u32,
    /// The block of the directory has been written with the name, so that the name may be on
    /// the disk; what it is reached by may not.
    pub(crate) written: bool,
    /// It is the first name of a new inode, or that after a rename: the disk has no other.
    pub(crate) born: bool,
    /// The inode is a directory.
    pub(crate) is_directory: bool,
}

/// Lists by a number.
type Lists<T> = HashMap<u32, Vec<T>>;

/// What has changed since it was last written.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Dirty blocks.
    dirty: HashMap<u32, Dirty>,
    /// By inode: its dirty blocks, other than that with the inode.
    owned: Lists<u32>,
    /// By block: blocks that must be written before.
    needs: Lists<u32>,
    /// By block of a directory: inodes that lost a name in it that the disk may have.
    drops: Lists<u32>,
    /// By inode: in how many blocks it lost a name.
    losers: HashMap<u32, u32>,
    /// By inode: names that may not be on the disk.
    young: Lists<Name>,
    /// By block of a directory: inodes with young names in it, and some that had.
    young_in: Lists<u32>,
    /// Inodes with blocks of data that are not written yet.
    new_data: HashSet<u32>,
    /// Inodes of a block.
    inodes_per_block: u32,
}

/// Adds to a list.
fn push<T>(lists: &mut Lists<T>, key: u32, value: T) -> Result<(), Error> {
    lists.try_reserve(1).map_err(|_| Error::NoMemory)?;
    let list = lists.entry(key).or_default();
    list.try_reserve(1).map_err(|_| Error::NoMemory)?;
    list.push(value);
    Ok(())
}

/// Adds to a list what is not in it.
fn push_new<T: PartialEq>(lists: &mut Lists<T>, key: u32, value: T) -> Result<(), Error> {
    if lists.get(&key).is_some_and(|list| list.contains(&value)) {
        return Ok(());
    }
    push(lists, key, value)
}

impl Order {
    /// Nothing is dirty.
    pub(crate) fn new(inodes_per_block: u32) -> Self {
        Self { inodes_per_block, ..Self::default() }
    }

    /// Whether nothing is dirty.
    pub(crate) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// How many blocks are dirty.
    pub(crate) fn dirty_blocks(&self) -> usize {
        self.dirty.len()
    }

    /// Whether a block is dirty.
    pub(crate) fn is_dirty(&self, block: u32) -> bool {
        self.dirty.contains_key(&block)
    }

    /// Whose block a dirty block is; `None` if it is not dirty.
    pub(crate) fn owner(&self, block: u32) -> Option<u32> {
        self.dirty.get(&block).map(|dirty| dirty.owner)
    }

    /// What a dirty block holds; `None` if it is not dirty.
    pub(crate) fn kind(&self, block: u32) -> Option<BlockKind> {
        self.dirty.get(&block).map(|dirty| dirty.kind)
    }

    /// Records that a block is to be changed.
    pub(crate) fn mark(&mut self, block: u32, dirty: Dirty) -> Result<(), Error> {
        if let Some(before) = self.dirty.get_mut(&block) {
            before.fresh |= dirty.fresh;
            return Ok(());
        }
        self.dirty.try_reserve(1).map_err(|_| Error::NoMemory)?;
        if dirty.is_owned() {
            push(&mut self.owned, dirty.owner, block)?;
        }
        self.dirty.insert(block, dirty);
        Ok(())
    }

    /// Records that `child`, a fresh block, is to be pointed to by `parent`; or that it must
    /// be written before for another reason.
    pub(crate) fn need(&mut self, parent: u32, child: u32) -> Result<(), Error> {
        if parent == child { Ok(()) } else { push_new(&mut self.needs, parent, child) }
    }

    /// Records that an inode gets blocks of data that are to be written before what points to
    /// them.
    pub(crate) fn expect_data(&mut self, inode: u32) -> Result<(), Error> {
        self.new_data.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.new_data.insert(inode);
        Ok(())
    }

    /// The inode has no more data, or none that are to be written.
    pub(crate) fn expect_no_data(&mut self, inode: u32) {
        self.new_data.remove(&inode);
    }

    /// Records a name that an inode gets.
    pub(crate) fn add_name(&mut self, inode: u32, name: Name) -> Result<(), Error> {
        push(&mut self.young, inode, name)?;
        push(&mut self.young_in, name.block, inode)
    }

    /// Forgets that an inode has a name at this place, and returns it, if it was recorded.
    pub(crate) fn remove_name(&mut self, inode: u32, block: u32, offset: u32) -> Option<Name> {
        let list = self.young.get_mut(&inode)?;
        let index = list.iter().position(|name| (name.block, name.offset) == (block, offset))?;
        Some(list.swap_remove(index))
    }

    /// Whether the disk may not have the latest name of this inode.
    pub(crate) fn is_young(&self, inode: u32) -> bool {
        self.young.get(&inode).is_some_and(|names| !names.is_empty())
    }

    /// Whether the disk cannot have this inode under any name: it is new.
    pub(crate) fn is_unknown_to_disk(&self, inode: u32) -> bool {
        let names = self.young.get(&inode).map_or(&[][..], Vec::as_slice);
        names.iter().any(|name| name.born) && names.iter().all(|name| !name.written)
    }

    /// Whether the disk cannot have the name of this inode at this place.
    pub(crate) fn is_name_unknown_to_disk(&self, inode: u32, block: u32, offset: u32) -> bool {
        let here = |name: &&Name| (name.block, name.offset) == (block, offset);
        let names = self.young.get(&inode).map_or(&[][..], Vec::as_slice);
        names.iter().find(here).is_some_and(|name| !name.written)
    }

    /// The inodes that lost names in this block that the disk may have.
    pub(crate) fn dropped(&self, block: u32) -> &[u32] {
        self.drops.get(&block).map_or(&[], Vec::as_slice)
    }

    /// Forgets an inode that has no name any more.
    pub(crate) fn forget_inode(&mut self, inode: u32) {
        self.young.remove(&inode);
        self.new_data.remove(&inode);
    }

    /// Forgets a block that is no longer one of metadata.
    pub(crate) fn forget_block(&mut self, block: u32) {
        let Some(dirty) = self.dirty.remove(&block) else { return };
        self.disown(block, &dirty);
        self.needs.remove(&block);
        let dropped = self.drops.remove(&block).unwrap_or_default();
        self.count_losers_out(&dropped);
        self.young_in.remove(&block);
    }

    /// These inodes are no longer recorded as having lost a name in some block.
    fn count_losers_out(&mut self, inodes: &[u32]) {
        for inode in inodes {
            if let Some(count) = self.losers.get_mut(inode) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.losers.remove(inode);
                }
            }
        }
    }

    /// Takes a block from the list of its owner.
    fn disown(&mut self, block: u32, dirty: &Dirty) {
        if dirty.is_owned()
            && let Some(list) = self.owned.get_mut(&dirty.owner)
        {
            if let Some(index) = list.iter().position(|owned| *owned == block) {
                list.swap_remove(index);
            }
            if list.is_empty() {
                self.owned.remove(&dirty.owner);
            }
        }
    }
}

impl Dirty {
    /// Whether it is a block of one file, other than that with the inode.
    fn is_owned(&self) -> bool {
        matches!(
            self.kind,
            BlockKind::Indirect | BlockKind::Directory | BlockKind::Attributes | BlockKind::Target
        )
    }
}
