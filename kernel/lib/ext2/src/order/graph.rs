//! What must come before what: [`Order::before`], circles, and all that a file needs.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::{BlockKind, Order};
use crate::error::Error;

/// Something that can be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// A block as it is in memory.
    Block(u32),
    /// A name of this inode, with all by which it is reached.
    Named(u32),
}

/// How much a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Files could be lost.
    Must,
    /// It gives way if all cannot hold.
    Should,
    /// It only belongs into the same batch.
    Along,
}

/// All that a file needs on the disk.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// Dirty blocks, by rising number.
    pub(crate) blocks: Vec<u32>,
    /// Inodes whose names they hold.
    pub(crate) named: Vec<u32>,
}

impl Order {
    /// Calls `each` with what must or should be on the disk before `node` is. Blocks may be
    /// among them that are not dirty.
    pub(super) fn before(&self, node: Node, each: &mut dyn FnMut(Node, Strength)) {
        match node {
            Node::Block(block) => self.before_block(block, each),
            Node::Named(inode) => self.before_name(inode, each),
        }
    }

    fn before_block(&self, block: u32, each: &mut dyn FnMut(Node, Strength)) {
        for child in self.needs.get(&block).into_iter().flatten() {
            each(Node::Block(*child), Strength::Must);
        }
        for inode in self.dropped(block) {
            let names = self.young.get(inode).map_or(&[][..], Vec::as_slice);
            // A name in the same block comes in the same write.
            if !names.is_empty() && !names.iter().any(|name| name.block == block) {
                each(Node::Named(*inode), Strength::Must);
            }
        }
        // What nothing on the disk points to yet may come before what it needs.
        let Some(dirty) = self.dirty.get(&block) else { return };
        let strength = if dirty.fresh { Strength::Along } else { Strength::Should };
        match dirty.kind {
            BlockKind::Indirect => each(Node::Block(dirty.home), strength),
            BlockKind::Directory => {
                let mut last = 0;
                for inode in self.young_in.get(&block).into_iter().flatten() {
                    let names = self.young.get(inode).map_or(&[][..], Vec::as_slice);
                    if let Some(name) = names.iter().find(|name| name.block == block)
                        && name.home != last
                    {
                        each(Node::Block(name.home), strength);
                        last = name.home;
                    }
                }
            }
            _ => {}
        }
    }

    fn before_name(&self, inode: u32, each: &mut dyn FnMut(Node, Strength)) {
        for name in self.young.get(&inode).into_iter().flatten() {
            each(Node::Block(name.home), Strength::Must);
            each(Node::Block(name.block), Strength::Must);
            let fresh = self.dirty.get(&name.block).is_some_and(|dirty| dirty.fresh);
            let young = self.is_young(name.directory);
            if fresh || young {
                each(Node::Block(name.directory_home), Strength::Must);
                for block in self.owned.get(&name.directory).into_iter().flatten() {
                    if self.dirty.get(block).is_some_and(|it| it.kind == BlockKind::Indirect) {
                        each(Node::Block(*block), Strength::Must);
                    }
                }
            }
            if young {
                each(Node::Named(name.directory), Strength::Must);
            }
        }
    }

    /// Whether `earlier` must come after `later`, whatever is between them.
    pub(super) fn is_after(&self, earlier: Node, later: Node) -> Result<bool, Error> {
        if earlier == later {
            return Ok(true);
        }
        let mut seen = HashSet::new();
        let mut found = false;
        self.walk(&mut seen, &[earlier], false, &mut |node| found |= node == later)?;
        Ok(found)
    }

    /// Goes through all that `starts` need that is dirty, and calls `each` with what something
    /// needs, each time something does. `weak` follows the weak rules too.
    fn walk(
        &self,
        seen: &mut HashSet<Node>,
        starts: &[Node],
        weak: bool,
        each: &mut dyn FnMut(Node),
    ) -> Result<(), Error> {
        let mut work = Vec::new();
        work.try_reserve(starts.len()).map_err(|_| Error::NoMemory)?;
        work.extend_from_slice(starts);
        let mut enough = true;
        while let Some(node) = work.pop() {
            seen.try_reserve(1).map_err(|_| Error::NoMemory)?;
            if !seen.insert(node) {
                continue;
            }
            self.before(node, &mut |next, strength| {
                let dirty = !matches!(next, Node::Block(block) if !self.is_dirty(block));
                if dirty && (weak || strength == Strength::Must) {
                    each(next);
                    enough &= work.try_reserve(1).is_ok();
                    if enough {
                        work.push(next);
                    }
                }
            });
            if !enough {
                return Err(Error::NoMemory);
            }
        }
        Ok(())
    }

    /// All dirty blocks.
    pub(crate) fn all(&self) -> Result<Vec<u32>, Error> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(self.dirty.len() + 1).map_err(|_| Error::NoMemory)?;
        blocks.extend(self.dirty.keys());
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// The dirty blocks that an inode needs, whose own block is `home`: that, all others of
    /// the file, and those with its names and the way to them.
    ///
    /// Of two names of a directory on the disk e2fsck takes one away. So for a directory that
    /// moved, those blocks belong to it too from which its old name is to go.
    pub(crate) fn closure(&self, inode: u32, home: u32) -> Result<Closure, Error> {
        let owned = self.owned.get(&inode).map_or(&[][..], Vec::as_slice);
        let mut starts = Vec::new();
        starts.try_reserve_exact(owned.len() + 2).map_err(|_| Error::NoMemory)?;
        starts.extend([Node::Block(home), Node::Named(inode)]);
        starts.extend(owned.iter().map(|block| Node::Block(*block)));
        let mut seen = HashSet::new();
        while !starts.is_empty() {
            self.walk(&mut seen, &starts, true, &mut |_| {})?;
            starts.clear();
            for (block, inodes) in &self.drops {
                let moved = |inode: &u32| {
                    let names = self.young.get(inode).map_or(&[][..], Vec::as_slice);
                    names.iter().any(|it| it.is_directory && seen.contains(&Node::Block(it.block)))
                };
                if !seen.contains(&Node::Block(*block)) && inodes.iter().any(moved) {
                    starts.try_reserve(1).map_err(|_| Error::NoMemory)?;
                    starts.push(Node::Block(*block));
                }
            }
        }
        let mut closure = Closure::default();
        closure.blocks.try_reserve_exact(seen.len() + 1).map_err(|_| Error::NoMemory)?;
        closure.named.try_reserve_exact(seen.len()).map_err(|_| Error::NoMemory)?;
        for node in seen {
            match node {
                Node::Block(block) if self.is_dirty(block) => closure.blocks.push(block),
                Node::Block(_) => {}
                Node::Named(inode) => closure.named.push(inode),
            }
        }
        closure.blocks.sort_unstable();
        closure.named.sort_unstable();
        Ok(closure)
    }
}
