//! Giving blocks back: [`Ext2::free_run`] for what the disk may refer to, which is held back
//! until that is overwritten, and [`Ext2::untake_blocks`] for what it cannot refer to.

use core::ops::Range;

use crate::bits::{self, Bits};
use crate::error::{Damage, Error, Place};
use crate::fs::Ext2;
use crate::order::BlockKind;
use crate::storage::Storage;

/// The part of a run of blocks that is in one group.
#[derive(Clone)]
struct Part {
    group: u32,
    bitmap: u32,
    /// Bits of the bitmap.
    bits: Range<usize>,
}

impl<S: Storage> Ext2<S> {
    /// The first part of a run of blocks that are there, and how many blocks it has.
    fn first_part(&self, start: u32, count: u32) -> (Part, u32) {
        let group = self.geometry.group_of_block(start);
        let first = start - self.geometry.group_start(group);
        let here = count.min(self.geometry.blocks_per_group - first);
        let bitmap = self.groups.at(group).map_or(0, |group| group.block_bitmap);
        let first = first as usize;
        (Part { group, bitmap, bits: first..first + here as usize }, here)
    }

    /// Makes it possible to free a run of blocks without memory. What is no run of blocks of
    /// a file needs nothing.
    pub(crate) fn prepare_free(&mut self, mut start: u32, mut count: u32) -> Result<(), Error> {
        if !self.groups.is_file_run(&self.geometry, start, count) {
            return Ok(());
        }
        while count > 0 {
            let (part, here) = self.first_part(start, count);
            self.held.prepare(part.bitmap, self.geometry.block_size, part.group, false)?;
            self.change_block(part.bitmap, BlockKind::Bitmap, |_| ())?;
            start += here;
            count -= here;
        }
        Ok(())
    }

    /// Whether a block of a file is marked as in use.
    pub(crate) fn is_block_taken(&self, block: u32) -> Result<bool, Error> {
        let (part, _) = self.first_part(block, 1);
        self.read_block(part.bitmap, |bytes| Bits::new(bytes).next_set(part.bits).is_some())
    }

    /// Frees a run of blocks that [`prepare_free`](Self::prepare_free) was called for. They
    /// cannot be taken again before everything has been written back.
    ///
    /// # Errors
    /// Those that are no blocks of a file, or are free already, are left alone, and the first
    /// such thing is returned; so is a failure of the device.
    pub(crate) fn free_run(
        &mut self,
        inode: u32,
        mut start: u32,
        mut count: u32,
    ) -> Result<(), Error> {
        let place = Place::Block { inode, block: start };
        if !self.groups.is_file_run(&self.geometry, start, count) {
            return Err(place.is(Damage::BadBlock));
        }
        let mut result = Ok(());
        while count > 0 {
            let (part, here) = self.first_part(start, count);
            match self.clear_bits(&part) {
                Ok(true) => self.held.hold(part.bitmap, part.bits, &mut self.groups),
                Ok(false) => {
                    // Some are free already: take the others one by one.
                    result = result.and(Err(place.is(Damage::DoubleFree)));
                    for bit in part.bits.clone() {
                        let part = Part { bits: bit..bit + 1, ..part.clone() };
                        if let Ok(true) = self.clear_bits(&part) {
                            self.held.hold(part.bitmap, part.bits, &mut self.groups);
                        }
                    }
                }
                Err(error) => result = result.and(Err(error)),
            }
            start += here;
            count -= here;
        }
        result
    }

    /// Gives back a run of blocks that nothing in memory or on the disk refers to.
    pub(crate) fn untake_blocks(&mut self, start: u32, count: u32) {
        let (mut start, mut count) = (start, count);
        while count > 0 {
            let (part, here) = self.first_part(start, count);
            // They were taken just now: the bitmap is in memory, and the bits are set. If the
            // store fails all the same, they stay taken until e2fsck finds them.
            let _ = self.clear_bits(&part);
            start += here;
            count -= here;
        }
    }

    /// Clears bits and counts them as free; `false` if one of them is clear, and nothing has
    /// changed then.
    fn clear_bits(&mut self, part: &Part) -> Result<bool, Error> {
        let bits = part.bits.clone();
        let cleared =
            self.change_block(part.bitmap, BlockKind::Bitmap, |bytes| bits::clear(bytes, bits))?;
        if cleared {
            let most = self.geometry.group_blocks(part.group);
            self.groups.change(part.group, |group| {
                group.free_blocks = (group.free_blocks + part.bits.len() as u32).min(most);
                group.dirty = true;
            });
        }
        Ok(cleared)
    }
}
