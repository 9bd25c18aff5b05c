//! The groups in memory: [`Groups`], each a [`Group`]: what its descriptor says, and what is
//! free of it.
//!
//! The counters are changed here, and written into the descriptors when a batch begins.

use alloc::vec::Vec;
use core::ops::Range;

use zerocopy::FromBytes;

use crate::error::{Damage, Error, Place};
use crate::geometry::Geometry;
use crate::layout::group::{GROUP_SIZE, RawGroup};
use crate::storage::Storage;

/// A group of blocks and inodes.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The block with the bitmap of blocks.
    pub(crate) block_bitmap: u32,
    /// The block with the bitmap of inodes.
    pub(crate) inode_bitmap: u32,
    /// The first block of the table of inodes.
    pub(crate) inode_table: u32,
    /// Blocks whose bits are clear.
    pub(crate) free_blocks: u32,
    /// Inodes whose bits are clear.
    pub(crate) free_inodes: u32,
    /// Inodes that are directories.
    pub(crate) directories: u32,
    /// Of the free blocks those that are held (`Held`).
    pub(crate) held_blocks: u32,
    /// Of the free inodes those that are held.
    pub(crate) held_inodes: u32,
    /// How many more directories than files came lately, up to 255.
    pub(crate) debt: u8,
    /// The descriptor has not these counters yet.
    pub(crate) dirty: bool,
    /// The bitmaps cannot be trusted: nothing is taken from here.
    pub(crate) broken: bool,
    /// Behind the block that was taken last, counted from the start of the group.
    pub(crate) next: u32,
}

impl Group {
    /// Blocks that can be taken now.
    pub(crate) fn available_blocks(&self) -> u32 {
        if self.broken { 0 } else { self.free_blocks.saturating_sub(self.held_blocks) }
    }

    /// Inodes that can be taken now.
    pub(crate) fn available_inodes(&self) -> u32 {
        if self.broken { 0 } else { self.free_inodes.saturating_sub(self.held_inodes) }
    }

    fn totals(&self) -> Totals {
        Totals {
            free_blocks: self.free_blocks,
            free_inodes: self.free_inodes,
            directories: self.directories,
            held_blocks: self.held_blocks,
            held_inodes: self.held_inodes,
        }
    }

    /// Writes the counters into the descriptor.
    pub(crate) fn store(&self, raw: &mut RawGroup) {
        raw.free_blocks = (self.free_blocks as u16).into();
        raw.free_inodes = (self.free_inodes as u16).into();
        raw.directories = (self.directories as u16).into();
    }

    /// The blocks of the group that are metadata and never part of a file.
    fn metadata(&self, geometry: &Geometry, group: u32) -> [Range<u32>; 4] {
        let start = geometry.group_start(group);
        [
            start..start + geometry.head_blocks(group),
            self.block_bitmap..self.block_bitmap + 1,
            self.inode_bitmap..self.inode_bitmap + 1,
            self.inode_table..self.inode_table + geometry.table_blocks,
        ]
    }
}

/// What the groups have together, or one of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Blocks whose bits are clear.
    pub(crate) free_blocks: u32,
    /// Inodes whose bits are clear.
    pub(crate) free_inodes: u32,
    /// Inodes that are directories.
    pub(crate) directories: u32,
    /// Of the free blocks those that are held.
    pub(crate) held_blocks: u32,
    /// Of the free inodes those that are held.
    pub(crate) held_inodes: u32,
}

/// All groups, with their sums.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    list: Vec<Group>,
    totals: Totals,
}

impl Groups {
    /// A group, if there is one of this number.
    pub(crate) fn at(&self, number: u32) -> Option<&Group> {
        self.list.get(number as usize)
    }

    /// All groups by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.list)
    }

    /// The sums over all groups.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Changes a group; the sums follow.
    pub(crate) fn change(&mut self, number: u32, change: impl FnOnce(&mut Group)) {
        let Some(group) = self.list.get_mut(number as usize) else { return };
        let before = group.totals();
        change(group);
        let after = group.totals();
        let all = &mut self.totals;
        let follow = |sum: &mut u32, before: u32, after: u32| *sum = *sum - before + after;
        follow(&mut all.free_blocks, before.free_blocks, after.free_blocks);
        follow(&mut all.free_inodes, before.free_inodes, after.free_inodes);
        follow(&mut all.directories, before.directories, after.directories);
        follow(&mut all.held_blocks, before.held_blocks, after.held_blocks);
        follow(&mut all.held_inodes, before.held_inodes, after.held_inodes);
    }

    /// Whether a run of blocks is there and holds no metadata, so that it can be part of a
    /// file.
    pub(crate) fn is_file_run(&self, geometry: &Geometry, start: u32, count: u32) -> bool {
        let Some(end) = start.checked_add(count).filter(|end| *end <= geometry.blocks) else {
            return false;
        };
        if start < geometry.first_block || count == 0 {
            return false;
        }
        let apart = |range: Range<u32>| end <= range.start || range.end <= start;
        (geometry.group_of_block(start)..=geometry.group_of_block(end - 1)).all(|number| {
            let metadata = self.at(number).map(|group| group.metadata(geometry, number));
            metadata.is_some_and(|ranges| ranges.into_iter().all(apart))
        })
    }

    /// Where an inode is: the block of the table, and bytes from its start. The inode must be
    /// one that is there.
    pub(crate) fn inode_place(&self, geometry: &Geometry, inode: u32) -> (u32, usize) {
        let index = inode.saturating_sub(1) % geometry.inodes_per_group;
        let group = self.at(geometry.group_of_inode(inode));
        let per_block = geometry.inodes_per_block();
        let block = group.map_or(0, |group| group.inode_table) + index / per_block;
        (block, (index % per_block) as usize * geometry.inode_size)
    }
}

/// Where the descriptor of a group is: the block, and bytes from its start.
pub(crate) fn descriptor_place(geometry: &Geometry, group: u32) -> (u32, usize) {
    let per_block = (geometry.block_size / GROUP_SIZE) as u32;
    let block = geometry.first_block + 1 + group / per_block;
    (block, (group % per_block) as usize * GROUP_SIZE)
}

/// Reads the descriptors of all groups.
///
/// # Errors
/// If they cannot be read, or one is wrong, or there is no memory.
pub(crate) fn load<S: Storage>(storage: &S, geometry: &Geometry) -> Result<Groups, Error> {
    let mut groups = Vec::new();
    groups.try_reserve_exact(geometry.groups as usize).map_err(|_| Error::NoMemory)?;
    for index in 0..geometry.descriptor_blocks {
        let block = geometry.first_block + 1 + index;
        let read = storage.read(block, |bytes| {
            for descriptor in bytes.chunks_exact(GROUP_SIZE) {
                let number = groups.len() as u32;
                if number == geometry.groups {
                    break;
                }
                let raw = RawGroup::read_from_bytes(descriptor);
                let broken = || Place::Group(number).is(Damage::MisplacedMetadata);
                groups.push(check(&raw.map_err(|_| broken())?, geometry, number)?);
            }
            Ok::<_, Error>(())
        });
        read.map_err(|error| error.at(block))??;
    }
    let mut totals = Totals::default();
    for group in &groups {
        // No sum overflows: a group has no more blocks or inodes than it is checked to have,
        // and all of them together fit into 32 bits.
        totals.free_blocks += group.free_blocks;
        totals.free_inodes += group.free_inodes;
        totals.directories += group.directories;
    }
    Ok(Groups { list: groups, totals })
}

/// The group that a descriptor describes.
fn check(raw: &RawGroup, geometry: &Geometry, number: u32) -> Result<Group, Error> {
    let place = Place::Group(number);
    let group = Group {
        block_bitmap: raw.block_bitmap.get(),
        inode_bitmap: raw.inode_bitmap.get(),
        inode_table: raw.inode_table.get(),
        free_blocks: raw.free_blocks.get().into(),
        free_inodes: raw.free_inodes.get().into(),
        directories: raw.directories.get().into(),
        held_blocks: 0,
        held_inodes: 0,
        debt: 0,
        dirty: false,
        broken: false,
        next: 0,
    };
    let start = geometry.group_start(number);
    let inside = start + geometry.head_blocks(number)..start + geometry.group_blocks(number);
    let table_end = group.inode_table.checked_add(geometry.table_blocks);
    let fits = inside.contains(&group.block_bitmap)
        && inside.contains(&group.inode_bitmap)
        && inside.contains(&group.inode_table)
        && table_end.is_some_and(|end| end <= inside.end);
    if !fits {
        return Err(place.is(Damage::MisplacedMetadata));
    }
    let table = group.inode_table..group.inode_table + geometry.table_blocks;
    if group.block_bitmap == group.inode_bitmap
        || table.contains(&group.block_bitmap)
        || table.contains(&group.inode_bitmap)
    {
        return Err(place.is(Damage::MisplacedMetadata));
    }
    let counts = group.free_blocks <= geometry.group_blocks(number)
        && group.free_inodes <= geometry.inodes_per_group
        && group.directories <= geometry.inodes_per_group;
    if !counts {
        return Err(place.is(Damage::WrongCount));
    }
    Ok(group)
}

/// The first inode of the table's block that an inode is in.
pub(crate) fn first_of_table_block(geometry: &Geometry, inode: u32) -> u32 {
    let index = inode.saturating_sub(1) % geometry.inodes_per_group;
    inode - index % geometry.inodes_per_block()
}
