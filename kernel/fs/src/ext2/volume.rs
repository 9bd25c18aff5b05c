//! [`Ext2Volume`]: a mounted ext2, its inodes in memory, and the locks around its engine.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::stat::EXT2_SUPER_MAGIC;
use abi::{Errno, Result};
use device::block::{Claim, Volume};
use ext2::{
    Caller, Corrupt, Error, Ext2, MountOptions, OnDamage, ReadOnly, SUPERBLOCK_OFFSET,
    SUPERBLOCK_SIZE, Timestamp, probe,
};
use memory::frames::Allowance;
use task::{Mutex, RwLock, named_mutex, named_rwlock};

use super::in_flight::InFlight;
use super::inode::Ext2Inode;
use super::store::Store;
use super::table::Table;
use super::write_back::Flusher;
use crate::credentials::Credentials;
use crate::status::{DeviceNumber, Time};
use crate::vfs::{Backing, Statistics};

/// How often a call is made again after everything was stored: three times are enough.
const TRIES: usize = 4;

/// A mounted file system.
pub(super) struct Ext2Volume {
    pub(super) this: Weak<Self>,
    /// Whose it is as long as it is mounted.
    claim: Claim,
    pub(super) engine: RwLock<Ext2<Store>>,
    /// See the module.
    pub(super) barrier: RwLock<()>,
    /// Held while something is stored.
    pub(super) flight: Mutex<()>,
    /// Pages that are on their way to the disk.
    pub(super) in_flight: Arc<InFlight>,
    /// Inodes in memory.
    pub(super) inodes: Table<Ext2Inode>,
    pub(super) flusher: Flusher,
    /// Nothing more is changed: it is unmounted.
    is_over: AtomicBool,
    /// Nothing can be changed: it was mounted so, or is damaged.
    read_only: AtomicBool,
    pub(super) block_size: u64,
    pub(super) max_file_size: u64,
    /// The step of times, in nanoseconds.
    time_step: u32,
}

impl fmt::Debug for Ext2Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ext2Volume({})", self.claim.name())
    }
}

/// A moment, as the engine has it.
pub(super) fn stamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

/// A moment of the engine's.
pub(super) fn time(stamp: Timestamp) -> Time {
    Time { seconds: stamp.seconds, nanoseconds: stamp.nanoseconds }
}

impl Ext2Volume {
    /// Mounts what is on a disk or a part of one.
    ///
    /// # Errors
    /// `EBUSY` if somebody has it; `EINVAL` if that is no ext2, or one whose features are not
    /// known; `EUCLEAN` if it is damaged; `EIO`, `ENOMEM`.
    pub(super) fn mount(volume: &Arc<Volume>, read_only: bool) -> Result<Arc<Self>> {
        let name = volume.name();
        let claim = Claim::new(volume, "ext2").map_err(|error| {
            log::warn!("{name}: {error}");
            Errno::EBUSY
        })?;
        let mut superblock = [0; SUPERBLOCK_SIZE];
        volume.read_at(SUPERBLOCK_OFFSET, &mut superblock).map_err(|error| {
            log::error!("{name}: the superblock cannot be read: {error}");
            Errno::EIO
        })?;
        let refuse = |error: Error| {
            log::error!("{name}: not mounted: {error}");
            match error {
                // A superblock that is none: this is another file system, or nothing.
                Error::Corrupt(Corrupt { place: ext2::Place::Superblock, .. }) => Errno::EINVAL,
                error => error.errno(),
            }
        };
        let probe = probe(&superblock).map_err(refuse)?;
        let read_only = read_only || volume.is_read_only();
        let now = stamp(Time::now());
        let options = MountOptions { read_only, write_unclean: false, now };
        let store = Store::new(volume.clone(), probe.block_size);
        let engine = Ext2::mount(store, &options).map_err(refuse)?;
        match engine.read_only() {
            Some(ReadOnly::Unclean) => log::warn!(
                "{name}: it was not unmounted: e2fsck should look at it; read-only until then"
            ),
            Some(ReadOnly::Features(features)) => {
                log::warn!("{name}: read-only, for features that are not known: {features:?}");
            }
            Some(ReadOnly::Damaged) => log::warn!("{name}: read-only, for it is damaged"),
            Some(ReadOnly::Asked) | None => {}
        }
        let is_writable = engine.read_only().is_none();
        let (max_file_size, time_step) = (engine.max_file_size(), engine.time_step());
        let mounted = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            claim,
            engine: named_rwlock("ext2", engine),
            barrier: named_rwlock("ext2 barrier", ()),
            flight: named_mutex("ext2 storing", ()),
            in_flight: InFlight::new(),
            inodes: Table::new(),
            flusher: Flusher::new(),
            is_over: AtomicBool::new(false),
            read_only: AtomicBool::new(!is_writable),
            block_size: probe.block_size as u64,
            max_file_size,
            time_step,
        });
        if is_writable {
            mounted.flusher.start(&mounted)?;
        }
        Ok(mounted)
    }

    /// The device.
    pub(super) fn device(&self) -> &Arc<Volume> {
        &self.claim
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Looks whether anything can be changed, without the engine.
    ///
    /// # Errors
    /// `EROFS`.
    pub(super) fn check_changeable(&self) -> Result<()> {
        if self.is_over() || self.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Takes note if the engine lets nothing be changed any more.
    pub(super) fn note_read_only(&self, engine: &Ext2<Store>) {
        self.read_only.fetch_or(engine.read_only().is_some(), Ordering::Relaxed);
    }

    /// A moment as the disk can keep it.
    pub(super) fn round(&self, moment: Timestamp) -> Timestamp {
        let nanoseconds = moment.nanoseconds - moment.nanoseconds % self.time_step;
        Timestamp { nanoseconds, ..moment }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// On whose behalf something is changed. Room that is kept for root is root's.
    pub(super) fn caller(&self) -> Caller {
        let privileged = Credentials::ROOT.is_privileged();
        Caller { now: stamp(Time::now()), privileged }
    }

    /// The error number of the engine's error; damage is told and noted.
    pub(super) fn errno(&self, error: Error) -> Errno {
        if let Error::Corrupt(corrupt) = error {
            self.tell(corrupt);
            let wanted = {
                let mut engine = self.engine.write();
                let wanted = engine.report(corrupt);
                self.note_read_only(&engine);
                wanted
            };
            if wanted == OnDamage::Panic {
                log::error!(
                    "{}: its superblock wants a panic for that; it is read-only now",
                    self.claim.name()
                );
            }
        }
        error.errno()
    }

    fn tell(&self, corrupt: Corrupt) {
        log::error!("{}: ext2 is damaged: {corrupt}", self.claim.name());
    }

    /// Looks something up.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Ext2<Store>) -> Result<R, Error>) -> Result<R> {
        let result = look(&self.engine.read());
        result.map_err(|error| self.errno(error))
    }

    /// Changes something. If the engine asks for that, everything is stored before.
    ///
    /// # Errors
    /// What the engine says; `EROFS`.
    pub(super) fn change<R>(
        &self,
        mut change: impl FnMut(&mut Ext2<Store>, &Caller) -> Result<R, Error>,
    ) -> Result<R> {
        for _ in 0..TRIES {
            if self.is_over() {
                return Err(Errno::EROFS);
            }
            let caller = self.caller();
            let (result, report) = {
                let mut engine = self.engine.write();
                let result = change(&mut engine, &caller);
                let report = core::iter::from_fn(|| engine.take_report()).last();
                if report.is_some() {
                    self.note_read_only(&engine);
                }
                (result, report)
            };
            if let Some(corrupt) = report {
                self.tell(corrupt);
            }
            match result {
                Err(Error::WriteBackFirst) => self.store_everything()?,
                Err(error) => return Err(self.errno(error)),
                Ok(result) => {
                    self.flusher.wake_later();
                    return Ok(result);
                }
            }
        }
        Err(Errno::ENOSPC)
    }

    /// The inode of a number.
    ///
    /// # Errors
    /// `ENOMEM`, `EIO`, `EUCLEAN`.
    pub(super) fn inode(&self, number: u32) -> Result<Arc<Ext2Inode>> {
        let _allowance = Allowance::take(2)?;
        self.inode_allowed(number)
    }

    /// As [`Ext2Volume::inode`], by one who has an allowance.
    ///
    /// # Errors
    /// As that.
    pub(super) fn inode_allowed(&self, number: u32) -> Result<Arc<Ext2Inode>> {
        self.inodes.inode(number, || {
            let found = self.look(|engine| engine.inode(number))?;
            Ok(Ext2Inode::new(self.this.upgrade().ok_or(Errno::ENOENT)?, &found))
        })
    }

    /// An inode leaves the memory. What has no name goes from the disk, too, when somebody has time:
    /// this may be called in places where nobody should sleep ([`Table`]).
    pub(super) fn forget(&self, number: u32, has_name: bool) {
        if self.inodes.forget(number, has_name) {
            self.flusher.wake_later();
        }
    }

    /// Lets inodes go from the disk that nobody uses any more and that have no name.
    pub(super) fn let_released_go(&self) {
        while let Some(number) = self.inodes.take_released() {
            let result = self.engine.write().release(number);
            if let Err(error) = result {
                self.errno(error);
            }
        }
    }
}

impl Backing for Ext2Volume {
    fn device(&self) -> Option<DeviceNumber> {
        let number = self.claim.number();
        Some(DeviceNumber { major: number.major, minor: number.minor })
    }

    fn statistics(&self) -> Statistics {
        self.let_released_go();
        let usage = self.engine.read().usage();
        let (words, _) = usage.uuid.as_chunks::<8>();
        Statistics {
            magic: EXT2_SUPER_MAGIC,
            block: usage.block_size as u32,
            blocks: usage.blocks,
            free: usage.free_blocks,
            available: usage.available_blocks,
            inodes: usage.inodes,
            free_inodes: usage.free_inodes,
            id: words.iter().fold(0, |id, word| id ^ u64::from_le_bytes(*word)),
        }
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    fn sync(&self) -> Result<()> {
        self.store_everything()
    }

    fn remount(&self, read_only: bool, options: &[u8]) -> Result<()> {
        if !options.is_empty() {
            return Err(Errno::EINVAL);
        }
        match (read_only, self.is_read_only()) {
            (true, false) => self.become_read_only(),
            (false, true) => self.become_writable(),
            _ => Ok(()),
        }
    }

    fn unmounted(&self) -> Result<()> {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.flusher.stop();
        let closed = if self.is_read_only() { Ok(()) } else { self.close() };
        // What could not be stored is lost, and keeps the volume no longer.
        let (mut from, mut is_lost) = (0, false);
        while let Some((number, inode)) = self.inodes.next_listed(from) {
            is_lost |= inode.unlist_lost();
            from = number.saturating_add(1);
        }
        if is_lost { closed.and(Err(Errno::EIO)) } else { closed }
    }
}

impl Ext2Volume {
    /// Stores all there is, calls the file system whole, and lets nothing be changed any more.
    fn become_read_only(&self) -> Result<()> {
        for _ in 0..TRIES {
            self.store_everything()?;
            // What goes with its last user would have to be changed then.
            if self.engine.read().has_nameless() {
                return Err(Errno::EBUSY);
            }
            let marked = self.engine.write().mark_clean();
            match marked {
                Err(Error::WriteBackFirst) => continue,
                marked => marked.map_err(|error| self.errno(error))?,
            }
            self.store_batch(ext2::Scope::All)?;
            let result = {
                let mut engine = self.engine.write();
                let result = engine.remount(true);
                self.note_read_only(&engine);
                result
            };
            match result {
                // Somebody has changed something meanwhile.
                Err(Error::WriteBackFirst) => {}
                result => return result.map_err(|error| self.errno(error)),
            }
        }
        Err(Errno::EBUSY)
    }

    /// Lets things be changed again.
    fn become_writable(&self) -> Result<()> {
        if self.claim.is_read_only() {
            return Err(Errno::EACCES);
        }
        let this = self.this.upgrade().ok_or(Errno::ENOENT)?;
        self.flusher.start(&this)?;
        let result = self.engine.write().remount(false);
        result.map_err(|error| self.errno(error))?;
        self.read_only.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Stores all there is, and calls the file system whole.
    fn close(&self) -> Result<()> {
        self.store_everything()?;
        let closed = self.engine.write().close();
        closed.map_err(|error| self.errno(error))?;
        self.store_everything()?;
        let marked = self.engine.write().mark_clean();
        marked.map_err(|error| self.errno(error))?;
        self.store_batch(ext2::Scope::All)
    }
}
