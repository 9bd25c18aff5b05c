//! A queue of a device: [`Queue`], the ring arithmetic of `kernel/lib/virtqueue` with its memory,
//! its lock, its notifications and its counters.
//!
//! A driver adds chains from any context and shows them to the device with [`Queue::kick`]; when
//! the device has interrupted the driver calls [`Queue::used`], which hands it what is done. No
//! lock is held then, so that it may add the next ones.

use alloc::sync::Arc;

use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;
use memory::dma::{DmaPool, SharedDma};
use virtqueue::{
    AddError, Buffer, Described, DeviceError, Done, Layout, QueueSize, Queueing, Refused,
    RingMemory, Virtqueue,
};

use super::device::VirtioDevice;
use super::transport::QueueSetup;
use super::{Features, VirtioError};

static RINGS: DmaPool = DmaPool::new();

/// Chains that are taken from the ring at a time.
const BATCH: usize = 8;

/// Memory of the parts of a ring.
pub struct RingDma(Arc<SharedDma>);

/// A part of shared memory that holds an indirect table.
pub struct Table<'a> {
    memory: &'a SharedDma,
    offset: usize,
    bytes: usize,
}

impl<'a> Table<'a> {
    /// The `bytes` bytes of `memory` from `offset` on, a multiple of 16; `None` if there are not
    /// as many.
    pub fn new(memory: &'a SharedDma, offset: usize, bytes: usize) -> Option<Self> {
        let end = offset.checked_add(bytes)?;
        (end <= memory.len() && offset.is_multiple_of(16)).then_some(Self { memory, offset, bytes })
    }

    /// Where it is for the device.
    pub fn address(&self) -> u64 {
        self.memory.address().as_u64() + self.offset as u64
    }
}

impl RingMemory for RingDma {
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn load16(&self, offset: usize) -> u16 {
        self.0.load16(offset)
    }

    #[inline]
    fn load32(&self, offset: usize) -> u32 {
        self.0.load32(offset)
    }

    #[inline]
    fn store16(&self, offset: usize, value: u16) {
        self.0.store16(offset, value);
    }

    #[inline]
    fn store64(&self, offset: usize, value: u64) {
        self.0.store64(offset, value);
    }
}

impl RingMemory for Table<'_> {
    fn len(&self) -> usize {
        self.bytes
    }

    #[inline]
    fn load16(&self, offset: usize) -> u16 {
        self.memory.load16(self.offset + offset)
    }

    #[inline]
    fn load32(&self, offset: usize) -> u32 {
        self.memory.load32(self.offset + offset)
    }

    #[inline]
    fn store16(&self, offset: usize, value: u16) {
        self.memory.store16(self.offset + offset, value);
    }

    #[inline]
    fn store64(&self, offset: usize, value: u64) {
        self.memory.store64(self.offset + offset, value);
    }
}

/// What a queue has done since its driver came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Chains that were added.
    pub added: u64,
    /// Chains that the device has finished.
    pub done: u64,
    /// Notifications of the device.
    pub notifications: u64,
    /// Times that there was something new and the device did not want to be told.
    pub suppressed: u64,
    /// Interrupts, those of others on the same vector or line included.
    pub interrupts: u64,
    /// Chains that were refused since too few descriptors were free.
    pub full: u64,
}

/// A queue, for those who look at it.
#[derive(Clone, Copy, Debug)]
pub struct QueueReport {
    /// Its number.
    pub index: u16,
    /// What it is for.
    pub name: &'static str,
    /// Descriptors that it has, and that it could have.
    pub size: u16,
    /// The most that the device would take.
    pub most: u16,
    /// Chains that the device has now.
    pub in_flight: u16,
    /// What it has done.
    pub counters: Counters,
}

/// A queue of a device; `T` is what the driver gives with a chain and gets back with it.
pub struct Queue<T> {
    device: Arc<VirtioDevice>,
    index: u16,
    name: &'static str,
    most: u16,
    indirect: bool,
    layout: Layout,
    memory: Arc<SharedDma>,
    ring: IrqSpinLock<Ring<T>>,
}

struct Ring<T> {
    queue: Virtqueue<RingDma, T>,
    /// The device may be told of new chains.
    is_live: bool,
    counters: Counters,
}

/// What a session does with any queue.
pub(super) trait AnyQueue: Send + Sync {
    /// Tells the device of it.
    fn enable(&self, vector: u16) -> Result<(), VirtioError>;

    /// Takes chains and notifies from now on.
    fn start(&self);

    /// Takes no chains any more.
    fn stop(&self);

    /// Makes it new. The device was reset; chains that the driver has not recalled are dropped.
    fn reset(&self);

    fn report(&self) -> QueueReport;
}

impl<T: Send> Queue<T> {
    /// Queue `index` of `device` with as many descriptors as it has, at most `most`.
    pub(super) fn new(
        device: &Arc<VirtioDevice>,
        index: u16,
        name: &'static str,
        most: u16,
        features: Features,
    ) -> Result<Self, VirtioError> {
        let offered = device.transport().queue_size(index);
        if offered == 0 {
            return Err(VirtioError::NoQueue { index });
        }
        // A device's size is a power of two (section 4.1.4.3); of another one the largest in it.
        let most_of_both = offered.min(most).max(1);
        let size = QueueSize::new(1 << most_of_both.ilog2())
            .map_err(|_| VirtioError::NoQueue { index })?;
        let layout = Layout::new(size);
        let memory = Arc::new(RINGS.allocate_shared(layout.bytes())?);
        let queueing = Queueing {
            indirect: features.has(Features::INDIRECT_DESC),
            event_index: features.has(Features::EVENT_IDX),
        };
        let queue = Virtqueue::new(RingDma(memory.clone()), size, queueing)?;
        let ring = Ring { queue, is_live: false, counters: Counters::default() };
        Ok(Self {
            device: device.clone(),
            index,
            name,
            most: offered,
            indirect: queueing.indirect,
            layout,
            memory,
            ring: IrqSpinLock::new("virtqueue", ring),
        })
    }

    /// Its number.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.layout.size().get()
    }

    /// Whether [`add_indirect`](Self::add_indirect) may be used.
    pub fn has_indirect(&self) -> bool {
        self.indirect
    }

    /// The device.
    pub fn device(&self) -> &Arc<VirtioDevice> {
        &self.device
    }

    /// How many descriptors are free.
    pub fn free(&self) -> u16 {
        self.ring.lock().queue.free()
    }

    /// How many chains the device has, or is about to get.
    pub fn in_flight(&self) -> u16 {
        self.ring.lock().queue.in_flight()
    }

    /// Adds a chain of buffers, those that the device reads first. It sees them after
    /// [`kick`](Self::kick).
    ///
    /// # Errors
    /// As [`AddError`] says, with the token; `Broken` also while the device is reset.
    pub fn add(&self, chain: impl IntoIterator<Item = Buffer>, token: T) -> Result<(), Refused<T>> {
        self.ring.lock().add(token, |queue, token| queue.add(chain, token))
    }

    /// Adds a chain that the token tells: `describe` has it described by the ring, directly or by
    /// an indirect table, which nobody may change until the chain is back. As for
    /// [`add`](Self::add) in all else. A lock is held meanwhile.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_described(
        &self,
        token: T,
        describe: impl for<'q> FnOnce(
            &T,
            &'q mut Virtqueue<RingDma, T>,
        ) -> Result<Described<'q, RingDma, T>, AddError>,
    ) -> Result<(), Refused<T>> {
        self.ring.lock().add(token, |queue, token| match describe(&token, queue) {
            Ok(described) => {
                described.commit(token);
                Ok(())
            }
            Err(reason) => Err(Refused { reason, token }),
        })
    }

    /// Shows the device what was added, and tells it of that if it wants to be told.
    pub fn kick(&self) {
        let is_wanted = {
            let mut ring = self.ring.lock();
            let before = ring.queue.published();
            let is_wanted = ring.is_live && ring.queue.publish();
            if is_wanted {
                ring.counters.notifications += 1;
            } else if ring.queue.published() != before {
                ring.counters.suppressed += 1;
            }
            is_wanted
        };
        if is_wanted {
            self.device.transport().notify(self.index);
        }
    }

    /// Takes what the device has finished, and calls `each` with it, without a lock. Asks for an
    /// interrupt when there is more. Called when the device has interrupted, by one at a time
    /// for the chains to come in their order. Whether there was anything.
    ///
    /// A device that breaks the rules is reported, and reset by its session.
    pub fn used(&self, each: impl FnMut(Done<T>)) -> bool {
        self.ring.lock().counters.interrupts += 1;
        self.take(each)
    }

    /// As [`used`](Self::used), without an interrupt.
    pub fn take(&self, mut each: impl FnMut(Done<T>)) -> bool {
        let mut any = false;
        let mut batch = ArrayVec::<_, BATCH>::new();
        loop {
            let result = self.ring.lock().take(&mut batch);
            any |= !batch.is_empty();
            batch.drain(..).for_each(&mut each);
            match result {
                Ok(true) => {}
                Ok(false) => return any,
                Err(error) => {
                    self.fail(error);
                    return any;
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, error: DeviceError) {
        log::error!("{}: queue {} ({}): {error}", self.device, self.index, self.name);
        self.device.alarm();
    }

    /// Takes a chain back from a device that was reset: for
    /// [`Function::stopped`](super::Function::stopped).
    pub fn recall(&self) -> Option<T> {
        let mut ring = self.ring.lock();
        if ring.is_live { None } else { ring.queue.recall() }
    }
}

impl<T> Ring<T> {
    #[inline]
    fn add(
        &mut self,
        token: T,
        add: impl FnOnce(&mut Virtqueue<RingDma, T>, T) -> Result<(), Refused<T>>,
    ) -> Result<(), Refused<T>> {
        if !self.is_live {
            return Err(Refused { reason: AddError::Broken, token });
        }
        let result = add(&mut self.queue, token);
        match &result {
            Ok(()) => self.counters.added += 1,
            Err(Refused { reason: AddError::Full, .. }) => self.counters.full += 1,
            Err(_) => {}
        }
        result
    }

    /// Fills `batch`; whether there is more to take. If not, an interrupt is asked for.
    fn take(&mut self, batch: &mut ArrayVec<Done<T>, BATCH>) -> Result<bool, DeviceError> {
        if !self.is_live {
            return Ok(false);
        }
        // By the index there is one interrupt, and none until the next is asked for.
        if !self.queue.queueing().event_index {
            self.queue.disarm();
        }
        let result = loop {
            if batch.is_full() {
                break Ok(true);
            }
            match self.queue.pop() {
                Ok(Some(done)) => batch.push(done),
                Ok(None) => break Ok(!self.queue.arm()),
                Err(error) => {
                    self.is_live = false;
                    break Err(error);
                }
            }
        };
        self.counters.done += batch.len() as u64;
        result
    }
}

impl<T: Send> AnyQueue for Queue<T> {
    fn enable(&self, vector: u16) -> Result<(), VirtioError> {
        self.device.transport().enable_queue(&QueueSetup {
            index: self.index,
            layout: self.layout,
            memory: &self.memory,
            vector,
        })
    }

    fn start(&self) {
        self.ring.lock().is_live = true;
    }

    fn stop(&self) {
        self.ring.lock().is_live = false;
    }

    fn reset(&self) {
        // Tokens are dropped without the lock: what they own may be anything.
        while let Some(token) = self.recall() {
            drop(token);
        }
        self.ring.lock().queue.reset(drop);
    }

    fn report(&self) -> QueueReport {
        let ring = self.ring.lock();
        QueueReport {
            index: self.index,
            name: self.name,
            size: self.size(),
            most: self.most,
            in_flight: ring.queue.in_flight(),
            counters: ring.counters,
        }
    }
}
