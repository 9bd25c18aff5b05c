//! Storing what was changed: batches of metadata with the data that go before them, fsync(2),
//! sync(2), and the flusher, which sees to it that nothing stays in memory alone for long.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::{Errno, Result};
use device::block::{Completion, Finished, Request, SECTOR, Segments};
use ext2::{Batch, Error, Ext2, Scope, Write};
use task::{WaitOptions, WaitQueue};
use vm::cache::Reach;

use super::inode::Ext2Inode;
use super::store::Store;
use super::volume::{Ext2Volume, stamp};
use crate::block::transfer::errno;
use crate::status::Time;

/// How long a change is in memory alone before the flusher stores it.
const INTERVAL_NS: u64 = 5_000_000_000;
/// Blocks that are on their way to the disk at a time.
const AT_ONCE: usize = 128;
/// How often everything is stored before it is settled: what is deleted may take two.
const ROUNDS: usize = 4;

type Frozen = Arc<Vec<u8>>;

/// Requests that somebody waits for together.
struct Together {
    left: AtomicUsize,
    failed: AtomicBool,
    over: WaitQueue,
}

impl Completion for Together {
    fn finished(&self, finished: Finished) {
        if finished.result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.over.wake_all();
        }
    }
}

impl Ext2Volume {
    /// Stores a batch. Returns when it is where a power cut cannot reach it.
    ///
    /// # Errors
    /// `EIO`, `ENOMEM`: what it had is still to be stored.
    pub(super) fn store_batch(&self, scope: Scope) -> Result<()> {
        let _flight = self.flight.lock();
        let mut longer = Vec::new();
        let (batch, before, damage) = {
            let _barrier = self.barrier.write();
            let mut engine = self.engine.write();
            let damage = self.hand_over(&mut engine, scope, &mut longer);
            let begun = damage.and_then(|damage| {
                let batch = engine.begin(scope, stamp(Time::now()))?;
                // After a batch of everything, and no other, blocks that were freed can be used.
                let before = (scope == Scope::All).then(|| self.in_flight.batch_begins());
                Ok((batch, before, damage))
            });
            drop(engine);
            begun.map_err(|error| self.errno(error))?
        };
        let written = self.write_batch(&batch, &longer);
        if let Some(before) = before {
            self.in_flight.wait(before);
        }
        {
            let mut engine = self.engine.write();
            engine.finish(batch, written.is_ok());
            self.note_read_only(&engine);
        }
        match damage {
            None => written,
            Some(error) => written.and(Err(self.errno(error))),
        }
    }

    /// Tells the engine what is newer in the inodes that a batch is about, before that begins.
    /// `longer` gets the files that have become longer by that. Returns what is wrong with one that
    /// can never be told: that one's changes are lost, and no reason to keep the others' from the
    /// disk.
    ///
    /// # Errors
    /// As the engine: some are told then.
    fn hand_over(
        &self,
        engine: &mut Ext2<Store>,
        scope: Scope,
        longer: &mut Vec<u32>,
    ) -> core::result::Result<Option<Error>, Error> {
        let mut damage = None;
        match scope {
            Scope::All => {
                let mut from = 0;
                while let Some((number, inode)) = self.inodes.next_listed(from) {
                    hand_over_one(&inode, engine, longer, &mut damage)?;
                    from = number.saturating_add(1);
                }
            }
            Scope::Inode(number) => {
                if let Some(inode) = self.inodes.listed(number) {
                    hand_over_one(&inode, engine, longer, &mut damage)?;
                }
                // The disk must not have blocks of other files, in the same blocks of inodes, without
                // their sizes.
                for number in engine.data_of(number)? {
                    if let Some(inode) = self.inodes.listed(number) {
                        hand_over_one(&inode, engine, longer, &mut damage)?;
                    }
                }
            }
        }
        Ok(damage)
    }

    /// Writes a batch, and the pages of the files that are `longer` by it before: the disk does not
    /// say that a file has bytes before it has them.
    fn write_batch(&self, batch: &Batch<Frozen>, longer: &[u32]) -> Result<()> {
        for number in longer.iter().chain(batch.data()) {
            if let Some(inode) = self.inodes.listed(*number) {
                inode.store_pages(Reach::Wait)?;
            }
        }
        for phase in batch.phases() {
            for writes in phase.chunks(AT_ONCE) {
                self.write_blocks(writes)?;
            }
            self.device().flush().map_err(errno)?;
        }
        if batch.is_empty() {
            // What fsync wants may be in a batch before, or in pages.
            self.device().flush().map_err(errno)?;
        }
        Ok(())
    }

    fn write_blocks(&self, writes: &[Write<Frozen>]) -> Result<()> {
        let together = Arc::new(Together {
            left: AtomicUsize::new(writes.len()),
            failed: AtomicBool::new(false),
            over: WaitQueue::new("blocks of ext2"),
        });
        let mut requests = VecDeque::new();
        requests.try_reserve(writes.len()).map_err(|_| Errno::ENOMEM)?;
        for write in writes {
            let sector = u64::from(write.block) * self.block_size / SECTOR;
            let mut segments = Segments::allocate(write.bytes.len())?;
            segments.write(0, &write.bytes);
            requests.push_back(Request::write(sector, segments, together.clone())?);
        }
        self.device().submit_all(&mut requests);
        // Each ends: the block layer has a bound for that.
        together.over.wait(|| (together.left.load(Ordering::Acquire) == 0).then_some(()));
        if together.failed.load(Ordering::Acquire) { Err(Errno::EIO) } else { Ok(()) }
    }

    /// Stores all that was changed before.
    ///
    /// # Errors
    /// `EIO`, `ENOMEM`: some of it is still to be stored.
    pub(super) fn store_everything(&self) -> Result<()> {
        for _ in 0..ROUNDS {
            self.let_released_go();
            let stored = self.store_pages().and_then(|()| self.store_batch(Scope::All));
            self.unlist_stored();
            stored?;
            if self.engine.read().is_settled() {
                break;
            }
        }
        Ok(())
    }

    /// Stores the pages of all files.
    fn store_pages(&self) -> Result<()> {
        let mut result = Ok(());
        // All are begun before the first is waited for.
        for reach in [Reach::Start, Reach::Wait] {
            let mut from = 0;
            while let Some((number, inode)) = self.inodes.next_listed(from) {
                // What has no name and no user goes as it is.
                if inode.is_wanted() {
                    result = inode.store_pages(reach).and(result);
                }
                from = number.saturating_add(1);
            }
        }
        result
    }

    /// Takes what is stored by now from the list of what is to be stored.
    fn unlist_stored(&self) {
        let mut from = 0;
        while let Some((number, inode)) = self.inodes.next_listed(from) {
            inode.unlist_stored();
            from = number.saturating_add(1);
        }
    }
}

/// Tells the engine what is newer in an inode; see [`Ext2Volume::hand_over`].
fn hand_over_one(
    inode: &Ext2Inode,
    engine: &mut Ext2<Store>,
    longer: &mut Vec<u32>,
    damage: &mut Option<Error>,
) -> core::result::Result<(), Error> {
    // What has no name and no user goes as it is.
    if !inode.is_wanted() {
        return Ok(());
    }
    longer.try_reserve(1).map_err(|_| Error::NoMemory)?;
    match inode.hand_over(engine) {
        Ok(true) => longer.push(inode.number()),
        Ok(false) => {}
        Err(Error::NoMemory) => return Err(Error::NoMemory),
        // Also if the disk does not give its block of inodes.
        Err(error) => {
            inode.give_up();
            // It was told when that became so.
            *damage = Some(error).filter(|error| *error != Error::ReadOnly).or(*damage);
        }
    }
    Ok(())
}

/// The task that stores what was changed, some seconds later.
pub(super) struct Flusher(Arc<Shared>);

struct Shared {
    is_started: AtomicBool,
    /// Something is to be stored.
    is_wanted: AtomicBool,
    /// At once.
    is_urgent: AtomicBool,
    is_over: AtomicBool,
    changed: WaitQueue,
}

impl Flusher {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            is_started: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            is_urgent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            changed: WaitQueue::new("changes of files"),
        }))
    }

    /// Starts the task, if there is none.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn start(&self, volume: &Arc<Ext2Volume>) -> Result<()> {
        if self.0.is_started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (shared, volume) = (self.0.clone(), Arc::downgrade(volume));
        task::spawn("ext2", move || flush(&shared, &volume)).inspect_err(|_| {
            self.0.is_started.store(false, Ordering::Release);
        })?;
        Ok(())
    }

    /// Something was changed, and is to be stored in a while.
    pub(super) fn wake_later(&self) {
        if !self.0.is_wanted.load(Ordering::Relaxed)
            && !self.0.is_wanted.swap(true, Ordering::AcqRel)
        {
            self.0.changed.wake_all();
        }
    }

    /// What was changed is to be stored at once.
    pub(super) fn hurry(&self) {
        if !self.0.is_urgent.load(Ordering::Relaxed)
            && !self.0.is_urgent.swap(true, Ordering::AcqRel)
        {
            self.0.is_wanted.store(true, Ordering::Release);
            self.0.changed.wake_all();
        }
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        self.0.is_over.store(true, Ordering::Release);
        self.0.changed.wake_all();
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn flush(shared: &Shared, volume: &Weak<Ext2Volume>) {
    let is_over = || shared.is_over.load(Ordering::Acquire);
    let mut has_failed = false;
    loop {
        let woken = || (is_over() || shared.is_wanted.load(Ordering::Acquire)).then_some(());
        shared.changed.wait(woken);
        // For more to come together.
        let options = WaitOptions::within(INTERVAL_NS);
        // What could not be stored is not tried again at once.
        let is_urgent = || is_over() || (!has_failed && shared.is_urgent.load(Ordering::Acquire));
        let _ = shared.changed.wait_with(options, || is_urgent().then_some(()));
        shared.is_urgent.store(false, Ordering::Release);
        let Some(volume) = volume.upgrade().filter(|_| !is_over()) else { return };
        shared.is_wanted.store(false, Ordering::Release);
        let result = volume.store_everything();
        has_failed = result.is_err();
        let Err(error) = result else { continue };
        let name = volume.device().name();
        if volume.device().is_gone() {
            return log::error!("{name}: gone; what was not stored is lost");
        }
        log::error!("{name}: changes are not stored: {}; tried again", error.description());
        shared.is_wanted.store(true, Ordering::Release);
    }
}
