//! Names move: [`Ext2::rename`].

use super::LINK_MAX;
use super::link::Removed;
use crate::directory::{Directory, NewEntry, Room, Slot, check_name};
use crate::error::{Damage, Error, Place};
use crate::fs::{Caller, Ext2};
use crate::geometry::ROOT_INODE;
use crate::layout::inode::{FileKind, Time, set_time};
use crate::order::Proposal;
use crate::storage::Storage;

/// Which name is to move where.
#[derive(Clone, Copy, Debug)]
pub struct Rename<'a> {
    /// The directory that the name is in.
    pub from: u32,
    /// The name.
    pub from_name: &'a [u8],
    /// The directory that it goes to.
    pub to: u32,
    /// The name that it gets.
    pub to_name: &'a [u8],
    /// Whether what has the new name already may be replaced (without `RENAME_NOREPLACE`).
    pub replace: bool,
}

/// A name that moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The inode.
    pub inode: u32,
    /// What had the new name before.
    pub replaced: Option<Removed>,
}

/// What a rename has to do with.
struct Move {
    from: Directory,
    to: Directory,
    source: Slot,
    kind: FileKind,
    target: Option<Target>,
    /// Where `..` is of a directory that gets another parent.
    dots: Option<Slot>,
}

/// What has the new name.
struct Target {
    slot: Slot,
    is_directory: bool,
    links: u32,
}

impl<S: Storage> Ext2<S> {
    /// Moves a name, within a directory or from one to another. What has the new name loses
    /// it. If both names stand for the same inode, nothing happens.
    ///
    /// After a cut of the power the inode has the old name, the new, or both; and the new name
    /// stands for what it stood for before, or for this inode.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`] without `replace`; [`Error::IsDirectory`],
    /// [`Error::NotDirectory`], [`Error::NotEmpty`] if one thing cannot replace the other;
    /// [`Error::Invalid`] if a directory would be in itself; [`Error::TooManyLinks`];
    /// [`Error::NoSpace`]; [`Error::WriteBackFirst`].
    pub fn rename(&mut self, rename: &Rename<'_>, caller: &Caller) -> Result<Renamed, Error> {
        self.check_writable()?;
        check_name(rename.from_name)?;
        check_name(rename.to_name)?;
        for directory in [rename.from, rename.to] {
            let directory = self.live_directory(directory)?;
            self.make_index(&directory)?;
        }
        let Some(mut this) = self.look_at_move(rename)? else {
            let from = self.live_directory(rename.from)?;
            let slot = self.find_name(&from, rename.from_name)?.ok_or(Error::NotFound)?;
            return Ok(Renamed { inode: slot.inode, replaced: None });
        };
        let room = match &this.target {
            Some(target) => {
                let block = target.slot.block;
                self.touch_entries(&this.to, block)?;
                let offset = target.slot.offset;
                Room { index: target.slot.index, block, offset, giver: offset }
            }
            None => self.room_for(&mut this.to, rename.to_name, caller)?,
        };
        self.touch_move(&this)?;
        self.record_move(&this, &room)?;
        self.do_move(&this, &room, rename.to_name, caller)
    }

    /// Finds what a rename has to do with, and whether it can be done; `None` if both names
    /// stand for the same inode.
    fn look_at_move(&self, rename: &Rename<'_>) -> Result<Option<Move>, Error> {
        let from = self.live_directory(rename.from)?;
        let to = self.live_directory(rename.to)?;
        let source = self.find_name(&from, rename.from_name)?.ok_or(Error::NotFound)?;
        self.check_named(from.inode, &source)?;
        let raw = self.raw_inode(source.inode)?;
        self.links_of_named(source.inode, raw.links.get())?;
        let kind = raw.kind().ok_or(Self::bad_inode(source.inode))?;
        let is_directory = kind == FileKind::Directory;
        let target = match self.find_name(&to, rename.to_name)? {
            Some(_) if !rename.replace => return Err(Error::Exists),
            Some(slot) if slot.inode == source.inode => return Ok(None),
            Some(slot) => Some(self.look_at_target(&to, slot, is_directory)?),
            None => None,
        };
        let mut dots = None;
        if is_directory && from.inode != to.inode {
            self.check_new_parent(source.inode, to.inode)?;
            let adds = target.is_none();
            if adds && u32::from(to.raw.links.get()) >= LINK_MAX {
                return Err(Error::TooManyLinks);
            }
            dots = Some(self.dots(&self.directory(source.inode)?)?);
        }
        Ok(Some(Move { from, to, source, kind, target, dots }))
    }

    /// Looks whether what has the new name can be replaced.
    fn look_at_target(&self, to: &Directory, slot: Slot, by: bool) -> Result<Target, Error> {
        self.check_named(to.inode, &slot)?;
        let raw = self.raw_inode(slot.inode)?;
        let links = self.links_of_named(slot.inode, raw.links.get())?;
        let is_directory = raw.kind() == Some(FileKind::Directory);
        match (by, is_directory) {
            (true, false) => return Err(Error::NotDirectory),
            (false, true) => return Err(Error::IsDirectory),
            (true, true) if !self.is_empty_directory(&self.directory(slot.inode)?)? => {
                return Err(Error::NotEmpty);
            }
            _ => {}
        }
        Ok(Target { slot, is_directory, links: if is_directory { 1 } else { links } })
    }

    /// Whether a directory can move into another.
    ///
    /// While both names of the directory are on the disk, e2fsck takes one away. So that the
    /// other does not lead nowhere, the way to the new parent must be on the disk before, as
    /// it is now.
    pub(super) fn check_new_parent(&self, directory: u32, parent: u32) -> Result<(), Error> {
        let mut young = false;
        let mut at = parent;
        let (mut mark, mut steps, mut next_mark) = (0, 0u64, 1u64);
        while at != ROOT_INODE {
            if at == directory {
                return Err(Error::Invalid);
            }
            if at == mark {
                return Err(Place::Inode(at).is(Damage::DirectoryLoop));
            }
            young |= self.order.is_young(at);
            steps += 1;
            if steps == next_mark {
                (mark, next_mark) = (at, next_mark * 2);
            }
            at = self.parent(at)?;
        }
        if young && !self.order.is_unknown_to_disk(directory) {
            return Err(Error::WriteBackFirst);
        }
        Ok(())
    }

    /// Makes sure that all that a move changes can be changed.
    fn touch_move(&mut self, this: &Move) -> Result<(), Error> {
        self.touch_inode(this.from.inode)?;
        self.touch_inode(this.to.inode)?;
        self.touch_inode(this.source.inode)?;
        self.touch_entries(&this.from, this.source.block)?;
        if let Some(dots) = &this.dots {
            let directory = self.directory(this.source.inode)?;
            self.touch_entries(&directory, dots.block)?;
        }
        if let Some(target) = &this.target {
            self.touch_inode(target.slot.inode)?;
            self.reserve_orphan()?;
        }
        Ok(())
    }

    /// Records what order a move asks for.
    fn record_move(&mut self, this: &Move, room: &Room) -> Result<(), Error> {
        let source = this.source.inode;
        let mut name = self.name_at(source, this.kind, this.to.inode, room);
        let home = name.home;
        let order = &mut self.order;
        let unknown = order.is_unknown_to_disk(source);
        let mut proposal = Proposal::default();
        let mut propose = || {
            let proposal = &mut proposal;
            let slot = &this.source;
            name.born = order.propose_loss(proposal, source, slot.block, slot.offset)?;
            order.propose_name(proposal, source, name)?;
            let Some(target) = &this.target else { return Ok(()) };
            let victim = target.slot.inode;
            if target.is_directory {
                order.propose_loss_of_all(proposal, victim, room.block)?;
            } else if target.links > 1 {
                order.propose_loss(proposal, victim, room.block, room.offset)?;
            }
            // The name must not stand for an inode that is not there yet.
            if unknown && !order.is_name_unknown_to_disk(victim, room.block, room.offset) {
                order.propose_need(proposal, room.block, home)?;
            }
            Ok(())
        };
        let proposed = propose();
        self.order.accept_if(proposal, proposed)
    }

    /// Moves a name. All blocks have been touched, so this does not fail.
    fn do_move(
        &mut self,
        this: &Move,
        room: &Room,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Renamed, Error> {
        let inode = this.source.inode;
        let (from, to) = (this.from.inode, this.to.inode);
        match &this.target {
            Some(target) => self.replace_entry(to, &target.slot, inode, this.kind)?,
            None => self.insert_entry(to, room, &NewEntry { name, inode, kind: this.kind })?,
        }
        self.remove_entry(from, &this.source)?;
        if let Some(dots) = &this.dots {
            self.replace_entry(inode, dots, to, FileKind::Directory)?;
            self.change_links(from, -1)?;
            self.change_links(to, 1)?;
        }
        self.change_inode(inode, |raw, extra| set_time(raw, extra, Time::Change, caller.now))?;
        self.set_modified(from, caller.now)?;
        self.set_modified(to, caller.now)?;
        let mut replaced = None;
        if let Some(target) = &this.target {
            let victim = target.slot.inode;
            if target.is_directory {
                self.change_links(to, -1)?;
            }
            // As long as the disk has the victim under this name, it must have all of it.
            let unknown = self.order.is_name_unknown_to_disk(victim, room.block, room.offset);
            let after = (!unknown).then_some(room.block);
            if target.links <= 1 {
                self.order.remove_name(victim, room.block, room.offset);
            }
            replaced = Some(self.lose_link(victim, target.links, after, caller.now)?);
        }
        Ok(Renamed { inode, replaced })
    }
}
