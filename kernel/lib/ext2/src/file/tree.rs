//! Where the pointer to a block of a file is: [`Place`].

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use crate::layout::inode::DIRECT;

/// Where to look for a block of a file: a pointer of the inode, and then down the tree under
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the 15 pointers of the inode.
    pub(crate) slot: usize,
    /// How many indirect blocks are between: 0 to 3.
    pub(crate) depth: u32,
    /// Blocks of the file before it in the tree under that pointer.
    pub(crate) offset: u64,
}

/// How many blocks of a file are under one pointer to an indirect block of this level, with
/// `pointers` in each: level 1 points to data. Level 0 is data.
pub(crate) fn span(pointers: u32, level: u32) -> u64 {
    u64::from(pointers).pow(level)
}

/// The place of block `block` of a file; `None` if no file can have so many.
pub(crate) fn locate(pointers: u32, block: u64) -> Option<Place> {
    let mut offset = match block.checked_sub(DIRECT as u64) {
        None => return Some(Place { slot: block as usize, depth: 0, offset: 0 }),
        Some(offset) => offset,
    };
    for depth in 1..=3 {
        let span = span(pointers, depth);
        if offset < span {
            return Some(Place { slot: DIRECT + depth as usize - 1, depth, offset });
        }
        offset -= span;
    }
    None
}

/// How many blocks a file can have by its pointers.
pub(crate) fn most_blocks(pointers: u32) -> u64 {
    DIRECT as u64 + (1..=3).map(|level| span(pointers, level)).sum::<u64>()
}

impl Place {
    /// Which pointer of the indirect block of this level leads to the block.
    pub(crate) fn index(&self, pointers: u32, level: u32) -> usize {
        (self.offset / span(pointers, level - 1) % u64::from(pointers)) as usize
    }
}

/// The pointers of an indirect block.
pub(crate) fn entries(bytes: &[u8]) -> &[U32] {
    <[U32]>::ref_from_bytes(bytes).unwrap_or_default()
}

/// The pointers of an indirect block, to be changed.
pub(crate) fn entries_mut(bytes: &mut [u8]) -> &mut [U32] {
    <[U32]>::mut_from_bytes(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_where_ext2_has_them() {
        let at = |block| locate(256, block);
        assert_eq!(at(11), Some(Place { slot: 11, depth: 0, offset: 0 }));
        assert_eq!(at(12), Some(Place { slot: 12, depth: 1, offset: 0 }));
        assert_eq!(at(267), Some(Place { slot: 12, depth: 1, offset: 255 }));
        assert_eq!(at(268), Some(Place { slot: 13, depth: 2, offset: 0 }));
        let last = Place { slot: 13, depth: 2, offset: 65535 };
        assert_eq!(at(268 + 65535), Some(last));
        assert_eq!((last.index(256, 2), last.index(256, 1)), (255, 255));
        assert_eq!(at(268 + 65536), Some(Place { slot: 14, depth: 3, offset: 0 }));
        assert_eq!(at(most_blocks(256) - 1).map(|it| it.index(256, 3)), Some(255));
        assert_eq!(at(most_blocks(256)), None);
        assert_eq!(most_blocks(1024), 1_074_791_436);
    }
}
