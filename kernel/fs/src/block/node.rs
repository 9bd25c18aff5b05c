//! [`Node`]: a disk or partition that somebody has open, and its pages.

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use device::block::{self, Claim, RescanError, SECTOR, Volume};
use memory::OutOfMemory;
use memory::frames::check_user_may_allocate;
use spin::Once;
use task::{Mutex, Work, WorkQueue, named_mutex};
use vm::cache::{Batch, PageCache, PageStore, Reach};
use vm::{ObjectError, PAGE};

use super::transfer::{errno, most_pages, transfer};

/// How long a page is in memory alone before it is stored.
const INTERVAL_NS: u64 = 5_000_000_000;
/// Tasks that store pages of disks: as many disks can be written to all the time.
const WORKERS: usize = 4;

static FLUSHER: Once<Arc<WorkQueue>> = Once::new();

/// Starts the tasks that store pages of disks.
///
/// # Errors
/// [`OutOfMemory`].
pub(super) fn start_flusher() -> core::result::Result<(), OutOfMemory> {
    let queue = WorkQueue::start("disk pages", WORKERS)?;
    FLUSHER.call_once(|| queue);
    Ok(())
}

/// Those who have a disk open for writing.
#[derive(Default)]
struct Writers {
    count: usize,
    /// There as long as there are some.
    claim: Option<Claim>,
}

/// A disk or partition that is open.
pub(super) struct Node {
    volume: Arc<Volume>,
    cache: Arc<PageCache>,
    /// Held by whoever writes.
    pub(super) writes: Mutex<()>,
    writers: Mutex<Writers>,
    /// Somebody else had it for himself when it was last read, and may have written to it.
    was_held: AtomicBool,
    flusher: Arc<Work>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.volume.name())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It holds no reference, and finds nobody from now on.
        self.flusher.cancel();
        self.cache.abandon();
    }
}

/// Stores what is dirty, some time after it became that, and again as long as there is more.
fn flush(node: &Weak<Node>) {
    loop {
        let Some(node) = node.upgrade() else { return };
        if let Err(error) = node.cache.write_back(0..u64::MAX, Reach::Wait) {
            let name = node.volume.name();
            if node.volume.is_gone() {
                return log::error!("{name}: gone; what was not stored is lost");
            }
            log::error!("{name}: pages are not stored: {error:?}; tried again");
        }
        if node.cache.unstored_pages() == 0 {
            return;
        }
        drop(node);
        task::sleep(INTERVAL_NS);
    }
}

impl Node {
    /// The node of a volume.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new(volume: &Arc<Volume>) -> Result<Arc<Self>> {
        check_user_may_allocate()?;
        let queue = FLUSHER.get().ok_or(Errno::ENXIO)?;
        Ok(Arc::new_cyclic(|this: &Weak<Self>| {
            let (store, later) = (this.clone(), this.clone());
            Self {
                volume: volume.clone(),
                cache: PageCache::new(volume.bytes(), store),
                writes: named_mutex("writes to a disk", ()),
                writers: named_mutex("writers of a disk", Writers::default()),
                was_held: AtomicBool::new(false),
                flusher: Work::new("disk pages", queue, move |_| flush(&later)),
            }
        }))
    }

    /// The disk or partition.
    pub(super) fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// Its pages.
    pub(super) fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    /// The cache as it is to be read: nothing is kept in it as long as somebody has the disk for
    /// himself who is not one of those who write to it here.
    pub(super) fn refresh(&self) {
        // Nobody comes to write before this is over.
        let writers = self.writers.lock();
        if writers.count == 0 {
            let is_held = block::is_held(&self.volume);
            if self.was_held.swap(is_held, Ordering::Relaxed) || is_held {
                self.cache.invalidate(0..u64::MAX);
            }
        }
    }

    /// One more has it open for writing.
    ///
    /// # Errors
    /// `EBUSY` if it, a partition of it, or the disk that it is a part of is mounted; `ENODEV` if
    /// it is gone.
    pub(super) fn add_writer(&self) -> Result<()> {
        let mut writers = self.writers.lock();
        if writers.count == 0 {
            writers.claim = Some(Claim::new(&self.volume, "a program")?);
            // Whatever another wrote in the meantime is not here.
            self.cache.invalidate(0..u64::MAX);
            self.was_held.store(false, Ordering::Relaxed);
        }
        writers.count += 1;
        Ok(())
    }

    /// One of them has it no more; what was written is stored.
    pub(super) fn remove_writer(&self) {
        let stored = self.store();
        if let Err(error) = stored {
            let name = self.volume.name();
            log::error!("{name}: what was written is not stored: {}", error.description());
        }
        let claim = {
            let mut writers = self.writers.lock();
            writers.count -= 1;
            if writers.count > 0 {
                return;
            }
            if self.cache.unstored_pages() > 0 {
                // They must not be stored over what the next one writes who has the disk.
                self.cache.invalidate(0..u64::MAX);
            }
            writers.claim.take()
        };
        drop(claim);
    }

    /// Stores what was written. Returns when it is where a power cut cannot reach it.
    ///
    /// # Errors
    /// `EIO`, `ENOMEM`.
    pub(super) fn store(&self) -> Result<()> {
        self.cache.write_back(0..u64::MAX, Reach::Wait)?;
        self.volume.flush().map_err(errno)
    }

    /// As [`Node::store`], if there is anything to be stored.
    ///
    /// # Errors
    /// As that.
    pub(super) fn store_dirty(&self) -> Result<()> {
        if self.cache.unstored_pages() == 0 { Ok(()) } else { self.store() }
    }

    /// Has the partitions of a whole disk looked up again.
    ///
    /// # Errors
    /// `EBUSY` if somebody else has it or one of them for himself; `ENODEV`, `EIO`.
    pub(super) fn rescan(&self) -> Result<()> {
        self.store()?;
        let writers = self.writers.lock();
        let result = match &writers.claim {
            Some(claim) => block::rescan_held(claim),
            None => block::rescan(self.volume.disk()),
        };
        result.map(|_| ()).map_err(|error| match error {
            RescanError::Claim(error) => error.into(),
            RescanError::Read(error) => errno(error),
        })
    }

    /// Reads or writes a batch, in as many requests as it takes.
    fn transfer(&self, batch: &Arc<Batch>, is_write: bool) {
        let (pages, most) = (batch.pages(), most_pages(&self.volume));
        let len = self.volume.bytes();
        let mut at = pages.start;
        while at < pages.end {
            let end = (at + most).min(pages.end);
            let (part, start) = (batch.part(at..end), at * PAGE);
            match len.saturating_sub(start).min((end - at) * PAGE) {
                // The device has become shorter.
                bytes if bytes <= (end - at - 1) * PAGE => part.done(Err(ObjectError::Io)),
                bytes => transfer(&self.volume, part, (), start / SECTOR, bytes, is_write),
            }
            at = end;
        }
    }
}

impl PageStore for Node {
    fn read(&self, batch: Arc<Batch>) {
        self.transfer(&batch, false);
    }

    fn write(&self, batch: Arc<Batch>) {
        self.transfer(&batch, true);
    }

    fn reserve(&self, bytes: Range<u64>, dirty: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        if bytes.end > self.volume.bytes() {
            return Err(Errno::ENOSPC);
        }
        dirty()
    }

    fn reserve_within(
        &self,
        bytes: Range<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        self.reserve(bytes, dirty)
    }

    fn gives_whole_pages(&self) -> bool {
        true // a disk has all its room
    }

    fn became_dirty(&self) {
        self.flusher.queue_after(INTERVAL_NS);
    }

    fn hurry(&self) {
        self.flusher.queue();
    }
}
