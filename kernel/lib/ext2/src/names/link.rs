//! Further names, and the removal of names: [`Ext2::link`], [`Ext2::unlink`],
//! [`Ext2::remove_directory`].

use super::LINK_MAX;
use crate::directory::{NewEntry, check_name};
use crate::error::{Damage, Error, Place};
use crate::fs::{Caller, Ext2};
use crate::layout::inode::{FileKind, Time, set_time};
use crate::order::Proposal;
use crate::storage::Storage;

/// A name that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The inode that it stood for.
    pub inode: u32,
    /// How many names that still has. If none, it stays until [`Ext2::release`] is called,
    /// which must be when nobody has it open: at once if that is so already.
    pub links: u32,
}

impl<S: Storage> Ext2<S> {
    /// Gives an inode a further name, or the first if it was made without one.
    ///
    /// # Errors
    /// [`Error::IsDirectory`]: directories have one name; [`Error::NotFound`] if the inode has
    /// no name any more; [`Error::TooManyLinks`]; [`Error::WriteBackFirst`]; further as
    /// [`create`](Self::create).
    pub fn link(
        &mut self,
        inode: u32,
        directory: u32,
        name: &[u8],
        caller: &Caller,
    ) -> Result<(), Error> {
        self.check_writable()?;
        check_name(name)?;
        let raw = self.raw_inode(inode)?;
        let kind = raw.kind().ok_or(Self::bad_inode(inode))?;
        if kind == FileKind::Directory {
            return Err(Error::IsDirectory);
        }
        let unnamed = self.is_unnamed(inode);
        if self.orphans.contains_key(&inode) && !unnamed {
            return Err(Error::NotFound);
        }
        if u32::from(raw.links.get()) >= LINK_MAX {
            return Err(Error::TooManyLinks);
        }
        let mut directory = self.live_directory(directory)?;
        let room = self.room_for(&mut directory, name, caller)?;
        self.touch_inode(directory.inode)?;
        self.touch_inode(inode)?;
        let mut name_record = self.name_at(inode, kind, directory.inode, &room);
        name_record.born = unnamed;
        let mut proposal = Proposal::default();
        let proposed = self.order.propose_name(&mut proposal, inode, name_record);
        self.order.accept_if(proposal, proposed)?;

        self.insert_entry(directory.inode, &room, &NewEntry { name, inode, kind })?;
        self.change_links(inode, 1)?;
        self.change_inode(inode, |raw, extra| {
            raw.delete_time = 0.into();
            set_time(raw, extra, Time::Change, caller.now);
        })?;
        self.orphans.remove(&inode);
        self.set_modified(directory.inode, caller.now)
    }

    /// Removes a name of something that is no directory.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::IsDirectory`]; [`Error::WriteBackFirst`]; damage.
    pub fn unlink(
        &mut self,
        directory: u32,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Removed, Error> {
        self.check_writable()?;
        check_name(name)?;
        let directory = self.live_directory(directory)?;
        self.make_index(&directory)?;
        let slot = self.find_name(&directory, name)?.ok_or(Error::NotFound)?;
        self.check_named(directory.inode, &slot)?;
        let inode = slot.inode;
        let raw = self.raw_inode(inode)?;
        if raw.kind() == Some(FileKind::Directory) {
            return Err(Error::IsDirectory);
        }
        let links = self.links_of_named(inode, raw.links.get())?;
        self.touch_inode(directory.inode)?;
        self.touch_inode(inode)?;
        self.touch_entries(&directory, slot.block)?;
        self.reserve_orphan()?;
        if links > 1 {
            let mut proposal = Proposal::default();
            let order = &mut self.order;
            let proposed = order.propose_loss(&mut proposal, inode, slot.block, slot.offset);
            order.accept_if(proposal, proposed.map(|_| ()))?;
        } else {
            self.order.remove_name(inode, slot.block, slot.offset);
        }

        self.remove_entry(directory.inode, &slot)?;
        self.set_modified(directory.inode, caller.now)?;
        self.lose_link(inode, links, None, caller.now)
    }

    /// Removes a directory, which must be empty.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotDirectory`]; [`Error::NotEmpty`];
    /// [`Error::WriteBackFirst`]; damage.
    pub fn remove_directory(
        &mut self,
        directory: u32,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Removed, Error> {
        self.check_writable()?;
        check_name(name)?;
        let directory = self.live_directory(directory)?;
        self.make_index(&directory)?;
        let slot = self.find_name(&directory, name)?.ok_or(Error::NotFound)?;
        self.check_named(directory.inode, &slot)?;
        let inode = slot.inode;
        let victim = self.live_directory(inode)?;
        self.dots(&victim)?;
        if !self.is_empty_directory(&victim)? {
            return Err(Error::NotEmpty);
        }
        self.touch_inode(directory.inode)?;
        self.touch_inode(inode)?;
        self.touch_entries(&directory, slot.block)?;
        self.reserve_orphan()?;
        // With the directory the disk loses the names that were moved out of it.
        let mut proposal = Proposal::default();
        let home = self.home(inode);
        let order = &mut self.order;
        let proposed = order
            .propose_loss_of_all(&mut proposal, inode, slot.block)
            .and_then(|()| order.propose_loss_of_all(&mut proposal, inode, home));
        order.accept_if(proposal, proposed)?;
        self.order.remove_name(inode, slot.block, slot.offset);

        self.remove_entry(directory.inode, &slot)?;
        self.change_links(directory.inode, -1)?;
        self.set_modified(directory.inode, caller.now)?;
        self.lose_link(inode, 1, None, caller.now)
    }

    /// How many names an inode has that was found by one.
    pub(super) fn links_of_named(&self, inode: u32, links: u16) -> Result<u32, Error> {
        match links {
            0 => Err(Place::Inode(inode).is(Damage::FreeInode)),
            _ if self.orphans.contains_key(&inode) => {
                Err(Place::Inode(inode).is(Damage::FreeInode))
            }
            links => Ok(links.into()),
        }
    }
}
