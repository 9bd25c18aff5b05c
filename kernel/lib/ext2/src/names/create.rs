//! New inodes with a name: [`Ext2::create`].

use super::LINK_MAX;
use super::new_inode::{Beginning, NewInode, NewKind};
use crate::allocation::{Goal, Wanted};
use crate::directory::{Directory, NewEntry, Room, check_name};
use crate::error::Error;
use crate::fs::{Caller, Ext2};
use crate::layout::inode::FileKind;
use crate::order::BlockKind;
use crate::storage::Storage;

impl<S: Storage> Ext2<S> {
    /// Makes a file, directory, symbolic link or device node with this name in a directory.
    /// Returns its inode.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NotFound`] if the directory has been removed;
    /// [`Error::NoSpace`], [`Error::NoInodes`]; [`Error::WriteBackFirst`] if space was freed
    /// lately that would do; [`Error::TooManyLinks`] if the directory has as many
    /// subdirectories as there may be; [`Error::NameTooLong`], [`Error::TargetTooLong`];
    /// [`Error::Invalid`].
    pub fn create(
        &mut self,
        directory: u32,
        name: &[u8],
        new: &NewInode<'_>,
        caller: &Caller,
    ) -> Result<u32, Error> {
        self.check_writable()?;
        check_name(name)?;
        new.kind.check(self.geometry.block_size)?;
        let mut directory = self.live_directory(directory)?;
        let is_directory = new.kind.kind() == FileKind::Directory;
        if is_directory && u32::from(directory.raw.links.get()) >= LINK_MAX {
            return Err(Error::TooManyLinks);
        }
        let room = self.room_for(&mut directory, name, caller)?;
        self.touch_inode(directory.inode)?;
        let inode = self.take_inode(directory.inode, directory.raw.flags(), is_directory)?;
        if let Err(error) = self.fill_new(&directory, &room, inode, new, caller) {
            self.unwrite_new_inode(inode, caller.now);
            self.untake_inode(inode, is_directory);
            return Err(error);
        }
        // From here on nothing fails: all blocks have been touched.
        let entry = NewEntry { name, inode, kind: new.kind.kind() };
        self.insert_entry(directory.inode, &room, &entry)?;
        if is_directory {
            self.change_links(directory.inode, 1)?;
        }
        self.set_modified(directory.inode, caller.now)?;
        Ok(inode)
    }

    /// Makes a file without a name (`O_TMPFILE`), near a directory. It is there until
    /// [`release`](Self::release) is called, unless [`link`](Self::link) gives it a name.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_unnamed(
        &mut self,
        near: u32,
        new: &NewInode<'_>,
        caller: &Caller,
    ) -> Result<u32, Error> {
        self.check_writable()?;
        if new.kind.needs_block() {
            return Err(Error::Invalid);
        }
        new.kind.check(self.geometry.block_size)?;
        let near = self.live_directory(near)?;
        self.reserve_orphan()?;
        let inode = self.take_inode(near.inode, near.raw.flags(), false)?;
        let flags = near.raw.flags().inherited(false);
        let beginning = Beginning { links: 0, block: 0, flags, now: caller.now };
        if let Err(error) = self.write_new_inode(inode, new, &beginning) {
            self.untake_inode(inode, false);
            return Err(error);
        }
        let deleted = caller.now.unsigned().max(1);
        // It was written just now, so this does not fail.
        self.change_inode(inode, |raw, _| raw.delete_time = deleted.into())?;
        self.add_orphan(inode, deleted, true);
        Ok(inode)
    }

    /// Makes sure that a name is not there, and finds or makes room for it; the block has been
    /// touched then.
    pub(super) fn room_for(
        &mut self,
        directory: &mut Directory,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Room, Error> {
        self.make_index(directory)?;
        let room = match self.find_room(directory, name)? {
            Some(room) => room,
            None => self.make_room(directory, caller.privileged)?,
        };
        self.touch_entries(directory, room.block)?;
        Ok(room)
    }

    /// Fills a new inode, with its block if it needs one, and records its name.
    fn fill_new(
        &mut self,
        directory: &Directory,
        room: &Room,
        inode: u32,
        new: &NewInode<'_>,
        caller: &Caller,
    ) -> Result<(), Error> {
        let is_directory = new.kind.kind() == FileKind::Directory;
        let mut beginning = Beginning {
            links: if is_directory { 2 } else { 1 },
            block: 0,
            flags: directory.raw.flags().inherited(is_directory),
            now: caller.now,
        };
        if new.kind.needs_block() {
            let goal = Goal::Group(self.geometry.group_of_inode(inode));
            let wanted = Wanted { goal, count: 1, privileged: caller.privileged };
            beginning.block = self.take_blocks(wanted)?.0;
        }
        let mut name = self.name_at(inode, new.kind.kind(), directory.inode, room);
        name.born = true;
        let filled = self
            .fill_new_block(directory.inode, inode, new, beginning.block)
            .and_then(|()| self.write_new_inode(inode, new, &beginning))
            .and_then(|()| self.order.add_name(inode, name));
        if filled.is_err() && beginning.block != 0 {
            self.forget_block(beginning.block);
            self.untake_blocks(beginning.block, 1);
        }
        filled
    }

    /// Fills the block of a new directory or symbolic link.
    fn fill_new_block(
        &mut self,
        parent: u32,
        inode: u32,
        new: &NewInode<'_>,
        block: u32,
    ) -> Result<(), Error> {
        if block == 0 {
            return Ok(());
        }
        match new.kind {
            NewKind::Symlink(target) => {
                self.fill_fresh_block(block, BlockKind::Target, inode, |bytes| {
                    if let Some(to) = bytes.get_mut(..target.len()) {
                        to.copy_from_slice(target);
                    }
                })?;
            }
            _ => self.fill_dots(inode, block, parent)?,
        }
        self.order.need(self.home(inode), block)
    }

    /// Changes the number of names of an inode that has been touched.
    pub(super) fn change_links(&mut self, inode: u32, by: i16) -> Result<(), Error> {
        self.change_inode(inode, |raw, _| {
            raw.links = raw.links.get().saturating_add_signed(by).into();
        })
    }
}
