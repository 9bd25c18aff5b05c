//! Blocks that files have in advance: [`Windows`].
//!
//! A file that grows at its end gets more blocks than were asked for: marked as taken in the
//! bitmap, but with nothing pointing to them. So files that grow by turns do not lie in
//! between each other, and most of the times no bitmap is looked through. What is left is
//! given back when the file is gone or cut short, when the disk is full otherwise or too many files
//! have some, and before unmounting.
//! After a cut of the power e2fsck finds it free.

use hashbrown::HashMap;

use crate::fs::Ext2;
use crate::storage::Storage;

/// The fewest blocks of a window.
pub(crate) const SMALLEST: u32 = 8;
/// The most.
pub(crate) const LARGEST: u32 = 256;
/// How many files have a window at most.
const MOST: usize = 256;

/// A run of blocks.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: u32,
    count: u32,
}

/// The windows by inode.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    map: HashMap<u32, Window>,
    blocks: u32,
}

impl Windows {
    /// How many blocks files have in advance.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Takes up to `count` blocks from the window of a file, if that begins at `goal`.
    pub(crate) fn take(&mut self, inode: u32, goal: u32, count: u32) -> Option<(u32, u32)> {
        let window = self.map.get_mut(&inode).filter(|window| window.start == goal)?;
        let taken = count.min(window.count);
        window.start += taken;
        window.count -= taken;
        self.blocks -= taken;
        if window.count == 0 {
            self.map.remove(&inode);
        }
        Some((goal, taken))
    }

    /// Makes room for a window; says whether there is.
    pub(crate) fn prepare(&mut self) -> bool {
        self.map.len() < MOST && self.map.try_reserve(1).is_ok()
    }

    /// Gives a file that has none a window; there is room.
    pub(crate) fn give(&mut self, inode: u32, start: u32, count: u32) {
        if count > 0 {
            self.map.insert(inode, Window { start, count });
            self.blocks += count;
        }
    }

    fn remove(&mut self, inode: u32) -> Option<Window> {
        let window = self.map.remove(&inode)?;
        self.blocks -= window.count;
        Some(window)
    }
}

impl<S: Storage> Ext2<S> {
    /// Gives back the blocks that a file has in advance: nobody has it open for writing any
    /// more. [`release`](Self::release) and [`truncate`](Self::truncate) do so too.
    pub fn trim(&mut self, inode: u32) {
        if let Some(window) = self.windows.remove(inode) {
            self.untake_blocks(window.start, window.count);
        }
    }

    /// Gives back the blocks that all files have in advance; says whether there were any.
    pub(crate) fn trim_all(&mut self) -> bool {
        let mut some = false;
        while let Some(inode) = self.windows.map.keys().next().copied() {
            self.trim(inode);
            some = true;
        }
        some
    }
}
