//! A change of names that is recorded as a whole or refused: [`Proposal`].
//!
//! Its steps are recorded one by one. Then [`Order::accept_if`] looks whether the rules can still
//! hold, and takes all steps back if they cannot.

use alloc::vec::Vec;

use super::graph::Node;
use super::{Name, Order, push, push_new};
use crate::error::Error;

/// A step that can be taken back.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The inode got a name.
    Added(u32, Name),
    /// The inode lost a name that was recorded.
    Removed(u32, Name),
    /// The block is one in which the inode lost a name.
    Dropped(u32, u32),
    /// The first block needs the second.
    Needs(u32, u32),
}

/// Steps that have been recorded and may be taken back.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Proposal {
    steps: Vec<Step>,
}

impl Proposal {
    fn room(&mut self) -> Result<(), Error> {
        self.steps.try_reserve(1).map_err(|_| Error::NoMemory)
    }
}

impl Order {
    /// An inode gets a name.
    pub(crate) fn propose_name(
        &mut self,
        proposal: &mut Proposal,
        inode: u32,
        name: Name,
    ) -> Result<(), Error> {
        proposal.room()?;
        self.add_name(inode, name)?;
        proposal.steps.push(Step::Added(inode, name));
        Ok(())
    }

    /// An inode that goes on having names loses the one at this place. Returns whether the
    /// inode is unknown to the disk, so that the next name is its first.
    pub(crate) fn propose_loss(
        &mut self,
        proposal: &mut Proposal,
        inode: u32,
        block: u32,
        offset: u32,
    ) -> Result<bool, Error> {
        proposal.room()?;
        let name = self.remove_name(inode, block, offset);
        if let Some(name) = name {
            proposal.steps.push(Step::Removed(inode, name));
        }
        match name {
            Some(name) if !name.written => Ok(name.born),
            _ => {
                self.propose_drop(proposal, block, inode)?;
                Ok(false)
            }
        }
    }

    /// An inode loses the name at this place, and has another on the disk.
    pub(crate) fn propose_harmless_loss(
        &mut self,
        proposal: &mut Proposal,
        inode: u32,
        block: u32,
        offset: u32,
    ) -> Result<(), Error> {
        proposal.room()?;
        if let Some(name) = self.remove_name(inode, block, offset) {
            proposal.steps.push(Step::Removed(inode, name));
        }
        Ok(())
    }

    fn propose_drop(
        &mut self,
        proposal: &mut Proposal,
        block: u32,
        inode: u32,
    ) -> Result<(), Error> {
        proposal.room()?;
        if !self.dropped(block).contains(&inode) {
            self.losers.try_reserve(1).map_err(|_| Error::NoMemory)?;
            push(&mut self.drops, block, inode)?;
            *self.losers.entry(inode).or_default() += 1;
            proposal.steps.push(Step::Dropped(block, inode));
        }
        Ok(())
    }

    /// A block must come after another.
    pub(crate) fn propose_need(
        &mut self,
        proposal: &mut Proposal,
        later: u32,
        earlier: u32,
    ) -> Result<(), Error> {
        proposal.room()?;
        let there = self.needs.get(&later).is_some_and(|list| list.contains(&earlier));
        if later != earlier && !there {
            push(&mut self.needs, later, earlier)?;
            proposal.steps.push(Step::Needs(later, earlier));
        }
        Ok(())
    }

    /// A directory is removed: `later` must come after all that the blocks of the directory
    /// have to come after, for with it the disk loses the names in them too.
    pub(crate) fn propose_loss_of_all(
        &mut self,
        proposal: &mut Proposal,
        directory: u32,
        later: u32,
    ) -> Result<(), Error> {
        let blocks = self.owned.get(&directory).map_or(0, Vec::len);
        for index in 0..blocks {
            let Some(block) = self.owned.get(&directory).and_then(|list| list.get(index)) else {
                break;
            };
            let block = *block;
            for index in 0..self.dropped(block).len() {
                if let Some(inode) = self.dropped(block).get(index).copied() {
                    self.propose_drop(proposal, later, inode)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the steps if all could be recorded and the rules can hold with them.
    ///
    /// # Errors
    /// [`Error::WriteBackFirst`] if they cannot, or [`Error::NoMemory`]: the steps have been
    /// taken back then.
    pub(crate) fn accept_if(
        &mut self,
        proposal: Proposal,
        recorded: Result<(), Error>,
    ) -> Result<(), Error> {
        let mut result = recorded;
        for step in proposal.steps.iter().filter(|_| recorded.is_ok()) {
            result = match self.closes_circle(step) {
                Ok(false) => continue,
                Ok(true) => Err(Error::WriteBackFirst),
                Err(error) => Err(error),
            };
            break;
        }
        if result.is_err() {
            self.withdraw(proposal);
        }
        result
    }

    /// Whether something would have to come before itself by a step.
    fn closes_circle(&self, step: &Step) -> Result<bool, Error> {
        match step {
            // Nothing waits for the name of a file that has lost none; much may wait for that
            // of a directory.
            Step::Added(inode, name) => {
                if !name.is_directory && !self.losers.contains_key(inode) {
                    return Ok(false);
                }
                let named = Node::Named(*inode);
                let mut found = false;
                let mut error = None;
                self.before(named, &mut |node, _| match self.is_after(node, named) {
                    Ok(after) => found |= after,
                    Err(failed) => error = Some(failed),
                });
                error.map_or(Ok(found), Err)
            }
            Step::Dropped(block, inode) => {
                let names = self.young.get(inode).map_or(&[][..], Vec::as_slice);
                if names.iter().any(|name| name.block == *block) {
                    return Ok(false);
                }
                self.is_after(Node::Named(*inode), Node::Block(*block))
            }
            Step::Needs(later, earlier) => {
                self.is_after(Node::Block(*earlier), Node::Block(*later))
            }
            Step::Removed(..) => Ok(false),
        }
    }

    /// Takes all steps back.
    pub(crate) fn withdraw(&mut self, proposal: Proposal) {
        for step in proposal.steps.into_iter().rev() {
            match step {
                Step::Added(inode, name) => {
                    self.remove_name(inode, name.block, name.offset);
                }
                // There is room for what was there before.
                Step::Removed(inode, name) => {
                    let _ = push_new(&mut self.young, inode, name);
                }
                Step::Dropped(block, inode) => {
                    pop(&mut self.drops, block, inode);
                    self.count_losers_out(&[inode]);
                }
                Step::Needs(later, earlier) => pop(&mut self.needs, later, earlier),
            }
        }
    }
}

/// Takes the last from a list, which is this.
fn pop(lists: &mut super::Lists<u32>, key: u32, value: u32) {
    if let Some(list) = lists.get_mut(&key)
        && list.last() == Some(&value)
    {
        list.pop();
    }
}
