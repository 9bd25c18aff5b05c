//! Floor 0: what belongs to the pages of a file, by their numbers: [`PageTree`].
//!
//! A radix tree of 64 places a node, as high as the largest number asks for. Every node knows
//! by bits which of its places hold something, and which of that has a [`Tag`]: to go through
//! all dirty pages of a large file passes over what is not dirty by whole subtrees. What a
//! tree takes depends on the pages that are there, not on their numbers. Growth can fail with
//! [`NoMemory`], and then nothing has changed.
//!
//! Files: `tree.rs` the tree, `node.rs` a node and what is done below it. Used by the page
//! cache and by shared memory (`kernel/vm`).
//!
//! ```
//! use page_tree::{PageTree, Tag};
//!
//! let mut tree = PageTree::new();
//! tree.insert(7, "seven")?;
//! tree.insert(1 << 40, "far")?;
//! tree.set_tag(1 << 40, Tag::Dirty, true);
//! assert_eq!(tree.next(0), Some((7, &"seven")));
//! assert_eq!(tree.next_tagged(0, Tag::Dirty), Some((1 << 40, &"far")));
//! assert_eq!(tree.remove(7), Some("seven"));
//! # Ok::<(), page_tree::NoMemory>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod node;
#[cfg(test)]
mod tests;
mod tree;

pub use tree::PageTree;

/// A mark that pages can have, to be found by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// What is in memory is newer than what is stored.
    Dirty,
    /// It is being stored.
    Writeback,
}

impl Tag {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Dirty, Self::Writeback];
}

/// No memory to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl core::fmt::Display for NoMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for NoMemory {}
