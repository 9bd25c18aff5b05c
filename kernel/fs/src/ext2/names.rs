//! What changes the names in a directory of an ext2.

use alloc::sync::Arc;

use abi::{Errno, Result};
use ext2::{Exchange, NewInode, NewKind, Rename};
use memory::frames::Allowance;

use super::inode::{Ext2Inode, own};
use crate::status::Kind;
use crate::vfs::{Inode, NewFile, Renaming};

impl Ext2Inode {
    /// Makes a file, with a name here or without one.
    pub(super) fn make_here(
        &self,
        name: Option<&[u8]>,
        new: &NewFile<'_>,
    ) -> Result<Arc<dyn Inode>> {
        let device = ext2::DeviceNumber { major: new.device.major, minor: new.device.minor };
        let kind = match Kind::of_mode(new.mode) {
            Kind::Regular => NewKind::Regular,
            Kind::Directory => NewKind::Directory,
            Kind::Symlink => NewKind::Symlink(new.target),
            Kind::CharDevice => NewKind::CharacterDevice(device),
            Kind::BlockDevice => NewKind::BlockDevice(device),
            Kind::Fifo => NewKind::Fifo,
            Kind::Socket => NewKind::Socket,
        };
        let new = NewInode { kind, permissions: new.mode & 0o7777, uid: new.uid, gid: new.gid };
        let directory = self.number();
        // What is made can be had.
        let _allowance = Allowance::take(2)?;
        let number = self.volume().change(|engine, caller| match name {
            Some(name) => engine.create(directory, name, &new, caller),
            None => engine.create_unnamed(directory, &new, caller),
        })?;
        self.refresh()?;
        Ok(self.volume().inode_allowed(number)?)
    }

    /// Gives a file one more name here.
    pub(super) fn link_here(&self, name: &[u8], file: &Self) -> Result<()> {
        let (directory, number) = (self.number(), file.number());
        self.volume().change(|engine, caller| engine.link(number, directory, name, caller))?;
        file.refresh()?;
        self.refresh()
    }

    /// Takes a name away. What has none then goes with its last user.
    pub(super) fn unlink_here(&self, name: &[u8], file: &Self) -> Result<()> {
        let directory = self.number();
        let is_directory = file.kind() == Kind::Directory;
        self.volume().change(|engine, caller| match is_directory {
            true => engine.remove_directory(directory, name, caller),
            false => engine.unlink(directory, name, caller),
        })?;
        file.refresh()?;
        self.refresh()
    }

    /// Moves names.
    pub(super) fn rename_here(&self, renaming: &Renaming<'_>) -> Result<()> {
        let to = own(renaming.to)?;
        let other = renaming.other.map(own).transpose()?;
        if renaming.exchange && other.is_none() {
            return Err(Errno::ENOENT);
        }
        let (from_name, to_name) = (renaming.from_name, renaming.to_name);
        self.volume().change(|engine, caller| {
            if renaming.exchange {
                let (one, other) = (self.number(), to.number());
                let exchange = Exchange { one, one_name: from_name, other, other_name: to_name };
                return engine.exchange(&exchange, caller);
            }
            let (from, to) = (self.number(), to.number());
            let rename = Rename { from, from_name, to, to_name, replace: true };
            engine.rename(&rename, caller).map(|_| ())
        })?;
        own(renaming.file)?.refresh()?;
        if let Some(other) = other {
            other.refresh()?;
        }
        to.refresh()?;
        self.refresh()
    }
}
