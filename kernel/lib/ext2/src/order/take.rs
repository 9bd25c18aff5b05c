//! What leaves the record with a batch: [`Order::take_all`], [`Order::take`], and
//! [`Order::restore`] if the batch could not be written.

use super::{BlockKind, Closure, Order, push_new};
use crate::error::Error;

impl Order {
    /// Takes everything: from here on all of it counts as written.
    pub(crate) fn take_all(&mut self) -> Self {
        core::mem::replace(self, Self::new(self.inodes_per_block))
    }

    /// Takes the blocks that `inode` needs. What they hold of other inodes counts as written
    /// only where that is sure.
    pub(crate) fn take(&mut self, inode: u32, closure: &Closure) -> Result<Self, Error> {
        let mut taken = Self::new(self.inodes_per_block);
        let blocks = closure.blocks.len();
        let room = taken.dirty.try_reserve(blocks).is_ok()
            && taken.owned.try_reserve(blocks).is_ok()
            && taken.needs.try_reserve(blocks).is_ok()
            && taken.drops.try_reserve(blocks).is_ok()
            && taken.young_in.try_reserve(blocks).is_ok()
            && taken.young.try_reserve(closure.named.len()).is_ok()
            && taken.new_data.try_reserve(1).is_ok();
        if !room {
            return Err(Error::NoMemory);
        }
        for block in &closure.blocks {
            let Some(dirty) = self.dirty.remove(block) else { continue };
            self.disown(*block, &dirty);
            taken.dirty.insert(*block, dirty);
            move_list(&mut self.needs, &mut taken.needs, *block);
            if let Some(dropped) = self.drops.remove(block) {
                self.count_losers_out(&dropped);
                taken.drops.insert(*block, dropped);
            }
            if dirty.kind == BlockKind::Directory {
                self.mark_names_written(*block);
                move_list(&mut self.young_in, &mut taken.young_in, *block);
            }
        }
        for named in &closure.named {
            move_list(&mut self.young, &mut taken.young, *named);
        }
        if self.new_data.remove(&inode) {
            taken.new_data.insert(inode);
        }
        Ok(taken)
    }

    /// The names in a block are written with it. The inodes, or the way to the directory, may
    /// not be, so they go on being young.
    fn mark_names_written(&mut self, block: u32) {
        for inode in self.young_in.get(&block).into_iter().flatten() {
            for name in self.young.get_mut(inode).into_iter().flatten() {
                name.written |= name.block == block;
            }
        }
    }

    /// Puts back what was taken: it could not be written. Names that were removed meanwhile
    /// come back into the record, so that the order holds as well as it can, not as it would
    /// have without the failure.
    pub(crate) fn restore(&mut self, taken: Self) -> Result<(), Error> {
        for (block, dirty) in taken.dirty {
            self.mark(block, dirty)?;
        }
        for (mine, lists) in [
            (&mut self.needs, taken.needs),
            (&mut self.drops, taken.drops),
            (&mut self.young_in, taken.young_in),
        ] {
            for (key, list) in lists {
                for value in list {
                    push_new(mine, key, value)?;
                }
            }
        }
        self.losers.clear();
        for inodes in self.drops.values() {
            for inode in inodes {
                self.losers.try_reserve(1).map_err(|_| Error::NoMemory)?;
                *self.losers.entry(*inode).or_default() += 1;
            }
        }
        for (inode, names) in taken.young {
            for name in names {
                push_new(&mut self.young, inode, name)?;
            }
        }
        for inode in taken.new_data {
            self.expect_data(inode)?;
        }
        Ok(())
    }
}

/// Moves a list from one map to another that has room.
fn move_list<T>(from: &mut super::Lists<T>, to: &mut super::Lists<T>, key: u32) {
    if let Some(list) = from.remove(&key) {
        to.insert(key, list);
    }
}
