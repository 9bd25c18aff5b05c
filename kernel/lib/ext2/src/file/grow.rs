//! A file gets blocks: [`Ext2::allocate`].

use zerocopy::little_endian::U32;

use super::tree::{self, entries, entries_mut, locate};
use crate::allocation::{Goal, LARGEST, SMALLEST, Wanted};
use crate::error::Error;
use crate::fs::{Caller, Ext2};
use crate::layout::inode::{DIRECT, FileKind, RawInode};
use crate::order::BlockKind;
use crate::storage::Storage;

/// Blocks of the disk that blocks of a file are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The first block of the disk.
    pub start: u32,
    /// How many blocks, at least 1.
    pub count: u32,
    /// They were taken just now, and hold what was in them before: all of them must be
    /// written before the next batch is.
    pub new: bool,
}

/// Where blocks are to be put: the pointers, and what is missing above them.
struct Gap {
    place: tree::Place,
    /// The lowest indirect block that is there; `None`: the pointer is in the inode.
    parent: Option<u32>,
    /// How many levels of indirect blocks are missing under it.
    missing: u32,
    /// How many pointers one behind the other are 0.
    count: u32,
}

/// A run of blocks that pointers are to point to.
#[derive(Clone, Copy)]
struct Data {
    start: u32,
    count: u32,
    /// It is a block of a directory: it must be on the disk before what points to it.
    fresh: bool,
}

/// How many of `pointers` are 0, from the first on.
fn zeros(pointers: &[U32]) -> usize {
    pointers.iter().position(|pointer| pointer.get() != 0).unwrap_or(pointers.len())
}

/// How many of `pointers` point to blocks one behind the other, from the first on.
fn neighbours(pointers: &[U32]) -> usize {
    let start = pointers.first().map_or(0, |first| u64::from(first.get()));
    let follows = |(index, pointer): &(u64, &U32)| u64::from(pointer.get()) == start + index;
    (0u64..).zip(pointers).take_while(follows).count()
}

/// Writes pointers to a run of blocks.
fn fill(pointers: &mut [U32], index: usize, start: u32, count: u32) {
    let places = pointers.get_mut(index..index + count as usize).unwrap_or_default();
    for (pointer, block) in places.iter_mut().zip(start..) {
        *pointer = block.into();
    }
}

impl<S: Storage> Ext2<S> {
    /// Gives blocks of a file a place on the disk: block `first`, and as many of the `count`
    /// from it on as come out in one run; call it again for the rest. Those that have a place
    /// keep it. New ones lie behind the block before if that is free.
    ///
    /// The size stays, but ext2 knows no blocks behind the end of a file: those must become
    /// part of it by [`extend`](Self::extend), or be given back by
    /// [`truncate`](Self::truncate) to the size that it has, if what was to be written in them
    /// is not.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; [`Error::WriteBackFirst`] if space was freed lately that would do;
    /// [`Error::FileTooLarge`]; [`Error::Invalid`] if the inode is no regular file. The file
    /// has not changed then.
    pub fn allocate(
        &mut self,
        inode: u32,
        first: u32,
        count: u32,
        caller: &Caller,
    ) -> Result<Placed, Error> {
        self.check_writable()?;
        let raw = self.raw_inode(inode)?;
        if raw.kind() != Some(FileKind::Regular) || count == 0 {
            return Err(Error::Invalid);
        }
        let left = self.max_blocks().saturating_sub(first.into());
        let count = u64::from(count).min(left) as u32;
        if count == 0 {
            return Err(Error::FileTooLarge);
        }
        let placed = self.place_blocks(inode, &raw, first, count, caller.privileged)?;
        Ok(placed)
    }

    /// As [`allocate`](Self::allocate), for a directory too: then it is one block, filled with
    /// one entry that is not in use.
    pub(crate) fn place_blocks(
        &mut self,
        inode: u32,
        raw: &RawInode,
        first: u32,
        count: u32,
        privileged: bool,
    ) -> Result<Placed, Error> {
        let gap = match self.look_for_gap(inode, raw, first, count)? {
            Ok(gap) => gap,
            Err(placed) => return Ok(placed),
        };
        let mut goal = self.goal(inode, raw, first)?;
        self.touch_inode(inode)?;
        // What points to the data lies before them, from the top of the tree on.
        let mut indirect = [0; 4];
        let mut taken = Ok((0, 0));
        for slot in indirect.iter_mut().take(gap.missing as usize) {
            taken = self.take_blocks_for(inode, Wanted { goal, count: 1, privileged }, 0);
            let Ok((block, _)) = taken else { break };
            *slot = block;
            goal = Goal::At(block.wrapping_add(1));
        }
        if taken.is_ok() {
            let wanted = Wanted { goal, count: gap.count, privileged };
            taken = self.take_blocks_for(inode, wanted, self.ahead(raw, first, gap.missing));
        }
        let (start, count) = match taken {
            Ok(run) => run,
            Err(error) => {
                self.give_back(&indirect, 0, 0);
                return Err(error);
            }
        };
        let fresh = raw.kind() == Some(FileKind::Directory);
        let linked = if fresh {
            self.fill_empty_entries(inode, start)
        } else {
            self.order.expect_data(inode)
        }
        .and_then(|()| self.attach(inode, &gap, &indirect, Data { start, count, fresh }));
        if let Err(error) = linked {
            if fresh {
                self.forget_block(start);
            }
            self.give_back(&indirect, start, count);
            return Err(error);
        }
        Ok(Placed { start, count, new: true })
    }

    /// Gives back indirect blocks and a run of data that nothing points to.
    fn give_back(&mut self, indirect: &[u32], start: u32, count: u32) {
        for block in indirect.iter().filter(|block| **block != 0) {
            self.forget_block(*block);
            self.untake_blocks(*block, 1);
        }
        if count > 0 {
            self.untake_blocks(start, count);
        }
    }

    /// Where the pointer to a block is, if it is 0; or the run that it leads to.
    fn look_for_gap(
        &self,
        inode: u32,
        raw: &RawInode,
        first: u32,
        count: u32,
    ) -> Result<Result<Gap, Placed>, Error> {
        let per_block = self.geometry.pointers();
        let place = locate(per_block, first.into()).ok_or(Error::FileTooLarge)?;
        let mut parent = None;
        let mut missing = place.depth;
        let mut pointer = raw.pointers.get(place.slot).map_or(0, |pointer| pointer.get());
        while missing > 0 && pointer != 0 {
            self.check_pointer(inode, pointer)?;
            parent = Some(pointer);
            pointer = self.read_pointer(pointer, place.index(per_block, missing))?;
            missing -= 1;
        }
        let look = |pointers: &[U32]| {
            let pointers = pointers.get(..count as usize).unwrap_or(pointers);
            if pointer == 0 { zeros(pointers) } else { neighbours(pointers) }
        };
        let here = match parent {
            _ if missing > 0 => {
                (per_block as usize - place.index(per_block, 1)).min(count as usize)
            }
            Some(leaf) => self.read_block(leaf, |bytes| {
                look(entries(bytes).get(place.index(per_block, 1)..).unwrap_or_default())
            })?,
            None => look(raw.pointers.get(place.slot..DIRECT).unwrap_or_default()),
        };
        let count = here.max(1) as u32;
        if pointer == 0 {
            return Ok(Ok(Gap { place, parent, missing, count }));
        }
        if !self.groups.is_file_run(&self.geometry, pointer, count) {
            self.check_pointer(inode, pointer)?;
            return Ok(Err(Placed { start: pointer, count: 1, new: false }));
        }
        Ok(Err(Placed { start: pointer, count, new: false }))
    }

    /// How many blocks a file should get in advance: as many as it has, if it grows at its end
    /// and not over a new indirect block, which is to lie before what it points to.
    fn ahead(&self, raw: &RawInode, first: u32, missing: u32) -> u32 {
        let size = raw.size().div_ceil(self.geometry.block_size as u64);
        let grows = raw.kind() == Some(FileKind::Regular) && u64::from(first) >= size;
        if grows && first > 0 && missing == 0 { first.clamp(SMALLEST, LARGEST) } else { 0 }
    }

    /// The best place for a block: behind the one before, or in the group of the inode.
    fn goal(&self, inode: u32, raw: &RawInode, first: u32) -> Result<Goal, Error> {
        let before = match first.checked_sub(1) {
            Some(before) => self.map_one(inode, &raw.pointers, before)?,
            None => 0,
        };
        Ok(match before {
            0 => Goal::Group(self.geometry.group_of_inode(inode)),
            block => Goal::At(block.wrapping_add(1)),
        })
    }

    /// Makes the pointers point to a run of data, over new indirect blocks, of which the first
    /// is the highest. The inode has been touched. Nothing has changed if this fails.
    fn attach(
        &mut self,
        inode: u32,
        gap: &Gap,
        indirect: &[u32; 4],
        data: Data,
    ) -> Result<(), Error> {
        let per_block = self.geometry.pointers();
        let top = gap.parent.unwrap_or(self.home(inode));
        if let Some(parent) = gap.parent {
            self.change_file_block(parent, BlockKind::Indirect, inode, |_| ())?;
        }
        // From the lowest up: level 1 points to the data.
        let Data { mut start, mut count, fresh } = data;
        let sectors = (count + gap.missing) * self.geometry.sectors();
        let mut child = fresh.then_some(start);
        for level in 1..=gap.missing {
            let Some(block) = indirect.get((gap.missing - level) as usize).copied() else { break };
            let index = gap.place.index(per_block, level);
            self.fill_fresh_block(block, BlockKind::Indirect, inode, |bytes| {
                fill(entries_mut(bytes), index, start, count);
            })?;
            if let Some(child) = child {
                self.order.need(block, child)?;
            }
            child = Some(block);
            (start, count) = (block, 1);
        }
        if let Some(child) = child {
            self.order.need(top, child)?;
        }
        // Both are in memory: this does not fail.
        if let Some(parent) = gap.parent {
            let index = gap.place.index(per_block, gap.missing + 1);
            self.change_file_block(parent, BlockKind::Indirect, inode, |bytes| {
                fill(entries_mut(bytes), index, start, count);
            })?;
        }
        self.change_inode(inode, |raw, _| {
            if gap.parent.is_none() {
                fill(&mut raw.pointers, gap.place.slot, start, count);
            }
            raw.sectors = raw.sectors.get().saturating_add(sectors).into();
        })
    }
}
