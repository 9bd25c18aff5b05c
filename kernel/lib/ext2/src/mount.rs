//! Mounting and unmounting: [`probe`], [`Ext2::mount`], [`Ext2::close`].
//!
//! The superblock decides. Features that one must know to mount are refused by name; features
//! that one must know to write, and an unclean state, make it read-only. On the disk the file
//! system is marked as in use with the first batch after mounting, and as clean by
//! [`Ext2::mark_clean`]; a mount that changes nothing writes nothing.

use hashbrown::HashMap;
use zerocopy::{FromBytes, IntoBytes};

use crate::allocation::Windows;
use crate::directory::Indices;
use crate::error::{Corrupt, Damage, Error, Place};
use crate::fs::Ext2;
use crate::geometry::{self, Geometry, ROOT_INODE};
use crate::groups;
use crate::held::Held;
use crate::layout::features::{INCOMPAT_KNOWN, RO_COMPAT_KNOWN, RoCompat};
use crate::layout::inode::{FileKind, INODE_SIZE};
use crate::layout::superblock::{
    ERRORS_PANIC, ERRORS_READ_ONLY, OLD_FIRST_INODE, REVISION_DYNAMIC, REVISION_OLD, RawSuperblock,
    STATE_ERROR, STATE_VALID, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE,
};
use crate::layout::time::Timestamp;
use crate::order::{BlockKind, Order};
use crate::reports::Reports;
use crate::storage::Storage;

/// What a superblock says at first glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Bytes of a block, which the [`Storage`] must have.
    pub block_size: usize,
    /// Blocks of the file system.
    pub blocks: u32,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Its label, padded with zeros.
    pub label: [u8; 16],
}

/// How to mount.
#[derive(Clone, Copy, Debug)]
pub struct MountOptions {
    /// Nothing may be written.
    pub read_only: bool,
    /// Write even if the file system was not unmounted, or damage was found in it. What the
    /// bitmaps say is not to be relied on then: better let e2fsck look at it first.
    pub write_unclean: bool,
    /// The time.
    pub now: Timestamp,
}

/// Why a file system is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// It was asked for.
    Asked,
    /// These features must be known to write.
    Features(RoCompat),
    /// It was not unmounted the last time, or damage was found: e2fsck must look at it.
    Unclean,
    /// Damage was found, and the superblock wants it so.
    Damaged,
}

/// What the superblock wants to be done when damage is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Go on.
    Continue,
    /// Go on read-only; the engine has seen to it.
    ReadOnly,
    /// Stop the kernel.
    Panic,
}

/// How the file system stands.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) read_only: Option<ReadOnly>,
    /// It was clean when it was mounted, so that it may be marked so again.
    pub(crate) found_clean: bool,
    /// On the disk it is marked as clean, or may be.
    pub(crate) clean_on_disk: bool,
    /// The superblock in its block is not that in memory.
    pub(crate) superblock_dirty: bool,
    /// A batch is being written.
    pub(crate) batch: bool,
}

/// Looks at a superblock, the 1024 bytes at [`SUPERBLOCK_OFFSET`] of a device.
///
/// # Errors
/// If it is none of ext2, ext3 or ext4, or one whose revision or block size is not understood.
pub fn probe(superblock: &[u8; SUPERBLOCK_SIZE]) -> Result<Probe, Error> {
    let raw = parse(superblock)?;
    Ok(Probe {
        block_size: geometry::block_size(&raw)?,
        blocks: raw.blocks.get(),
        uuid: raw.uuid,
        label: raw.label,
    })
}

fn parse(bytes: &[u8]) -> Result<RawSuperblock, Error> {
    let damage = |_| Place::Superblock.is(Damage::BadMagic);
    RawSuperblock::read_from_prefix(bytes).map(|(raw, _)| raw).map_err(damage)
}

/// The block with the superblock, and bytes from its start.
fn superblock_place(block_size: usize) -> (u32, usize) {
    let offset = SUPERBLOCK_OFFSET as usize;
    ((offset / block_size) as u32, offset % block_size)
}

impl<S: Storage> Ext2<S> {
    /// Mounts the file system in `storage`. Whether it can be written then says
    /// [`read_only`](Self::read_only). Inodes that were open without a name when the system
    /// went down are deleted, if the list of them is kept (ext3).
    ///
    /// # Errors
    /// If its features are not understood, or the superblock, a group descriptor or the root
    /// directory are damaged, or the device fails.
    pub fn mount(storage: S, options: &MountOptions) -> Result<Self, Error> {
        let block_size = storage.block_size();
        if block_size < SUPERBLOCK_SIZE {
            return Err(Error::Invalid);
        }
        let (block, offset) = superblock_place(block_size);
        let superblock = storage
            .read(block, |bytes| parse(bytes.get(offset..).unwrap_or_default()))
            .map_err(|error| error.at(block))??;
        let geometry = Geometry::new(&superblock)?;
        let unknown = geometry.incompat.difference(INCOMPAT_KNOWN);
        if !unknown.is_empty() {
            return Err(Error::Unsupported(unknown));
        }
        if geometry.block_size != block_size {
            return Err(Error::Invalid);
        }
        if u64::from(geometry.blocks) > storage.blocks() {
            return Err(Place::Superblock.is(Damage::LargerThanDevice));
        }
        let groups = groups::load(&storage, &geometry)?;
        let clean = superblock.state.get() & (STATE_VALID | STATE_ERROR) == STATE_VALID;
        let unknown = geometry.ro_compat.difference(RO_COMPAT_KNOWN);
        let read_only = if options.read_only {
            Some(ReadOnly::Asked)
        } else if !unknown.is_empty() {
            Some(ReadOnly::Features(unknown))
        } else if !clean && !options.write_unclean {
            Some(ReadOnly::Unclean)
        } else {
            None
        };
        let mut this = Self {
            order: Order::new(geometry.inodes_per_block()),
            storage,
            geometry,
            superblock,
            groups,
            held: Held::default(),
            orphans: HashMap::new(),
            state: State {
                read_only,
                found_clean: clean,
                clean_on_disk: clean,
                superblock_dirty: false,
                batch: false,
            },
            reports: Reports::default(),
            indices: Indices::default(),
            windows: Windows::default(),
            spare: None,
            spread: 0,
        };
        if this.inode(ROOT_INODE)?.kind != FileKind::Directory {
            return Err(Place::Inode(ROOT_INODE).is(Damage::BadInode));
        }
        if this.state.read_only.is_none() {
            this.delete_listed_orphans(options.now)?;
        }
        Ok(this)
    }

    /// Why nothing can be written; `None` if it can.
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.state.read_only
    }

    /// Makes the file system read-only or writable while it is mounted. To make it read-only,
    /// write back everything, [`mark_clean`](Self::mark_clean) and write that first.
    ///
    /// # Errors
    /// [`Error::WriteBackFirst`] if something is not written; [`Error::ReadOnly`] if features
    /// or damage forbid to write.
    pub fn remount(&mut self, read_only: bool) -> Result<(), Error> {
        match (read_only, self.state.read_only) {
            (true, None) if !self.is_settled() || self.state.superblock_dirty => {
                return Err(Error::WriteBackFirst);
            }
            (true, None) => self.state.read_only = Some(ReadOnly::Asked),
            (false, Some(ReadOnly::Asked)) => {
                let unknown = self.geometry.ro_compat.difference(RO_COMPAT_KNOWN);
                if !unknown.is_empty() || !self.state.found_clean {
                    return Err(Error::ReadOnly);
                }
                self.state.read_only = None;
            }
            (false, Some(_)) => return Err(Error::ReadOnly),
            (true, Some(_)) | (false, None) => {}
        }
        Ok(())
    }

    /// The first step of unmounting: deletes inodes that have no name, whoever has them open.
    /// Then write back everything until [`is_settled`](Self::is_settled), call
    /// [`mark_clean`](Self::mark_clean), and write back once more.
    ///
    /// # Errors
    /// If one could not be deleted. The others are.
    pub fn close(&mut self) -> Result<(), Error> {
        if self.state.read_only.is_some() {
            return Ok(());
        }
        self.trim_all();
        self.drop_spare_name();
        self.release_orphans()
    }

    /// Marks the file system as clean, if it was clean when it was mounted and no damage was
    /// found; the next batch writes that. Whatever changes after this makes it unclean again.
    ///
    /// # Errors
    /// [`Error::WriteBackFirst`] if something is not written yet.
    pub fn mark_clean(&mut self) -> Result<(), Error> {
        if self.trim_all() || self.drop_spare_name() || !self.is_settled() {
            return Err(Error::WriteBackFirst);
        }
        let damaged = self.superblock.state.get() & STATE_ERROR != 0;
        if !self.state.clean_on_disk && self.state.found_clean && !damaged {
            self.superblock.state = STATE_VALID.into();
            self.state.superblock_dirty = true;
        }
        Ok(())
    }

    /// Records that an operation found damage, so that the superblock says so and e2fsck looks
    /// at it. Returns what the superblock wants to be done.
    pub fn report(&mut self, corrupt: Corrupt) -> OnDamage {
        let _ = corrupt;
        self.mark_damaged();
        match self.superblock.errors.get() {
            ERRORS_READ_ONLY => OnDamage::ReadOnly,
            ERRORS_PANIC => OnDamage::Panic,
            _ => OnDamage::Continue,
        }
    }

    /// Damage that was found in passing and did not stop the operation, to be written to the
    /// log: one after the other until there is no more. The superblock says so already.
    pub fn take_report(&mut self) -> Option<Corrupt> {
        self.reports.take()
    }

    /// Does what the superblock wants for damage, as far as it is ours.
    pub(crate) fn mark_damaged(&mut self) {
        if self.state.read_only.is_some() {
            return;
        }
        let state = self.superblock.state.get();
        if state & STATE_ERROR == 0 {
            self.superblock.state = (state | STATE_ERROR).into();
            self.state.superblock_dirty = true;
        }
        if self.superblock.errors.get() == ERRORS_READ_ONLY {
            self.state.read_only = Some(ReadOnly::Damaged);
        }
    }

    /// Makes the superblock say that there are files of 2 GiB and more.
    pub(crate) fn require_large_file(&mut self) {
        if self.geometry.ro_compat.contains(RoCompat::LARGE_FILE) {
            return;
        }
        self.geometry.ro_compat |= RoCompat::LARGE_FILE;
        let raw = &mut self.superblock;
        if raw.revision.get() == REVISION_OLD {
            // Revision 0 has no features, and fixed values for what 1 has fields for.
            raw.revision = REVISION_DYNAMIC.into();
            raw.first_inode = OLD_FIRST_INODE.into();
            raw.inode_size = (INODE_SIZE as u16).into();
            raw.compat = 0.into();
            raw.incompat = 0.into();
            raw.ro_compat = 0.into();
        }
        raw.ro_compat = (raw.ro_compat.get() | RoCompat::LARGE_FILE.bits()).into();
        self.state.superblock_dirty = true;
    }

    /// Puts the counters into descriptors and superblock, and the superblock into its block,
    /// where they differ. The superblock says that the file system is in use if `in_use`.
    pub(crate) fn store_counters(&mut self, now: Timestamp, in_use: bool) -> Result<(), Error> {
        for number in 0..self.geometry.groups {
            let Some(group) = self.groups.at(number).filter(|group| group.dirty) else { continue };
            let group = group.clone();
            let (block, offset) = groups::descriptor_place(&self.geometry, number);
            self.change_block(block, BlockKind::Descriptors, |bytes| {
                let descriptor = bytes.get_mut(offset..).unwrap_or_default();
                if let Ok((raw, _)) = crate::layout::group::RawGroup::mut_from_prefix(descriptor) {
                    group.store(raw);
                }
            })?;
            self.groups.change(number, |group| group.dirty = false);
            self.state.superblock_dirty = true;
        }
        if in_use {
            self.mark_in_use(now);
        }
        if self.state.superblock_dirty {
            let totals = self.groups.totals();
            self.superblock.free_blocks = totals.free_blocks.into();
            self.superblock.free_inodes = totals.free_inodes.into();
            self.superblock.write_time = now.unsigned().into();
            self.store_superblock()?;
        }
        Ok(())
    }

    /// Makes the superblock in memory say that the file system is in use.
    fn mark_in_use(&mut self, now: Timestamp) {
        let raw = &mut self.superblock;
        let state = raw.state.get();
        if state & STATE_VALID != 0 {
            raw.state = (state & !STATE_VALID).into();
            raw.mount_time = now.unsigned().into();
            raw.mount_count = raw.mount_count.get().saturating_add(1).into();
            self.state.superblock_dirty = true;
        }
    }

    /// Puts the superblock into its block.
    fn store_superblock(&mut self) -> Result<(), Error> {
        let (block, offset) = superblock_place(self.geometry.block_size);
        let raw = self.superblock.clone();
        self.change_block(block, BlockKind::Superblock, |bytes| {
            if let Some(place) = bytes.get_mut(offset..offset + SUPERBLOCK_SIZE) {
                place.copy_from_slice(raw.as_bytes());
            }
        })?;
        self.state.superblock_dirty = false;
        Ok(())
    }

    /// The block with the superblock.
    pub(crate) fn superblock_block(&self) -> u32 {
        superblock_place(self.geometry.block_size).0
    }
}
