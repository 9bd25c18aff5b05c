//! [`Path`]: a place in the tree of all mounts, and the way from there upwards.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};

use crate::status::{Kind, Status};
use crate::vfs::dcache;
use crate::vfs::dentry::Dentry;
use crate::vfs::inode::Inode;
use crate::vfs::mount::{Mount, mounted_on};

/// A file, and by which mount and names it was come to. As long as it is there, its file system
/// cannot be unmounted.
#[derive(Clone, Debug)]
pub struct Path {
    mount: Arc<Mount>,
    /// Leads to a file.
    dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Path {
    /// A dentry that leads to a file, in a mount of its file system.
    pub(super) fn new(mount: Arc<Mount>, dentry: Arc<Dentry>) -> Self {
        debug_assert!(dentry.inode().is_some(), "a path to nothing");
        Self { mount, dentry }
    }

    /// The mount that it is in.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// The name by which it was come to.
    pub fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }

    /// The mount alone, without the place in it.
    pub(super) fn into_mount(self) -> Arc<Mount> {
        self.mount
    }

    /// The file.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        match self.dentry.inode() {
            Some(inode) => inode,
            None => unreachable!("a path to nothing: {:?}", self.dentry),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.inode().kind()
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == Kind::Directory
    }

    /// What stat(2) tells.
    pub fn status(&self) -> Status {
        Status { device: self.mount.superblock().device(), ..self.inode().status() }
    }

    /// Whether nothing can be changed here.
    pub fn is_read_only(&self) -> bool {
        self.mount.is_read_only()
    }

    /// Whether a mount begins here.
    pub fn begins_mount(&self) -> bool {
        self.is_root_of_mount()
    }

    /// Whether it is where its mount begins.
    pub(super) fn is_root_of_mount(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// The same place in the same mount under another name.
    pub(super) fn with_dentry(self, dentry: Arc<Dentry>) -> Self {
        Self::new(self.mount, dentry)
    }

    /// What is mounted here, and on top of that, and so on: what one comes to who enters.
    pub(super) fn entered(mut self) -> Self {
        while self.dentry.is_mount_point()
            && let Some(mount) = mounted_on(&self)
        {
            let root = mount.root().clone();
            self = Self { mount, dentry: root };
        }
        self
    }

    /// The directory above, `..`: of what a mount begins with, the one above the place where it
    /// is mounted. The root's is itself.
    pub(super) fn above(mut self) -> Self {
        while self.is_root_of_mount() {
            match self.mount.place() {
                Some(place) => self = place.clone(),
                None => return self.entered(),
            }
        }
        match self.dentry.parent() {
            Some(parent) => self.with_dentry(parent).entered(),
            None => self,
        }
    }

    /// Whether the name by which it was come to is gone.
    pub fn is_gone(&self) -> bool {
        self.dentry.is_gone()
    }

    /// The absolute path, as realpath(3) has it; with ` (deleted)` behind it if it is gone.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = self.text_within(usize::MAX)?;
        if self.is_gone() {
            let note = b" (deleted)";
            text.try_reserve(note.len()).map_err(|_| Errno::ENOMEM)?;
            text.extend_from_slice(note);
        }
        Ok(text)
    }

    /// The absolute path, if it has at most `most` bytes.
    ///
    /// # Errors
    /// `ENAMETOOLONG` if it is longer; `ENOMEM`.
    pub fn text_within(&self, most: usize) -> Result<Vec<u8>> {
        /// How often one begins again because something on the way was renamed. What comes out
        /// then has been true piece by piece.
        const TRIES: usize = 8;
        let mut tries = 0;
        loop {
            let before = dcache::moves();
            let text = self.text_as_it_comes(most)?;
            tries += 1;
            if tries == TRIES || dcache::moves() == before {
                return Ok(text);
            }
        }
    }

    fn text_as_it_comes(&self, most: usize) -> Result<Vec<u8>> {
        // From its end to its start, each name backwards.
        let mut text: Vec<u8> = Vec::new();
        let (mut mount, mut dentry) = (self.mount.clone(), self.dentry.clone());
        loop {
            if Arc::ptr_eq(&dentry, mount.root()) {
                let Some(place) = mount.place().cloned() else { break };
                Self { mount, dentry } = place;
                continue;
            }
            let place = dentry.place();
            let Some(parent) = place.parent else { break };
            let name = place.name;
            if name.len() + 1 > most.saturating_sub(text.len()) {
                return Err(Errno::ENAMETOOLONG);
            }
            text.try_reserve(name.len() + 1).map_err(|_| Errno::ENOMEM)?;
            text.extend(name.iter().rev());
            text.push(b'/');
            dentry = parent;
        }
        if text.is_empty() {
            text.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            text.push(b'/');
        }
        text.reverse();
        Ok(text)
    }
}
