//! Two names change places: [`Ext2::exchange`].
//!
//! If both entries are in one block, it is one write. Otherwise each block would have to be
//! written before the other, lest one of the inodes be without a name between the two writes.
//! So one of the inodes gets a third name first, `.exchange-` and its number, and everything
//! is written back. Then the first block can be written, then the second, and then that with
//! the third name, which is taken away again: [`SpareName`].

use alloc::format;
use alloc::string::String;

use crate::directory::{Directory, NewEntry, Room, Slot, check_name};
use crate::error::Error;
use crate::fs::{Caller, Ext2};
use crate::layout::inode::{FileKind, Time, set_time};
use crate::order::Proposal;
use crate::storage::Storage;

/// Which names are to change places.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The directory of one name.
    pub one: u32,
    /// The name.
    pub one_name: &'a [u8],
    /// The directory of the other.
    pub other: u32,
    /// The name.
    pub other_name: &'a [u8],
}

/// A name that an inode has while it changes places with another.
#[derive(Debug)]
pub(crate) struct SpareName {
    inode: u32,
    directory: u32,
    name: String,
    /// How many batches have begun since. It does not stay if nobody comes back for it.
    batches: u32,
}

/// After so many batches a spare name goes.
const OLD: u32 = 8;
/// How many names are tried for one.
const TRIES: u32 = 8;

/// One of the two.
#[derive(Clone)]
struct Side {
    directory: Directory,
    slot: Slot,
    kind: FileKind,
}

impl Side {
    fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// The place of its name.
    fn room(&self) -> Room {
        let Slot { index, block, offset, .. } = self.slot;
        Room { index, block, offset, giver: offset }
    }
}

impl<S: Storage> Ext2<S> {
    /// Makes two names change places (`RENAME_EXCHANGE`). If both stand for the same inode,
    /// nothing happens.
    ///
    /// After a cut of the power each inode has one of its names at least: its old one, its new
    /// one, or for a moment `.exchange-NUMBER` in one of the directories, which nobody sees as
    /// long as both directories stay locked while everything is written back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] if a directory would be in itself;
    /// [`Error::WriteBackFirst`], possibly twice; [`Error::TooManyLinks`], [`Error::NoSpace`].
    pub fn exchange(&mut self, exchange: &Exchange<'_>, caller: &Caller) -> Result<(), Error> {
        self.check_writable()?;
        let one = self.side(exchange.one, exchange.one_name)?;
        let other = self.side(exchange.other, exchange.other_name)?;
        if one.slot.inode == other.slot.inode {
            return Ok(());
        }
        let moves = one.directory.inode != other.directory.inode;
        if moves && one.is_directory() {
            self.check_new_parent(one.slot.inode, other.directory.inode)?;
        }
        if moves && other.is_directory() {
            self.check_new_parent(other.slot.inode, one.directory.inode)?;
        }
        for (side, to) in [(&one, &other), (&other, &one)] {
            self.touch_inode(side.slot.inode)?;
            self.touch_inode(side.directory.inode)?;
            self.touch_entries(&side.directory, side.slot.block)?;
            if moves && side.is_directory() {
                let directory = self.directory(side.slot.inode)?;
                let dots = self.dots(&directory)?;
                self.touch_entries(&directory, dots.block)?;
                let full = u32::from(to.directory.raw.links.get()) >= super::LINK_MAX;
                if full && !to.is_directory() {
                    return Err(Error::TooManyLinks);
                }
            }
        }
        let spared = |inode| self.spare.as_ref().is_some_and(|spare| spare.inode == inode);
        let spare = [one.slot.inode, other.slot.inode].into_iter().find(|inode| spared(*inode));
        match self.record_exchange(&one, &other, spare) {
            Err(Error::WriteBackFirst) if spare.is_none() && one.slot.block != other.slot.block => {
                // Nothing that is not written helps: a third name will.
                let (side, to) = if one.is_directory() { (&other, &one) } else { (&one, &other) };
                self.add_spare_name(side, to, caller)?;
                return Err(Error::WriteBackFirst);
            }
            result => result?,
        }
        self.do_exchange(&one, &other, caller)?;
        if spare.is_some() && !self.drop_spare_name() {
            // It is in the block that is written first: it goes with the next batch.
            self.spare.iter_mut().for_each(|spare| spare.batches = OLD);
        }
        Ok(())
    }

    fn side(&mut self, directory: u32, name: &[u8]) -> Result<Side, Error> {
        check_name(name)?;
        let directory = self.live_directory(directory)?;
        self.make_index(&directory)?;
        let slot = self.find_name(&directory, name)?.ok_or(Error::NotFound)?;
        self.check_named(directory.inode, &slot)?;
        let raw = self.raw_inode(slot.inode)?;
        self.links_of_named(slot.inode, raw.links.get())?;
        let kind = raw.kind().ok_or(Self::bad_inode(slot.inode))?;
        Ok(Side { directory, slot, kind })
    }

    /// Records what order an exchange asks for. The inode with a third name on the disk can
    /// lose its old one at any time.
    fn record_exchange(
        &mut self,
        one: &Side,
        other: &Side,
        spare: Option<u32>,
    ) -> Result<(), Error> {
        let mut proposal = Proposal::default();
        let mut names = [(one, other), (other, one)].map(|(side, to)| {
            let room = to.room();
            (side, self.name_at(side.slot.inode, side.kind, to.directory.inode, &room))
        });
        let order = &mut self.order;
        let mut propose = || {
            for (side, name) in &mut names {
                let Slot { inode, block, offset, .. } = side.slot;
                if Some(inode) == spare {
                    order.propose_harmless_loss(&mut proposal, inode, block, offset)?;
                } else {
                    name.born = order.propose_loss(&mut proposal, inode, block, offset)?;
                }
            }
            for (side, name) in &names {
                order.propose_name(&mut proposal, side.slot.inode, *name)?;
            }
            Ok(())
        };
        let proposed = propose();
        self.order.accept_if(proposal, proposed)
    }

    /// Makes the entries change places. All blocks have been touched, so this does not fail.
    fn do_exchange(&mut self, one: &Side, other: &Side, caller: &Caller) -> Result<(), Error> {
        for (side, to) in [(one, other), (other, one)] {
            let (inode, from, into) = (side.slot.inode, side.directory.inode, to.directory.inode);
            self.replace_entry(into, &to.slot, inode, side.kind)?;
            self.change_inode(inode, |raw, extra| set_time(raw, extra, Time::Change, caller.now))?;
            if side.is_directory() && from != into {
                let dots = self.dots(&self.directory(inode)?)?;
                self.replace_entry(inode, &dots, into, FileKind::Directory)?;
                self.change_links(from, -1)?;
                self.change_links(into, 1)?;
            }
            self.set_modified(from, caller.now)?;
        }
        // Names are where they were, so an index of them stays right.
        Ok(())
    }

    /// Gives an inode a third name in the directory that it goes to.
    fn add_spare_name(&mut self, side: &Side, to: &Side, caller: &Caller) -> Result<(), Error> {
        let (mut to, to_slot) = (to.directory.clone(), to.slot);
        self.drop_spare_name();
        if self.spare.is_some() {
            return Err(Error::WriteBackFirst);
        }
        let inode = side.slot.inode;
        let directory = to.inode;
        if u32::from(self.raw_inode(inode)?.links.get()) >= super::LINK_MAX {
            return Err(Error::TooManyLinks);
        }
        let mut room = Err(Error::Exists);
        let mut name = String::new();
        for try_number in 0..TRIES {
            name = if try_number == 0 {
                format!(".exchange-{inode}")
            } else {
                format!(".exchange-{inode}-{try_number}")
            };
            // Best in the block with the other entry, so that it can go soon.
            let there = (to_slot.index, to_slot.block);
            room = match self.room_beside(&to, there, name.as_bytes())? {
                Some(room) => Ok(room),
                None => self.room_for(&mut to, name.as_bytes(), caller),
            };
            if room != Err(Error::Exists) {
                break;
            }
        }
        let room = room?;
        let record = self.name_at(inode, side.kind, directory, &room);
        let mut proposal = Proposal::default();
        let proposed = self.order.propose_name(&mut proposal, inode, record);
        self.order.accept_if(proposal, proposed)?;
        let entry = NewEntry { name: name.as_bytes(), inode, kind: side.kind };
        self.insert_entry(directory, &room, &entry)?;
        if !side.is_directory() {
            self.change_links(inode, 1)?;
        }
        self.spare = Some(SpareName { inode, directory, name, batches: 0 });
        Ok(())
    }

    /// Takes a third name away, if there is one; says whether it did.
    pub(crate) fn drop_spare_name(&mut self) -> bool {
        let Some(spare) = &self.spare else { return false };
        let (inode, directory) = (spare.inode, spare.directory);
        let name = spare.name.clone();
        let result = self.remove_spare_name(inode, directory, name.as_bytes());
        // If it cannot go now, it goes when everything is written back.
        if result != Err(Error::WriteBackFirst) {
            self.spare = None;
        }
        result == Ok(true)
    }

    fn remove_spare_name(
        &mut self,
        inode: u32,
        directory: u32,
        name: &[u8],
    ) -> Result<bool, Error> {
        let directory = self.live_directory(directory)?;
        let slot = self.find_name(&directory, name)?.filter(|slot| slot.inode == inode);
        // Somebody may have removed it.
        let Some(slot) = slot else { return Ok(false) };
        self.touch_inode(inode)?;
        self.touch_entries(&directory, slot.block)?;
        let mut proposal = Proposal::default();
        let proposed = self.order.propose_loss(&mut proposal, inode, slot.block, slot.offset);
        self.order.accept_if(proposal, proposed.map(|_| ()))?;
        self.remove_entry(directory.inode, &slot)?;
        if self.raw_inode(inode)?.kind() != Some(FileKind::Directory) {
            self.change_links(inode, -1)?;
        }
        Ok(true)
    }

    /// A batch of everything begins: a third name that has served, or that nobody came back
    /// for, goes.
    pub(crate) fn age_spare_name(&mut self) {
        if let Some(spare) = &mut self.spare {
            spare.batches += 1;
            if spare.batches > OLD {
                self.drop_spare_name();
            }
        }
    }
}
