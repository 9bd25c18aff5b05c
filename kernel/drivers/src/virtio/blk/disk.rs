//! [`Disk`]: requests of the block layer to the device and back.
//!
//! A request keeps its place in its queue by the tag that the layer gives it: the slot of that
//! number is its own. When the device is reset after a failure what was in flight is given to it
//! again, but for what has taken too long, which fails.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::device::block::{self, BlockDevice, BlockError, DiskHandle, Request};
use arrayvec::{ArrayString, ArrayVec};
use base::sync::IrqSpinLock;
use memory::OutOfMemory;
use memory::dma::{DmaBuffer, DmaPool};
use spin::Once;
use task::{WaitOptions, WaitQueue};
use virtqueue::{AddError, Buffer, Refused};

use super::config::DiskConfig;
use super::slot::Slot;
use crate::virtio::{Features, Function, Queue, VirtioDevice, VirtioError};

/// Bytes of a serial number.
const ID_BYTES: u32 = 20;
/// How long the device may take to tell it, in nanoseconds.
const ID_BOUND_NS: u64 = 5_000_000_000;
/// Requests of which it is remembered that they take too long.
const OVERDUE: usize = 16;

static BUFFERS: DmaPool = DmaPool::new();

/// A serial number.
pub(super) type Serial = ArrayString<{ ID_BYTES as usize * 3 }>;

/// What a chain is for.
pub(super) enum Token {
    Request(Request),
    /// To tell the serial number.
    Id(Arc<Id>),
}

/// A question for the serial number.
pub(super) struct Id {
    /// The answer, when it came.
    answer: IrqSpinLock<Option<Result<Serial, BlockError>>>,
    answered: WaitQueue,
    buffer: DmaBuffer,
}

/// A queue with what belongs to the requests that it may have in flight.
pub(super) struct Lane {
    pub(super) queue: Arc<Queue<Token>>,
    pub(super) slots: Vec<Slot>,
}

/// A disk.
pub(super) struct Disk {
    pub(super) virtio: Arc<VirtioDevice>,
    pub(super) features: Features,
    pub(super) lanes: Vec<Lane>,
    /// As soon as the block layer has it.
    pub(super) handle: Once<DiskHandle>,
    /// In sectors of 512 bytes, as the layer was told.
    capacity: AtomicU64,
    /// Requests that are to be given to the device again.
    again: IrqSpinLock<Vec<Request>>,
    /// Queue and tag of those that have taken too long.
    overdue: IrqSpinLock<ArrayVec<(usize, u16), OVERDUE>>,
}

impl Lane {
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(queue: Arc<Queue<Token>>, depth: u16) -> Result<Self, OutOfMemory> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(usize::from(depth)).map_err(|_| OutOfMemory)?;
        for _ in 0..depth {
            slots.push(Slot::new()?);
        }
        Ok(Self { queue, slots })
    }

    /// Adds a request, or gives it back if there is no room.
    fn add(&self, request: Request) -> Result<(), Request> {
        let Some(slot) = self.slots.get(usize::from(request.tag())) else { return Err(request) };
        let table = slot.table().filter(|_| self.queue.has_indirect());
        let added = self.queue.add_described(Token::Request(request), |token, queue| {
            let Token::Request(request) = token else { return Err(AddError::Empty) };
            let chain = slot.prepare(request);
            match &table {
                Some(table) => queue.describe_indirect(chain, table, table.address()),
                None => queue.describe(chain),
            }
        });
        match added {
            Ok(()) => Ok(()),
            Err(Refused { reason: AddError::Full | AddError::Broken, token }) => match token {
                Token::Request(request) => Err(request),
                Token::Id(_) => Ok(()),
            },
            // Not within the limits that were told.
            Err(Refused { token, .. }) => {
                token.fail(BlockError::Invalid);
                Ok(())
            }
        }
    }

    /// Completes what the device has finished.
    fn used(&self) {
        self.queue.used(|done| match done.token {
            Token::Request(request) => {
                let slot = self.slots.get(usize::from(request.tag()));
                let result = slot.map(|slot| slot.result_of(&request, done.written));
                request.complete(result.unwrap_or(Err(BlockError::Io)));
            }
            Token::Id(id) => {
                let result = self.slots.first().map_or(Err(BlockError::Io), Slot::result);
                id.answer(result.map(|()| id.read()));
            }
        });
    }
}

impl Token {
    fn fail(self, error: BlockError) {
        match self {
            Self::Request(request) => request.complete(Err(error)),
            Self::Id(id) => id.answer(Err(error)),
        }
    }
}

impl Id {
    fn answer(&self, answer: Result<Serial, BlockError>) {
        *self.answer.lock() = Some(answer);
        self.answered.wake_all();
    }

    /// What the device has written: up to 20 bytes of ASCII, filled up with zeros.
    fn read(&self) -> Serial {
        let mut serial = Serial::new();
        for byte in self.buffer.bytes().iter().take_while(|&&byte| byte != 0) {
            let is_text = byte.is_ascii_graphic() || *byte == b' ';
            if serial.try_push(if is_text { char::from(*byte) } else { '?' }).is_err() {
                break;
            }
        }
        serial
    }
}

impl Disk {
    pub(super) fn new(
        virtio: &Arc<VirtioDevice>,
        features: Features,
        capacity: u64,
        lanes: Vec<Lane>,
    ) -> Self {
        Self {
            virtio: virtio.clone(),
            features,
            lanes,
            handle: Once::new(),
            capacity: AtomicU64::new(capacity),
            again: IrqSpinLock::new("disk requests", Vec::new()),
            overdue: IrqSpinLock::new("overdue disk requests", ArrayVec::new()),
        }
    }

    /// Asks the device for its serial number; `None` if it has none. Before the block layer has
    /// the disk. May sleep.
    ///
    /// # Errors
    /// `TimedOut`, `OutOfMemory`.
    pub(super) fn serial(&self) -> Result<Option<Serial>, VirtioError> {
        let Some(lane) = self.lanes.first() else { return Ok(None) };
        let Some(slot) = lane.slots.first() else { return Ok(None) };
        let buffer = BUFFERS.allocate(ID_BYTES as usize)?;
        let of_buffer = Buffer::writable(buffer.address().as_u64(), ID_BYTES);
        let id = Arc::new(Id {
            answer: IrqSpinLock::new("serial number of a disk", None),
            answered: WaitQueue::new("serial number of a disk"),
            buffer,
        });
        let chain = slot.prepare_id(of_buffer);
        if lane.queue.add(chain, Token::Id(id.clone())).is_err() {
            return Ok(None);
        }
        lane.queue.kick();
        let wait = WaitOptions::within(ID_BOUND_NS);
        let answer = id.answered.wait_with(wait, || id.answer.lock().take());
        match answer {
            Ok(answer) => Ok(answer.ok().filter(|serial| !serial.is_empty())),
            Err(_) => Err(VirtioError::TimedOut),
        }
    }

    /// Fails what was to be given to the device again.
    pub(super) fn fail_all(&self) {
        let again = core::mem::take(&mut *self.again.lock());
        again.into_iter().for_each(|request| request.complete(Err(BlockError::Gone)));
    }

    /// Takes back a request that the device had when it was reset.
    fn take_back(&self, request: Request) {
        let noted = self.overdue.lock().contains(&(request.queue(), request.tag()));
        let is_overdue = noted && request.is_overdue();
        if is_overdue {
            return request.complete(Err(BlockError::TimedOut));
        }
        let mut again = self.again.lock();
        if again.try_reserve(1).is_ok() {
            again.push(request);
        } else {
            drop(again);
            request.complete(Err(BlockError::NoMemory));
        }
    }
}

impl BlockDevice for Disk {
    fn submit(&self, request: Request) -> Result<(), block::Refused> {
        match self.lanes.get(request.queue()) {
            Some(lane) => lane.add(request).map_err(block::Refused),
            None => Err(block::Refused(request)),
        }
    }

    fn kick(&self, queue: usize) {
        if let Some(lane) = self.lanes.get(queue) {
            lane.queue.kick();
        }
    }

    fn timed_out(&self, queue: usize, tag: u16) {
        let mut overdue = self.overdue.lock();
        if !overdue.contains(&(queue, tag)) {
            // One that is not remembered is tried again, and takes too long again.
            let _ = overdue.try_push((queue, tag));
        }
        drop(overdue);
        self.virtio.alarm();
    }
}

impl Function for Disk {
    fn used(&self, queue: u16) {
        if let Some(lane) = self.lanes.get(usize::from(queue)) {
            lane.used();
        }
    }

    fn config_changed(&self) {
        let Some(handle) = self.handle.get() else { return };
        match DiskConfig::read(&self.virtio, self.features) {
            Ok(config) => {
                if self.capacity.swap(config.capacity, Ordering::Relaxed) != config.capacity {
                    handle.set_sectors(config.capacity);
                }
            }
            Err(error) => log::warn!("{}: {error}", self.virtio),
        }
    }

    fn stopped(&self) {
        for lane in &self.lanes {
            while let Some(token) = lane.queue.recall() {
                match token {
                    Token::Request(request) => self.take_back(request),
                    token @ Token::Id(_) => token.fail(BlockError::Io),
                }
            }
        }
        self.overdue.lock().clear();
    }

    fn restarted(&self) {
        let again = core::mem::take(&mut *self.again.lock());
        for request in again {
            let Some(lane) = self.lanes.get(request.queue()) else { continue };
            // It had room before.
            if let Err(request) = lane.add(request) {
                request.complete(Err(BlockError::Io));
            }
        }
        self.lanes.iter().for_each(|lane| lane.queue.kick());
    }

    fn given_up(&self) {
        if let Some(handle) = self.handle.get() {
            handle.gone();
        }
        self.fail_all();
    }
}
