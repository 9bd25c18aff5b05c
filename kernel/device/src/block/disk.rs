//! [`Disk`]: a device that was registered, with its hardware queues; the way of a request to the
//! driver and back.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZero;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arch::cpu::local;
use base::{preempt, time};
use memory::OutOfMemory;
use spin::RwLock;

use super::device::{BlockDevice, Description, Identity, Refused};
use super::error::BlockError;
use super::limits::{Features, Limits, SECTOR};
use super::merge;
use super::queue::{Added, Next, PutBack, Queue};
use super::request::{FlushAfter, Request};
use super::statistics::{Counters, Statistics};
use super::volume::Volume;
use super::watch;

/// A disk that is registered, or was.
pub struct Disk {
    name: String,
    /// `None` when the driver has gone: then nobody who still has the disk keeps anything of it.
    /// Nobody ever waits for this lock: those who call the driver share it, and who finds it held
    /// to take the driver out knows that there is none any more.
    device: RwLock<Option<Arc<dyn BlockDevice>>>,
    limits: Limits,
    features: Features,
    identity: Identity,
    depth: u16,
    timeout_ns: AtomicU64,
    /// When the watch looks for requests that take too long; 0: as soon as it is woken.
    next_look: AtomicU64,
    sectors: AtomicU64,
    read_only: AtomicBool,
    gone: AtomicBool,
    queues: Vec<Queue>,
    pub(super) counters: Counters,
    /// One scan for partitions at a time.
    pub(super) scan: task::Mutex<()>,
}

impl Disk {
    pub(super) fn new(
        name: String,
        description: Description,
        device: Arc<dyn BlockDevice>,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let mut queues = Vec::new();
        queues.try_reserve_exact(description.queues).map_err(|_| OutOfMemory)?;
        for _ in 0..description.queues {
            queues.push(Queue::new(description.depth)?);
        }
        Ok(Arc::new(Self {
            name,
            device: RwLock::new(Some(device)),
            limits: description.limits,
            features: description.features,
            identity: description.identity,
            depth: description.depth,
            timeout_ns: AtomicU64::new(description.timeout_ns.max(1)),
            next_look: AtomicU64::new(0),
            sectors: AtomicU64::new(whole_blocks(description.sectors, &description.limits)),
            read_only: AtomicBool::new(description.read_only),
            gone: AtomicBool::new(false),
            queues,
            counters: Counters::default(),
            scan: task::named_mutex("partition scan", ()),
        }))
    }

    /// Its name: vda, sda, nvme0n1.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the maker says of it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What its requests may look like.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it can do.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Size in sectors of 512 bytes, whole logical blocks.
    pub fn sectors(&self) -> u64 {
        self.sectors.load(Ordering::Relaxed)
    }

    /// Whether it cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Whether it is not there any more: unplugged, given up, or its driver has left it.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// How many hardware queues it has, and how many requests each has in flight at most.
    pub fn queues(&self) -> (usize, u16) {
        (self.queues.len(), self.depth)
    }

    /// Nanoseconds after which a request has taken too long.
    pub fn timeout_ns(&self) -> u64 {
        self.timeout_ns.load(Ordering::Relaxed)
    }

    /// Sets that, in milliseconds: with none every request would fail.
    pub fn set_timeout_ms(&self, ms: NonZero<u64>) {
        self.timeout_ns.store(ms.get().saturating_mul(1_000_000), Ordering::Relaxed);
        self.next_look.store(0, Ordering::Relaxed);
        watch::wake();
    }

    /// What it has done, its partitions included.
    pub fn statistics(&self) -> Statistics {
        self.counters.read()
    }

    /// How many requests the driver has, and how many wait, those that were merged as one.
    pub fn load(&self) -> (usize, usize) {
        let loads = self.queues.iter().map(Queue::load);
        loads.fold((0, 0), |(all, more), (in_flight, waiting)| (all + in_flight, more + waiting))
    }

    pub(super) fn set_sectors(&self, sectors: u64) {
        self.sectors.store(whole_blocks(sectors, &self.limits), Ordering::Relaxed);
    }

    pub(super) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }

    /// The queue of this CPU.
    fn index_here(&self) -> usize {
        local::cpu_number() as usize % self.queues.len().max(1)
    }

    /// Puts in a request that was prepared for the disk (see [`super::volume`]).
    pub(super) fn add(&self, mut request: Request) {
        let index = self.index_here();
        request.inner_mut().queue = index as u16;
        let Some(queue) = self.queues.get(index) else { return }; // there is one at least
        let (operation, now) = (request.operation(), request.inner().submitted_ns);
        match queue.add(request, &self.limits, now, || self.counters.merged(operation)) {
            Ok((added, first)) => self.run_added(index, added, first, now),
            Err(request) => request.complete(Err(self.why_not_taken())),
        }
    }

    /// Puts in several at once. `requests` is empty afterwards.
    pub(super) fn add_all(&self, requests: &mut VecDeque<Request>) {
        let index = self.index_here();
        requests.iter_mut().for_each(|request| request.inner_mut().queue = index as u16);
        let Some(queue) = self.queues.get(index) else { return };
        let Some(first) = requests.front() else { return };
        let (operation, now) = (first.operation(), first.inner().submitted_ns);
        let added = queue.add_all(requests, &self.limits, || self.counters.merged(operation));
        self.run_added(index, added, None, now);
        for request in requests.drain(..) {
            request.complete(Err(self.why_not_taken()));
        }
    }

    fn why_not_taken(&self) -> BlockError {
        if self.is_gone() { BlockError::Gone } else { BlockError::NoMemory }
    }

    fn run_added(&self, index: usize, added: Added, first: Option<Next>, now: u64) {
        if added.run {
            self.with_device(|device| self.run_with(index, device, first, now));
        }
        if added.watch {
            watch::wake();
        }
    }

    /// Calls the driver, if it is still there. For any context, also within such a call: the driver
    /// does not go before it is over.
    fn with_device<T>(&self, call: impl FnOnce(Option<&dyn BlockDevice>) -> T) -> T {
        let device = self.device.try_read();
        call(device.as_ref().and_then(|device| device.as_deref()))
    }

    /// Lets the driver go, when no call of it goes on any more. The disk is closed. May sleep.
    pub(super) fn let_driver_go(&self) {
        let device = loop {
            if let Some(mut device) = self.device.try_write() {
                break device.take();
            }
            // Each call ends by itself, and the closed disk has little to begin others for.
            task::sleep(1_000_000);
        };
        drop(device);
    }

    /// Gives the driver what waits for queue `index`, as much as it takes. The caller has found
    /// that it is the one to do so, at about the time `now`.
    fn run(&self, index: usize, now: u64) {
        self.with_device(|device| self.run_with(index, device, None, now));
    }

    /// `first` was taken out of the queue already, if it is there.
    fn run_with(
        &self,
        index: usize,
        device: Option<&dyn BlockDevice>,
        mut first: Option<Next>,
        now: u64,
    ) {
        // Others leave their requests to this task meanwhile.
        let _stay = preempt::disable();
        let Some(queue) = self.queues.get(index) else { return };
        let mut accepted = false;
        let mut any = false;
        let mut early = Some(now);
        let mut clock = || early.take().unwrap_or_else(time::now_ns);
        while let Some((request, releases)) =
            first.take().or_else(|| queue.next(accepted, &mut clock))
        {
            let Some(device) = device else {
                request.complete(Err(BlockError::Gone));
                continue;
            };
            match device.submit(request) {
                Ok(()) => (accepted, any) = (true, true),
                Err(Refused(request)) => {
                    accepted = false;
                    match queue.put_back(request, releases, time::now_ns()) {
                        PutBack::GoOn => continue,
                        PutBack::Wait => {}
                        PutBack::Retry => watch::wake(),
                        PutBack::Closed(request) => request.complete(Err(BlockError::Gone)),
                    }
                    break;
                }
            }
        }
        if any && let Some(device) = device {
            device.kick(index);
        }
    }

    /// Takes no requests any more, and fails those that wait. Those that the driver has are for
    /// it to complete. True if this is new.
    pub(super) fn close(&self) -> bool {
        let is_new = !self.gone.swap(true, Ordering::AcqRel);
        for queue in &self.queues {
            let (waiting, flushes) = queue.close();
            for request in waiting.into_iter().chain(flushes) {
                request.complete(Err(BlockError::Gone));
            }
        }
        is_new
    }

    /// What the watch does for the disk at the time `now`: runs queues that were refused, and tells
    /// the driver of requests that take too long. When to look again, in nanoseconds of the clock;
    /// `None` if there is nothing to look after. May sleep.
    pub(super) fn look_after(&self, now: u64) -> Option<u64> {
        let retry = self.retry_stalled(now).then(|| now.saturating_add(watch::RETRY_NS));
        // Others may have woken the watch.
        let mut next = self.next_look.load(Ordering::Relaxed);
        if now >= next {
            let is_used = self.look_for_overdue(now);
            let period = watch::period(self.timeout_ns());
            next = if is_used { now.saturating_add(period) } else { 0 };
            self.next_look.store(next, Ordering::Relaxed);
        }
        [retry, Some(next).filter(|&next| next > 0)].into_iter().flatten().min()
    }

    /// Runs the queues that the driver refuses although it has nothing. Whether there are any.
    fn retry_stalled(&self, now: u64) -> bool {
        let mut any = false;
        for (index, queue) in self.queues.iter().enumerate() {
            let Some((since, run)) = queue.stalled() else { continue };
            any = true;
            if now.saturating_sub(since) > self.timeout_ns() && self.close() {
                log::error!("{}: given up: it takes no requests", self.name);
            }
            if run {
                self.run(index, now);
            }
        }
        any
    }

    /// Tells the driver of requests that take too long. Whether the disk is in use.
    fn look_for_overdue(&self, now: u64) -> bool {
        let mut is_used = false;
        for (index, queue) in self.queues.iter().enumerate() {
            if queue.is_out_of_use() {
                continue;
            }
            is_used = true;
            for (count, (tag, told)) in queue.overdue(self.timeout_ns(), now).enumerate() {
                if count == 0 && !self.is_gone() {
                    log::warn!("{}: requests of queue {index} take too long", self.name);
                }
                if u64::from(told) >= watch::MOST_TIMEOUTS && self.close() {
                    log::error!("{}: given up: it does not bring back a request", self.name);
                }
                self.with_device(|device| {
                    if let Some(device) = device {
                        device.timed_out(index, tag);
                    }
                });
            }
        }
        is_used
    }
}

/// The sectors of a disk that are used: whole blocks, and as many as have bytes that can be
/// counted.
fn whole_blocks(sectors: u64, limits: &Limits) -> u64 {
    let sectors = sectors.min(u64::MAX / SECTOR);
    sectors - sectors % limits.block_sectors().max(1)
}

/// The volume that a request was submitted to, and whether the caller is to run its queue: the
/// request does not count as in flight any more.
fn take_back(request: &mut Request) -> Option<(Arc<Volume>, bool)> {
    let volume = request.inner().volume.clone()?;
    let queue = volume.disk().queues.get(request.queue());
    let run = queue.is_some_and(|queue| queue.release(request));
    Some((volume, run))
}

/// See [`Request::complete`].
pub(super) fn completed(mut request: Request, result: Result<(), BlockError>) {
    let now = time::now_ns();
    let index = request.queue();
    let Some((volume, mut run)) = take_back(&mut request) else {
        return request.finish(result, now);
    };
    let disk = volume.disk();
    match what_remains(&mut request, result) {
        None => request.finish(result, now),
        Some(mut again) => {
            again.push_front(request);
            if let Some(queue) = disk.queues.get(index) {
                run |= queue.add_first(&mut again);
            }
            let error = result.err().unwrap_or_else(|| disk.why_not_taken());
            again.drain(..).for_each(|mut request| request.finish(Err(error), now));
        }
    }
    if run {
        disk.run(index, now);
    }
}

/// What is still to be done for a request that has come back: itself, and then these.
fn what_remains(
    request: &mut Request,
    result: Result<(), BlockError>,
) -> Option<VecDeque<Request>> {
    if result == Err(BlockError::Io) {
        return Some(merge::take_apart(request)).filter(|parts| !parts.is_empty());
    }
    let due = result.is_ok() && request.inner().flush_after == FlushAfter::Due;
    due.then(|| {
        request.inner_mut().flush_after = FlushAfter::Now;
        VecDeque::new()
    })
}

/// See [`Request::is_overdue`].
pub(super) fn is_overdue(request: &Request) -> bool {
    let inner = request.inner();
    let queue = inner.volume.as_ref().and_then(|volume| volume.disk().queues.get(request.queue()));
    queue.zip(inner.tag).is_some_and(|(queue, tag)| queue.was_told(tag))
}

/// See [`Request::begin_anew`].
pub(super) fn begun_anew(request: &Request) {
    let Some(volume) = &request.inner().volume else { return };
    if let Some(queue) = volume.disk().queues.get(request.queue()) {
        queue.begin_anew(request.tag(), time::now_ns());
    }
}

/// A request was dropped before it was complete.
pub(super) fn dropped(request: &mut Request) {
    let index = request.queue();
    let back = take_back(request);
    let now = time::now_ns();
    request.finish(Err(BlockError::Gone), now);
    if let Some((volume, true)) = back {
        volume.disk().run(index, now);
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({}, {} sectors)", self.name, self.sectors())
    }
}
