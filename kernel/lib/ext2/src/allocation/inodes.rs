//! Taking inodes and giving them back.
//!
//! A file goes into the group of its directory, so that what is used together lies together.
//! A directory goes there too while the group is not fuller than others and has not had many
//! directories lately; directories of the root are spread over the disk (the idea is that of
//! Grigoriy Orlov, first in 4.4BSD).

use crate::bits::{self, Bits};
use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::geometry::ROOT_INODE;
use crate::groups::Group;
use crate::layout::inode::InodeFlags;
use crate::order::BlockKind;
use crate::storage::Storage;

/// A directory counts as much as so many blocks at least.
const BLOCK_COST: u32 = 256;
/// And as so many inodes.
const INODE_COST: u32 = 64;

impl<S: Storage> Ext2<S> {
    /// Takes an inode for a file in the directory `parent`, which has `flags`.
    ///
    /// # Errors
    /// [`Error::NoInodes`], or [`Error::WriteBackFirst`] if inodes have been freed lately.
    pub(crate) fn take_inode(
        &mut self,
        parent: u32,
        flags: InodeFlags,
        directory: bool,
    ) -> Result<u32, Error> {
        let home = self.geometry.group_of_inode(parent);
        // A group whose bitmap has none, whatever its counter says, is given up: so there are
        // no more rounds than groups.
        for _ in 0..self.geometry.groups {
            let group = if !directory {
                self.group_for_file(home, parent)
            } else if parent == ROOT_INODE || flags.contains(InodeFlags::TOP_DIRECTORY) {
                self.group_for_top(home).or_else(|| self.group_for_directory(home))
            } else {
                self.group_for_directory(home)
            };
            let Some(group) = group else { break };
            if let Some(inode) = self.take_inode_in(group, directory)? {
                return Ok(inode);
            }
        }
        if self.groups.totals().held_inodes > 0 || self.has_deferred_work() {
            return Err(Error::WriteBackFirst);
        }
        Err(Error::NoInodes)
    }

    /// The first group that fits, going round from `start`.
    fn first_group(&self, start: u32, fits: impl Fn(&Group) -> bool) -> Option<u32> {
        let groups = self.geometry.groups;
        let mut numbers = (start..groups).chain(0..start.min(groups));
        numbers.find(|number| {
            self.groups.at(*number).is_some_and(|group| group.available_inodes() > 0 && fits(group))
        })
    }

    fn group_for_file(&self, home: u32, parent: u32) -> Option<u32> {
        let fits = |group: &Group| group.available_inodes() > 0 && group.available_blocks() > 0;
        if self.groups.at(home).is_some_and(fits) {
            return Some(home);
        }
        // Files of one full directory go on together in another group, those of others
        // elsewhere.
        let groups = self.geometry.groups;
        let mut number = ((u64::from(home) + u64::from(parent)) % u64::from(groups)) as u32;
        let mut step = 1;
        while step < groups {
            number = (number + step) % groups;
            if self.groups.at(number).is_some_and(fits) {
                return Some(number);
            }
            step *= 2;
        }
        self.first_group(home, |group| group.available_blocks() > 0)
            .or_else(|| self.first_group(home, |_| true))
    }

    /// For a directory of the root: of the groups that are not fuller than others that with
    /// the fewest directories.
    fn group_for_top(&mut self, home: u32) -> Option<u32> {
        let totals = self.groups.totals();
        let groups = self.geometry.groups;
        self.spread = self.spread.wrapping_add(1);
        // The multiplier scatters what counts up.
        let start = (home.wrapping_add(self.spread)).wrapping_mul(0x9e37_79b1) % groups;
        let (inodes, blocks) = (totals.free_inodes / groups, totals.free_blocks / groups);
        let fits = |number: &u32| {
            self.groups.at(*number).is_some_and(|group| {
                let available = group.available_inodes();
                available > 0 && available >= inodes && group.available_blocks() >= blocks
            })
        };
        let fitting = (start..groups).chain(0..start).filter(fits);
        fitting.min_by_key(|number| self.groups.at(*number).map(|group| group.directories))
    }

    /// For another directory: the nearest group behind its parent's that is not too full and
    /// has not had too many directories lately.
    fn group_for_directory(&self, home: u32) -> Option<u32> {
        let totals = self.groups.totals();
        let geometry = &self.geometry;
        let groups = geometry.groups;
        let (inodes, blocks) = (totals.free_inodes / groups, totals.free_blocks / groups);
        let most_directories = totals.directories / groups + geometry.inodes_per_group / 16;
        let least_inodes = inodes.saturating_sub(geometry.inodes_per_group / 4);
        let least_blocks = blocks.saturating_sub(geometry.blocks_per_group / 4);
        let used = geometry.blocks.saturating_sub(totals.free_blocks);
        let per_directory = used / totals.directories.max(1);
        let debt = (geometry.blocks_per_group / per_directory.max(BLOCK_COST))
            .min(geometry.inodes_per_group / INODE_COST)
            .clamp(1, 255);
        let best = |group: &Group| {
            group.directories < most_directories
                && u32::from(group.debt) < debt
                && group.available_inodes() >= least_inodes
                && group.available_blocks() >= least_blocks
        };
        self.first_group(home, best)
            .or_else(|| self.first_group(home, |group| group.available_inodes() >= inodes))
            .or_else(|| self.first_group(home, |_| true))
    }

    /// Takes an inode in one group; `None` if its bitmap has none.
    fn take_inode_in(&mut self, number: u32, directory: bool) -> Result<Option<u32>, Error> {
        let Some(group) = self.groups.at(number) else { return Ok(None) };
        let bitmap = group.inode_bitmap;
        let end = self.geometry.inodes_per_group as usize;
        let over = self.held.over(bitmap);
        let look = |bytes: &[u8]| Bits::with(bytes, over).next_clear(0..end);
        let found = self.storage.read(bitmap, look).map_err(|error| error.at(bitmap))?;
        let Some(bit) = found else {
            self.give_up_group(number, Damage::WrongCount);
            return Ok(None);
        };
        let inode = number * self.geometry.inodes_per_group + bit as u32 + 1;
        if inode < self.geometry.first_inode {
            self.give_up_group(number, Damage::MetadataFree);
            return Ok(None);
        }
        let set =
            self.change_block(bitmap, BlockKind::Bitmap, |bytes| bits::set(bytes, bit..bit + 1))?;
        if !set {
            self.give_up_group(number, Damage::WrongCount);
            return Ok(None);
        }
        self.groups.change(number, |group| {
            group.free_inodes = group.free_inodes.saturating_sub(1);
            group.directories += u32::from(directory);
            group.debt =
                if directory { group.debt.saturating_add(1) } else { group.debt.saturating_sub(1) };
            group.dirty = true;
        });
        Ok(Some(inode))
    }

    /// Makes it possible to free an inode without memory.
    pub(crate) fn prepare_free_inode(&mut self, inode: u32) -> Result<(), Error> {
        let group = self.geometry.group_of_inode(inode);
        let bitmap = self.groups.at(group).map_or(0, |group| group.inode_bitmap);
        self.held.prepare(bitmap, self.geometry.block_size, group, true)?;
        self.change_block(bitmap, BlockKind::Bitmap, |_| ())
    }

    /// Frees an inode that [`prepare_free_inode`](Self::prepare_free_inode) was called for;
    /// it cannot be taken again before everything has been written back.
    pub(crate) fn free_inode(&mut self, inode: u32, directory: bool) -> Result<(), Error> {
        if self.clear_inode_bit(inode, directory)? {
            let group = self.geometry.group_of_inode(inode);
            let bitmap = self.groups.at(group).map_or(0, |group| group.inode_bitmap);
            let bit = self.inode_bit(inode);
            self.held.hold(bitmap, bit..bit + 1, &mut self.groups);
            Ok(())
        } else {
            Err(Place::Inode(inode).is(Damage::DoubleFree))
        }
    }

    /// Gives back an inode that nothing in memory or on the disk refers to.
    pub(crate) fn untake_inode(&mut self, inode: u32, directory: bool) {
        // It was taken just now: the bitmap is in memory, and the bit is set. If the store
        // fails all the same, it stays taken until e2fsck finds it.
        let _ = self.clear_inode_bit(inode, directory);
    }

    /// Whether an inode is marked as in use.
    pub(crate) fn is_inode_taken(&self, inode: u32) -> Result<bool, Error> {
        let group = self.geometry.group_of_inode(inode);
        let bitmap = self.groups.at(group).map_or(0, |group| group.inode_bitmap);
        let bit = self.inode_bit(inode);
        self.read_block(bitmap, |bytes| Bits::new(bytes).next_set(bit..bit + 1).is_some())
    }

    fn inode_bit(&self, inode: u32) -> usize {
        (inode.saturating_sub(1) % self.geometry.inodes_per_group) as usize
    }

    fn clear_inode_bit(&mut self, inode: u32, directory: bool) -> Result<bool, Error> {
        let number = self.geometry.group_of_inode(inode);
        let bitmap = self.groups.at(number).map_or(0, |group| group.inode_bitmap);
        let bit = self.inode_bit(inode);
        let cleared =
            self.change_block(bitmap, BlockKind::Bitmap, |bytes| bits::clear(bytes, bit..bit + 1))?;
        if cleared {
            let most = self.geometry.inodes_per_group;
            self.groups.change(number, |group| {
                group.free_inodes = (group.free_inodes + 1).min(most);
                group.directories = group.directories.saturating_sub(u32::from(directory));
                group.dirty = true;
            });
        }
        Ok(cleared)
    }
}
