//! A batch in levels: [`Order::levels`]. What is of one level may be written in any order;
//! between two levels the device is flushed. There are as few as the rules allow.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::graph::{Node, Strength};
use super::{BlockKind, Order};
use crate::error::Error;

/// An edge of the graph: `later` comes after `earlier`; both are indices of nodes.
struct Edge {
    later: usize,
    earlier: usize,
    strength: Strength,
}

/// The graph of a batch, and the levels found so far.
struct Graph {
    /// The blocks first, as many as there are levels to be found; then names.
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The level of a block; of a name 0 as soon as all that it needs has one.
    found: Vec<Option<u32>>,
}

impl Order {
    /// The level of each of `blocks`, from 0. `data` are the inodes, by rising number, whose
    /// data are written together with level 0: what points to those comes later.
    pub(crate) fn levels(&self, blocks: &[u32], data: &[u32]) -> Result<Vec<u32>, Error> {
        let mut graph = self.graph(blocks)?;
        let mut left = blocks.len();
        let mut level = 0;
        let mut chosen = Vec::new();
        chosen.try_reserve_exact(blocks.len()).map_err(|_| Error::NoMemory)?;
        while left > 0 {
            graph.resolve_names()?;
            // If the weak rules leave nothing, they give way; after a failed batch even the
            // strong ones may.
            for weakest in [Some(Strength::Should), Some(Strength::Must), None] {
                graph.choose(blocks.len(), weakest, &mut chosen)?;
                if !chosen.is_empty() {
                    break;
                }
            }
            if level == 0 {
                let points = |index| blocks.get(index).is_some_and(|it| self.points_to(*it, data));
                chosen.retain(|index| !points(*index));
            }
            left -= chosen.len();
            for index in chosen.drain(..) {
                if let Some(found) = graph.found.get_mut(index) {
                    *found = Some(level);
                }
            }
            level += 1;
        }
        graph.found.truncate(blocks.len());
        let mut levels = Vec::new();
        levels.try_reserve_exact(blocks.len()).map_err(|_| Error::NoMemory)?;
        levels.extend(graph.found.iter().map(|level| level.unwrap_or(0)));
        Ok(levels)
    }

    /// Whether a block holds pointers to data of these inodes that the disk would see at once.
    fn points_to(&self, block: u32, data: &[u32]) -> bool {
        self.dirty.get(&block).is_some_and(|dirty| match dirty.kind {
            BlockKind::Inodes => {
                let first = data.partition_point(|inode| *inode < dirty.owner);
                data.get(first).is_some_and(|inode| inode - dirty.owner < self.inodes_per_block)
            }
            BlockKind::Indirect => !dirty.fresh && data.binary_search(&dirty.owner).is_ok(),
            _ => false,
        })
    }

    /// The inodes whose new data `blocks` point to, by rising number.
    pub(crate) fn data_of(&self, blocks: &[u32]) -> Result<Vec<u32>, Error> {
        let mut data = Vec::new();
        data.try_reserve_exact(self.new_data.len()).map_err(|_| Error::NoMemory)?;
        if blocks.len() == self.dirty.len() {
            data.extend(self.new_data.iter());
        } else {
            for block in blocks {
                let Some(dirty) = self.dirty.get(block) else { continue };
                let inodes = match dirty.kind {
                    BlockKind::Inodes => dirty.owner..dirty.owner + self.inodes_per_block,
                    BlockKind::Indirect => dirty.owner..dirty.owner + 1,
                    _ => continue,
                };
                for inode in inodes.filter(|inode| self.new_data.contains(inode)) {
                    data.try_reserve(1).map_err(|_| Error::NoMemory)?;
                    data.push(inode);
                }
            }
        }
        data.sort_unstable();
        data.dedup();
        Ok(data)
    }

    /// The graph of some dirty blocks.
    fn graph(&self, blocks: &[u32]) -> Result<Graph, Error> {
        let mut nodes = Vec::new();
        nodes.try_reserve(blocks.len()).map_err(|_| Error::NoMemory)?;
        nodes.extend(blocks.iter().map(|block| Node::Block(*block)));
        let mut indices = HashMap::new();
        indices.try_reserve(blocks.len()).map_err(|_| Error::NoMemory)?;
        indices.extend(nodes.iter().enumerate().map(|(index, node)| (*node, index)));
        let mut edges = Vec::new();
        let mut later = 0;
        let mut enough = true;
        while let Some(node) = nodes.get(later).copied() {
            self.before(node, &mut |next, strength| {
                if !enough || strength == Strength::Along {
                    return;
                }
                enough = indices.try_reserve(1).is_ok()
                    && nodes.try_reserve(1).is_ok()
                    && edges.try_reserve(1).is_ok();
                let earlier = match (indices.get(&next), next) {
                    (Some(index), _) => *index,
                    // What is not in the batch is on the disk.
                    (None, Node::Block(_)) => return,
                    (None, Node::Named(_)) if !enough => return,
                    (None, Node::Named(_)) => {
                        indices.insert(next, nodes.len());
                        nodes.push(next);
                        nodes.len() - 1
                    }
                };
                if enough {
                    edges.push(Edge { later, earlier, strength });
                }
            });
            later += 1;
        }
        let mut found = Vec::new();
        if !enough || found.try_reserve_exact(nodes.len()).is_err() {
            return Err(Error::NoMemory);
        }
        found.resize(nodes.len(), None);
        Ok(Graph { nodes, edges, found })
    }
}

impl Graph {
    fn is_found(&self, index: usize) -> bool {
        self.found.get(index).is_some_and(Option::is_some)
    }

    /// Which nodes still wait for something by the rules of `weakest` and stronger.
    fn waiting(&self, weakest: Option<Strength>) -> Result<Vec<bool>, Error> {
        let mut waiting = Vec::new();
        waiting.try_reserve_exact(self.nodes.len()).map_err(|_| Error::NoMemory)?;
        waiting.resize(self.nodes.len(), false);
        for edge in &self.edges {
            let counts = match weakest {
                Some(Strength::Must) => edge.strength == Strength::Must,
                Some(_) => true,
                None => false,
            };
            if counts
                && edge.later != edge.earlier
                && !self.is_found(edge.earlier)
                && let Some(waiting) = waiting.get_mut(edge.later)
            {
                *waiting = true;
            }
        }
        Ok(waiting)
    }

    /// Marks the names that all is there for. One may wait for another.
    fn resolve_names(&mut self) -> Result<(), Error> {
        loop {
            let waiting = self.waiting(Some(Strength::Must))?;
            let mut changed = false;
            for ((node, found), waiting) in self.nodes.iter().zip(&mut self.found).zip(waiting) {
                if matches!(node, Node::Named(_)) && !waiting && found.is_none() {
                    *found = Some(0);
                    changed = true;
                }
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// The blocks, which are the first `count` nodes, that wait for nothing.
    fn choose(
        &self,
        count: usize,
        weakest: Option<Strength>,
        chosen: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let waiting = self.waiting(weakest)?;
        chosen.clear();
        chosen.extend(
            (0..count)
                .zip(waiting)
                .filter(|(index, waiting)| !waiting && !self.is_found(*index))
                .map(|(index, _)| index),
        );
        Ok(())
    }
}
