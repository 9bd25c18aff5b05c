//! What is free but must not be used yet: [`Held`].
//!
//! A freed block or inode has its bit cleared at once. But the disk may still hold an inode or
//! a directory entry that refers to it; if it were used again before that is overwritten, a
//! cut of the power would leave it to two owners. So its bit is set in a bitmap here, laid
//! over the one of the disk, until a batch of everything has been written.

use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::HashMap;

use crate::bits;
use crate::error::Error;
use crate::groups::Groups;

/// Bits laid over a bitmap.
#[derive(Debug)]
struct Layer {
    bits: Vec<u8>,
    /// How many are set.
    count: u32,
    /// The group that the bitmap is of.
    group: u32,
    /// They are inodes.
    inodes: bool,
}

/// Layers by the block of the bitmap that they lie over.
type Layers = HashMap<u32, Layer>;

/// The blocks and inodes that are held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Freed since the last batch of everything began.
    open: Layers,
    /// Freed before that, while it is being written.
    closing: Layers,
}

/// Makes the group's counter of what is held follow.
fn count(groups: &mut Groups, layer: &Layer, change: impl FnOnce(u32) -> u32) {
    groups.change(layer.group, |group| {
        let held = if layer.inodes { &mut group.held_inodes } else { &mut group.held_blocks };
        *held = change(*held);
    });
}

impl Held {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closing.is_empty()
    }

    /// The layers over a bitmap.
    pub(crate) fn over(&self, bitmap: u32) -> [&[u8]; 2] {
        [&self.open, &self.closing]
            .map(|layers| layers.get(&bitmap).map_or(&[][..], |layer| layer.bits.as_slice()))
    }

    /// Makes room for bits over a bitmap of `size` bytes.
    pub(crate) fn prepare(
        &mut self,
        bitmap: u32,
        size: usize,
        group: u32,
        inodes: bool,
    ) -> Result<(), Error> {
        if self.open.contains_key(&bitmap) {
            return Ok(());
        }
        let mut bits = Vec::new();
        bits.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
        self.open.try_reserve(1).map_err(|_| Error::NoMemory)?;
        bits.resize(size, 0);
        self.open.insert(bitmap, Layer { bits, count: 0, group, inodes });
        Ok(())
    }

    /// Holds a range of bits, for which there is room. They were not free before, so they
    /// are not held.
    pub(crate) fn hold(&mut self, bitmap: u32, range: Range<usize>, groups: &mut Groups) {
        let held = range.len() as u32;
        if let Some(layer) = self.open.get_mut(&bitmap)
            && bits::set(&mut layer.bits, range)
        {
            layer.count += held;
            count(groups, layer, |before| before + held);
        }
    }

    /// A batch of everything begins.
    pub(crate) fn close(&mut self) {
        self.closing = core::mem::take(&mut self.open);
    }

    /// The batch is on the disk: what was freed before it began can be used.
    pub(crate) fn release(&mut self, groups: &mut Groups) {
        for (_, layer) in self.closing.drain() {
            count(groups, &layer, |before| before.saturating_sub(layer.count));
        }
    }

    /// The batch could not be written: all stays held.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        for (bitmap, layer) in core::mem::take(&mut self.closing) {
            let Some(open) = self.open.get_mut(&bitmap) else {
                self.open.try_reserve(1).map_err(|_| Error::NoMemory)?;
                self.open.insert(bitmap, layer);
                continue;
            };
            open.count += layer.count;
            for (byte, other) in open.bits.iter_mut().zip(&layer.bits) {
                *byte |= other;
            }
        }
        Ok(())
    }
}
