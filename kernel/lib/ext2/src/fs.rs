//! The file system: [`Ext2`], what it holds in memory, and how its blocks are got at.

use hashbrown::HashMap;

use crate::allocation::Windows;
use crate::directory::Indices;
use crate::error::{Corrupt, Error};
use crate::geometry::Geometry;
use crate::groups::Groups;
use crate::held::Held;
use crate::layout::superblock::RawSuperblock;
use crate::layout::time::Timestamp;
use crate::mount::State;
use crate::names::SpareName;
use crate::order::{BlockKind, Dirty, Order};
use crate::orphans::Orphan;
use crate::reports::Reports;
use crate::storage::Storage;

/// An ext2 file system over a store of blocks.
///
/// What looks things up takes `&self`, what changes something `&mut self`: one lock around it
/// that many can hold for reading will do. What changes in memory is written in batches
/// ([`begin`](Self::begin)).
pub struct Ext2<S: Storage> {
    pub(crate) storage: S,
    pub(crate) geometry: Geometry,
    /// The superblock as it is to be; written when a batch of everything begins.
    pub(crate) superblock: RawSuperblock,
    pub(crate) groups: Groups,
    pub(crate) order: Order,
    pub(crate) held: Held,
    /// Inodes without a name that are still there, by number.
    pub(crate) orphans: HashMap<u32, Orphan>,
    pub(crate) state: State,
    pub(crate) reports: Reports,
    /// Indices of directories of many blocks.
    pub(crate) indices: Indices,
    /// Blocks that files have in advance.
    pub(crate) windows: Windows,
    /// The name that an inode has while it changes places with another.
    pub(crate) spare: Option<SpareName>,
    /// Counts directories of the root, to spread them.
    pub(crate) spread: u32,
}

/// On whose behalf something is changed, and when.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The time that the change gets.
    pub now: Timestamp,
    /// Whether blocks may be taken that are reserved
    /// ([`Ext2::may_use_reserved`]).
    pub privileged: bool,
}

impl<S: Storage> Ext2<S> {
    /// The store.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The store, to be changed in what is its own.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Lets `look` see a block.
    pub(crate) fn read_block<R>(
        &self,
        block: u32,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Error> {
        self.storage.read(block, look).map_err(|error| error.at(block))
    }

    /// Changes a block that belongs to no file.
    pub(crate) fn change_block<R>(
        &mut self,
        block: u32,
        kind: BlockKind,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        self.change_owned(block, Dirty { kind, owner: 0, home: 0, fresh: false }, change)
    }

    /// Changes a block of a file.
    pub(crate) fn change_file_block<R>(
        &mut self,
        block: u32,
        kind: BlockKind,
        owner: u32,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        let home = self.home(owner);
        self.change_owned(block, Dirty { kind, owner, home, fresh: false }, change)
    }

    /// Changes a block and records that it is dirty. If it is so already, this does not fail.
    pub(crate) fn change_owned<R>(
        &mut self,
        block: u32,
        dirty: Dirty,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        let before = self.order.is_dirty(block);
        self.order.mark(block, dirty)?;
        self.storage.modify(block, change).map_err(|error| {
            if !before {
                self.order.forget_block(block);
            }
            error.at(block)
        })
    }

    /// Fills a block that a file gets, and that nothing points to yet.
    pub(crate) fn fill_fresh_block<R>(
        &mut self,
        block: u32,
        kind: BlockKind,
        owner: u32,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        let home = self.home(owner);
        self.order.mark(block, Dirty { kind, owner, home, fresh: true })?;
        self.storage.fresh(block, fill).map_err(|error| {
            self.order.forget_block(block);
            error.at(block)
        })
    }

    /// Forgets a block that is metadata no more.
    pub(crate) fn forget_block(&mut self, block: u32) {
        self.order.forget_block(block);
        self.storage.forget(block);
        self.orphans_lost_block(block);
    }

    /// The block with an inode, which must be one that is there.
    pub(crate) fn home(&self, inode: u32) -> u32 {
        self.groups.inode_place(&self.geometry, inode).0
    }

    /// Whether something can be changed.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        if self.state.read_only.is_some() { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// Keeps damage that was survived for [`take_report`](Self::take_report), and does what
    /// the superblock wants to be done.
    pub(crate) fn note(&mut self, corrupt: Corrupt) {
        self.reports.push(corrupt);
        self.mark_damaged();
    }

    /// As [`note`](Self::note), if the error is damage; returns other errors.
    pub(crate) fn note_damage(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Corrupt(corrupt)) => {
                self.note(corrupt);
                Ok(())
            }
            other => other,
        }
    }
}
