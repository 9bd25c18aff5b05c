//! Taking blocks: [`Ext2::take_blocks`].
//!
//! A run is looked for at the goal, then behind it in its group, then in the rest of the
//! group, then in the groups that follow: first in those that have as many as are wanted, then
//! in all. Bitmaps are looked through word by word.

use core::ops::Range;

use crate::bits::{self, Bits};
use crate::error::{Corrupt, Damage, Error, Place};
use crate::fs::Ext2;
use crate::order::BlockKind;
use crate::storage::Storage;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The best block to begin with.
    pub(crate) goal: Goal,
    /// How many blocks, at least 1.
    pub(crate) count: u32,
    /// Whether blocks may be taken that are reserved.
    pub(crate) privileged: bool,
}

/// Where blocks are best.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At this block: what comes before is the same file's.
    At(u32),
    /// In this group, behind what was taken there last.
    Group(u32),
}

impl<S: Storage> Ext2<S> {
    /// Takes a run of up to `wanted.count` blocks, which nothing refers to yet. Returns the
    /// first, and how many there are. What files have in advance is given back before there is
    /// nothing to take.
    pub(crate) fn take_blocks(&mut self, wanted: Wanted) -> Result<(u32, u32), Error> {
        match self.take_free_blocks(wanted) {
            Err(Error::NoSpace | Error::WriteBackFirst) if self.trim_all() => {
                self.take_free_blocks(wanted)
            }
            result => result,
        }
    }

    /// Takes a run of up to `wanted.count` blocks for a file, from what it has in advance if
    /// the goal is there. With `ahead` the file gets about so many more in advance.
    pub(crate) fn take_blocks_for(
        &mut self,
        inode: u32,
        wanted: Wanted,
        ahead: u32,
    ) -> Result<(u32, u32), Error> {
        let Goal::At(goal) = wanted.goal else { return self.take_blocks(wanted) };
        if let Some(run) = self.windows.take(inode, goal, wanted.count) {
            return Ok(run);
        }
        self.trim(inode);
        let scarce = self.groups.totals().free_blocks / 16;
        if ahead == 0 || wanted.count + ahead > scarce {
            return self.take_blocks(wanted);
        }
        if !self.windows.prepare() {
            // Those that grew long ago have theirs still.
            self.trim_all();
            if !self.windows.prepare() {
                return self.take_blocks(wanted);
            }
        }
        let count = wanted.count + ahead;
        let (start, taken) = self.take_blocks(Wanted { count, ..wanted })?;
        let count = taken.min(wanted.count);
        self.windows.give(inode, start + count, taken - count);
        Ok((start, count))
    }

    fn take_free_blocks(&mut self, mut wanted: Wanted) -> Result<(u32, u32), Error> {
        wanted.count = wanted.count.min(self.allowance(wanted.privileged)?);
        let groups = self.geometry.groups;
        let (home, from) = match wanted.goal {
            Goal::At(block) if block < self.geometry.blocks => {
                let group = self.geometry.group_of_block(block);
                (group, block.saturating_sub(self.geometry.group_start(group)))
            }
            Goal::At(_) => (0, 0),
            Goal::Group(group) => (group, self.groups.at(group).map_or(0, |group| group.next)),
        };
        if let Some(run) = self.take_in_group(home, from, wanted.count)? {
            return Ok(run);
        }
        for least in [wanted.count, 1] {
            for step in 1..groups {
                let number = ((u64::from(home) + u64::from(step)) % u64::from(groups)) as u32;
                let Some(group) = self.groups.at(number) else { continue };
                let from = group.next;
                if group.available_blocks() >= least
                    && let Some(run) = self.take_in_group(number, from, wanted.count)?
                {
                    return Ok(run);
                }
            }
        }
        Err(Error::NoSpace)
    }

    /// How many blocks may be taken: 1 or more.
    pub(crate) fn allowance(&self, privileged: bool) -> Result<u32, Error> {
        let reserved = if privileged { 0 } else { self.superblock.reserved_blocks.get() };
        let totals = self.groups.totals();
        match totals.free_blocks.saturating_sub(totals.held_blocks).saturating_sub(reserved) {
            0 if totals.free_blocks > reserved || self.has_deferred_work() => {
                Err(Error::WriteBackFirst)
            }
            0 => Err(Error::NoSpace),
            allowance => Ok(allowance),
        }
    }

    /// Takes a run in one group, best from `from` on; `None` if the group has none.
    fn take_in_group(
        &mut self,
        number: u32,
        from: u32,
        count: u32,
    ) -> Result<Option<(u32, u32)>, Error> {
        let Some(group) = self.groups.at(number) else { return Ok(None) };
        if group.available_blocks() == 0 {
            return Ok(None);
        }
        let bitmap = group.block_bitmap;
        let blocks = self.geometry.group_blocks(number) as usize;
        let (from, count) = ((from as usize).min(blocks), count as usize);
        let over = self.held.over(bitmap);
        let look = |bytes: &[u8]| find(&Bits::with(bytes, over), from, blocks, count);
        let found = self.storage.read(bitmap, look).map_err(|error| error.at(bitmap))?;
        let Some(run) = found else {
            // The counter promised some.
            self.give_up_group(number, Damage::WrongCount);
            return Ok(None);
        };
        let start = self.geometry.group_start(number) + run.start as u32;
        let count = run.len() as u32;
        if !self.groups.is_file_run(&self.geometry, start, count) {
            self.give_up_group(number, Damage::MetadataFree);
            return Ok(None);
        }
        let next = run.end as u32;
        let set = self.change_block(bitmap, BlockKind::Bitmap, |bytes| bits::set(bytes, run))?;
        if !set {
            self.give_up_group(number, Damage::WrongCount);
            return Ok(None);
        }
        self.groups.change(number, |group| {
            group.free_blocks = group.free_blocks.saturating_sub(count);
            group.next = next;
            group.dirty = true;
        });
        Ok(Some((start, count)))
    }

    /// Takes nothing from a group any more: what is on the disk of it is wrong.
    pub(crate) fn give_up_group(&mut self, number: u32, damage: Damage) {
        self.groups.change(number, |group| group.broken = true);
        self.note(Corrupt { place: Place::Group(number), damage });
    }
}

/// A run of clear bits before `end`: at `from`, behind it, or before it.
fn find(bits: &Bits<'_>, from: usize, end: usize, count: usize) -> Option<Range<usize>> {
    let here = bits.clear_from(from, count, end);
    if here > 0 {
        return Some(from..from + here);
    }
    match (bits.find_run(from..end, count), bits.find_run(0..from, count)) {
        (Some(behind), Some(before)) if before.len() > behind.len() => Some(before),
        (Some(behind), _) => Some(behind),
        (None, before) => before,
    }
}
