//! [`Balloon`]: frames that the host has borrowed.
//!
//! Locks: `held` while frames go in or come out, also while the device is told of that, which has
//! a bound.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use arrayvec::ArrayVec;
use base::fallible::try_box;
use memory::OutOfMemory;
use memory::dma::{DmaBuffer, DmaPool};
use memory::frames::{self, Frame, FrameUse};
use task::{WaitOptions, WaitQueue};
use virtqueue::Buffer;

use crate::virtio::{Function, Queue, VirtioDevice, VirtioError};

/// Frames of a batch.
const BATCH: usize = 256;
/// Bytes of a page, whatever the machine's are (section 5.5.6).
const PAGE_SHIFT: u32 = 12;
/// How long the device may take for a batch, in nanoseconds.
const BOUND_NS: u64 = 5_000_000_000;
/// After how long the host's wish is tried again if it could not be fulfilled, in nanoseconds.
const RETRY_NS: u64 = 5_000_000_000;
/// The balloon takes no frames when fewer than one in so many would be left free.
const LEAST_FREE_PART: usize = 16;

// Offsets in the configuration.
const WANTED: u16 = 0;
const ACTUAL: u16 = 4;

static BUFFERS: DmaPool = DmaPool::new();

/// A batch of frames in the balloon.
type Batch = Box<ArrayVec<Frame, BATCH>>;

/// A batch that the device is told of.
pub(super) struct Ticket {
    /// [`WAITS`], [`DONE`] or [`LOST`].
    state: AtomicU8,
    numbers: DmaBuffer,
}

const WAITS: u8 = 0;
const DONE: u8 = 1;
const LOST: u8 = 2;

/// A memory balloon.
pub(super) struct Balloon {
    virtio: Arc<VirtioDevice>,
    inflating: Arc<Queue<Arc<Ticket>>>,
    deflating: Arc<Queue<Arc<Ticket>>>,
    held: task::Mutex<Vec<Batch>>,
    /// Frames in all batches.
    pub(super) pages: AtomicUsize,
    /// Where whoever has told the device of a batch waits.
    answers: WaitQueue,
    /// Where the task that follows the host sleeps.
    changes: WaitQueue,
    has_changed: AtomicBool,
    is_over: AtomicBool,
}

impl Balloon {
    pub(super) fn new(
        virtio: &Arc<VirtioDevice>,
        inflating: Arc<Queue<Arc<Ticket>>>,
        deflating: Arc<Queue<Arc<Ticket>>>,
    ) -> Self {
        Self {
            virtio: virtio.clone(),
            inflating,
            deflating,
            held: task::named_mutex("balloon", Vec::new()),
            pages: AtomicUsize::new(0),
            answers: WaitQueue::new("a balloon's device"),
            changes: WaitQueue::new("a change of a balloon's size"),
            has_changed: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
        }
    }

    /// How many pages the host wants in the balloon.
    pub(super) fn wanted(&self) -> Result<usize, VirtioError> {
        self.virtio.config(|config| Ok(config.config32(WANTED)? as usize))
    }

    /// What the balloon's task does: makes the balloon as large as the host wants it, until the end.
    pub(super) fn follow(&self) {
        let mut deadline = None;
        loop {
            let options = WaitOptions { deadline, interruptible: false };
            let look = || {
                let has_changed = self.has_changed.swap(false, Ordering::Acquire);
                (has_changed || self.is_over.load(Ordering::Relaxed)).then_some(())
            };
            // The time to try again is as good as a change.
            let _ = self.changes.wait_with(options, look);
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let is_done = self.adjust();
            deadline = (!is_done).then(|| base::time::now_ns().saturating_add(RETRY_NS));
        }
    }

    /// The task is to end.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.changes.wake_all();
    }

    fn change(&self) {
        self.has_changed.store(true, Ordering::Release);
        self.changes.wake_all();
    }

    /// Does what the host wants, a batch at a time; whether all of it.
    fn adjust(&self) -> bool {
        while !self.is_over.load(Ordering::Relaxed) {
            let pages = self.pages.load(Ordering::Relaxed);
            let result = match self.wanted() {
                Ok(wanted) if wanted > pages => self.inflate(wanted - pages),
                Ok(wanted) if wanted < pages => match self.deflate(pages - wanted) {
                    // Somebody else takes them out.
                    Ok(0) => return false,
                    result => result.map(|_| ()),
                },
                Ok(_) => return true,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                log::debug!("{}: the balloon has {pages} pages: {error}", self.virtio);
                return false;
            }
        }
        true
    }

    /// Puts up to a batch of frames in, at most `most`.
    ///
    /// # Errors
    /// `OutOfMemory` if memory is scarce; `TimedOut`.
    fn inflate(&self, most: usize) -> Result<(), VirtioError> {
        let statistics = frames::statistics();
        let spare = statistics.free.saturating_sub(statistics.total / LEAST_FREE_PART);
        let count = most.min(BATCH).min(spare);
        let mut batch = try_box(ArrayVec::new()).map_err(|_| OutOfMemory)?;
        let mut held = self.held.lock();
        held.try_reserve(1).map_err(|_| OutOfMemory)?;
        batch.extend((0..count).map_while(|_| Frame::allocate(FrameUse::Balloon).ok()));
        if batch.is_empty() {
            return Err(VirtioError::OutOfMemory);
        }
        // It may be the device's from the moment that it is told, whatever it answers.
        let result = self.tell(&self.inflating, &batch);
        self.pages.fetch_add(batch.len(), Ordering::Relaxed);
        held.push(batch);
        drop(held);
        self.say_size();
        result
    }

    /// Takes out up to `most` frames, and up to a batch; how many.
    ///
    /// # Errors
    /// `OutOfMemory`, `TimedOut`.
    fn deflate(&self, most: usize) -> Result<usize, VirtioError> {
        let mut out = try_box(ArrayVec::<Frame, BATCH>::new()).map_err(|_| OutOfMemory)?;
        let mut held = self.held.lock();
        let Some(mut batch) = held.pop() else { return Ok(0) };
        // Of a batch that is larger than what is to go, the rest stays.
        let keep = batch.len().saturating_sub(most);
        out.extend(batch.drain(keep..));
        let result = self.tell(&self.deflating, &out);
        match result {
            Ok(()) => {
                self.pages.fetch_sub(out.len(), Ordering::Relaxed);
            }
            // Nobody knows: back with them, until the device is reset.
            Err(_) => batch.extend(out.drain(..)),
        }
        if !batch.is_empty() {
            held.push(batch); // where it was
        }
        drop(held);
        let count = out.len();
        drop(out);
        self.say_size();
        result.map(|()| count)
    }

    /// Takes up to `frames` frames out since memory is out; how many. The host's wish is looked at
    /// again after a while.
    pub(super) fn give_back(&self, frames: usize) -> usize {
        let mut freed = 0;
        while freed < frames {
            match self.deflate(frames - freed) {
                Ok(0) | Err(_) => break,
                Ok(count) => freed += count,
            }
        }
        freed
    }

    /// Tells the device the numbers of frames, and waits until it has taken note.
    fn tell(
        &self,
        queue: &Queue<Arc<Ticket>>,
        batch: &ArrayVec<Frame, BATCH>,
    ) -> Result<(), VirtioError> {
        let mut numbers = BUFFERS.allocate(batch.len() * size_of::<u32>())?;
        for (to, frame) in numbers.bytes_mut().chunks_exact_mut(4).zip(batch) {
            let number = u32::try_from(frame.address().as_u64() >> PAGE_SHIFT);
            let number = number.map_err(|_| VirtioError::BadConfig {
                what: "a balloon names no frames beyond 16 TiB",
            })?;
            to.copy_from_slice(&number.to_le_bytes());
        }
        let buffer = Buffer::readable(numbers.address().as_u64(), numbers.len() as u32);
        let ticket = Arc::new(Ticket { state: AtomicU8::new(WAITS), numbers });
        queue.add([buffer], ticket.clone()).map_err(|_| VirtioError::TimedOut)?;
        queue.kick();
        let answer = || match ticket.state.load(Ordering::Acquire) {
            WAITS => None,
            state => Some(state),
        };
        match self.answers.wait_with(WaitOptions::within(BOUND_NS), answer) {
            Ok(DONE) => Ok(()),
            Ok(_) => Err(VirtioError::TimedOut),
            Err(_) => {
                log::warn!("{}: no answer about {} bytes", self.virtio, ticket.numbers.len());
                self.virtio.alarm();
                Err(VirtioError::TimedOut)
            }
        }
    }

    /// Tells the host how large the balloon is.
    fn say_size(&self) {
        let pages = self.pages.load(Ordering::Relaxed) as u32;
        if let Err(error) = self.virtio.set_config32(ACTUAL, pages) {
            log::warn!("{}: {error}", self.virtio);
        }
    }
}

impl Function for Balloon {
    fn used(&self, queue: u16) {
        let queue = if queue == 0 { &self.inflating } else { &self.deflating };
        let any = queue.used(|done| done.token.state.store(DONE, Ordering::Release));
        if any {
            self.answers.wake_all();
        }
    }

    fn config_changed(&self) {
        self.change();
    }

    fn stopped(&self) {
        for queue in [&self.inflating, &self.deflating] {
            while let Some(ticket) = queue.recall() {
                ticket.state.store(LOST, Ordering::Release);
            }
        }
        self.answers.wake_all();
        // The device has forgotten them: all are the machine's again.
        let held = core::mem::take(&mut *self.held.lock());
        self.pages.store(0, Ordering::Relaxed);
        drop(held);
    }

    fn restarted(&self) {
        self.change();
    }
}
