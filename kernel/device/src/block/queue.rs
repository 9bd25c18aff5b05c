//! [`Queue`]: what waits for one hardware queue of a disk, and what is in flight there.
//!
//! A request is put into the queue ([`Queue::add`], which gives whoever is to run the queue the
//! first one at once) and taken out by whoever runs it ([`Queue::next`], called by
//! [`super::disk`]): one CPU at a time, without the lock between two
//! requests, so that a driver may complete some while it is given others. Whoever finds the queue
//! running leaves what it has to the one that runs it.
//!
//! What waits is merged with its neighbours ([`super::merge`]). Flushes wait apart, for one at most
//! is in flight in a queue; those that come meanwhile become one, which is begun after all of
//! them were submitted, as a flush must be.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use base::sync::IrqSpinLock;
use memory::OutOfMemory;

use super::limits::Limits;
use super::merge;
use super::request::{Operation, Request};
use super::tags::Tags;

/// One hardware queue of a disk.
pub(super) struct Queue {
    state: IrqSpinLock<State>,
    /// For each tag.
    started: Box<[Started]>,
}

/// How long the driver has had the request of a tag.
#[derive(Debug, Default)]
struct Started {
    /// Since when, in nanoseconds of the clock, or when the driver was last told that it takes
    /// too long, or began it anew; 0 for none.
    since: AtomicU64,
    /// How often it was told.
    told: AtomicU32,
}

struct State {
    /// One more fits than there are, for one that the driver refuses.
    waiting: VecDeque<Request>,
    flushes: VecDeque<Request>,
    flush_in_flight: bool,
    tags: Tags,
    /// Somebody runs the queue, and sees to what is put into it.
    running: bool,
    /// The watch ([`super::watch`]) looks at the queue from time to time.
    watched: bool,
    /// Something was put in since it looked last.
    used: bool,
    /// The device is gone: nothing is taken.
    closed: bool,
    /// Tags that were given back by requests that are done.
    releases: u64,
    /// Since when the driver has refused with nothing in flight, in nanoseconds of the clock; 0
    /// if it has not.
    refused_since: u64,
}

/// What whoever put requests in is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// To run the queue.
    pub(super) run: bool,
    /// To wake the watch.
    pub(super) watch: bool,
}

/// A request for the driver, and a number for [`Queue::put_back`].
pub(super) type Next = (Request, u64);

/// What becomes of a request that the driver refused.
pub(super) enum PutBack {
    /// It waits. Something was completed meanwhile: whoever runs the queue goes on.
    GoOn,
    /// It waits until something is completed. The queue is not run any more.
    Wait,
    /// It waits, with nothing in flight: somebody is to run the queue again after a while.
    Retry,
    /// The device is gone. The queue is not run any more.
    Closed(Request),
}

impl State {
    fn list(&mut self, operation: Operation) -> &mut VecDeque<Request> {
        if operation == Operation::Flush { &mut self.flushes } else { &mut self.waiting }
    }

    /// Puts a request in; whether it was merged.
    fn add(&mut self, request: Request, limits: &Limits) -> Result<bool, Request> {
        if self.closed {
            return Err(request);
        }
        let list = self.list(request.operation());
        let Err(request) = merge::into_waiting(list, request, limits) else { return Ok(true) };
        if list.try_reserve(2).is_err() {
            return Err(request);
        }
        list.push_back(request);
        Ok(false)
    }

    /// Whether the caller is to run the queue, which counts as running then.
    fn start(&mut self) -> bool {
        let start = !self.running && self.has_next();
        self.running |= start;
        start
    }

    fn added(&mut self) -> Added {
        let idle = self.waiting.is_empty() && self.flushes.is_empty();
        let watch = !self.watched && !idle;
        (self.watched, self.used) = (self.watched | watch, true);
        Added { run: self.start(), watch }
    }

    fn has_next(&self) -> bool {
        let flush = !self.flush_in_flight && !self.flushes.is_empty();
        self.tags.any() && (flush || !self.waiting.is_empty())
    }

    /// Takes out what is next, with a tag.
    fn take(&mut self) -> Option<(Request, u16)> {
        if !self.has_next() {
            return None;
        }
        let request = if self.flush_in_flight { None } else { merge::flushes(&mut self.flushes) };
        self.flush_in_flight |= request.is_some();
        let mut request = match request {
            Some(flush) => flush,
            None => self.waiting.pop_front()?,
        };
        let tag = self.tags.take()?;
        request.inner_mut().tag = Some(tag);
        Some((request, tag))
    }

    /// Takes back the tag of a request that the device has no more.
    fn untag(&mut self, request: &mut Request) -> Option<u16> {
        let tag = request.inner_mut().tag.take()?;
        self.tags.put(tag);
        if request.operation() == Operation::Flush {
            self.flush_in_flight = false;
        }
        Some(tag)
    }
}

impl Queue {
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(depth: u16) -> Result<Self, OutOfMemory> {
        let mut started = Vec::new();
        started.try_reserve_exact(usize::from(depth)).map_err(|_| OutOfMemory)?;
        started.resize_with(usize::from(depth), Started::default);
        let state = State {
            waiting: VecDeque::new(),
            flushes: VecDeque::new(),
            flush_in_flight: false,
            tags: Tags::new(depth)?,
            running: false,
            watched: false,
            used: false,
            closed: false,
            releases: 0,
            refused_since: 0,
        };
        let state = IrqSpinLock::new("block queue", state);
        Ok(Self { state, started: started.into_boxed_slice() })
    }

    /// Puts a request in, merged with another if it can be; `merged` is called then, under the
    /// lock. `now` is the clock's time. If the caller is to run the queue it gets the first request
    /// for the driver.
    ///
    /// # Errors
    /// The request, if the device is gone or there is no memory for the list.
    pub(super) fn add(
        &self,
        request: Request,
        limits: &Limits,
        now: u64,
        merged: impl FnOnce(),
    ) -> Result<(Added, Option<Next>), Request> {
        let mut state = self.state.lock();
        if state.add(request, limits)? {
            merged();
        }
        let added = state.added();
        let first = if added.run { self.take(&mut state, || now) } else { None };
        Ok((added, first))
    }

    /// Takes out what is next, which the driver has from now on.
    fn take(&self, state: &mut State, now: impl FnOnce() -> u64) -> Option<Next> {
        let (request, tag) = state.take()?;
        self.set_started(tag, now().max(1));
        Some((request, state.releases))
    }

    /// Puts several in, in order, and leaves in `requests` those that it could not take. Calls
    /// `merged` for each that was merged, under the lock.
    pub(super) fn add_all(
        &self,
        requests: &mut VecDeque<Request>,
        limits: &Limits,
        mut merged: impl FnMut(),
    ) -> Added {
        let mut state = self.state.lock();
        for _ in 0..requests.len() {
            let Some(request) = requests.pop_front() else { break };
            match state.add(request, limits) {
                Ok(true) => merged(),
                Ok(false) => {}
                Err(request) => requests.push_back(request), // there was room for it
            }
        }
        state.added()
    }

    /// Called by whoever runs the queue: the next request for the driver. `None` if there is
    /// nothing to do: the queue is not run any more. `accepted` says whether the driver took what
    /// it was given last, `now` the clock's time; it is asked if there is a request.
    pub(super) fn next(&self, accepted: bool, now: impl FnOnce() -> u64) -> Option<Next> {
        let mut state = self.state.lock();
        if accepted {
            state.refused_since = 0;
        }
        let next = self.take(&mut state, now);
        state.running = next.is_some();
        next
    }

    fn set_started(&self, tag: u16, ns: u64) {
        if let Some(started) = self.started.get(usize::from(tag)) {
            started.told.store(0, Ordering::Relaxed);
            started.since.store(ns, Ordering::Relaxed);
        }
    }

    /// Called by whoever runs the queue: the driver has refused `request`.
    pub(super) fn put_back(&self, mut request: Request, releases: u64, now: u64) -> PutBack {
        let mut state = self.state.lock();
        if let Some(tag) = state.untag(&mut request) {
            self.set_started(tag, 0);
        }
        if state.closed {
            state.running = false;
            return PutBack::Closed(request);
        }
        state.list(request.operation()).push_front(request);
        if state.releases != releases {
            return PutBack::GoOn;
        }
        state.running = false;
        if state.tags.used() > 0 {
            return PutBack::Wait;
        }
        if state.refused_since == 0 {
            state.refused_since = now.max(1);
        }
        PutBack::Retry
    }

    /// The device is done with `request`: its tag is free. True if the caller is to run the
    /// queue.
    pub(super) fn release(&self, request: &mut Request) -> bool {
        let mut state = self.state.lock();
        if let Some(tag) = state.untag(request) {
            self.set_started(tag, 0);
            state.releases += 1;
        }
        state.start()
    }

    /// Puts requests in before all that wait, in order, not to be merged; leaves in `requests`
    /// those that it could not take. True if the caller is to run the queue.
    pub(super) fn add_first(&self, requests: &mut VecDeque<Request>) -> bool {
        let mut state = self.state.lock();
        while !state.closed
            && let Some(request) = requests.pop_back()
        {
            let list = state.list(request.operation());
            if list.try_reserve(2).is_err() {
                requests.push_back(request); // where it was
                break;
            }
            list.push_front(request);
        }
        state.start()
    }

    /// Takes nothing any more. What waited is for the caller to fail.
    pub(super) fn close(&self) -> (VecDeque<Request>, VecDeque<Request>) {
        let mut state = self.state.lock();
        state.closed = true;
        (core::mem::take(&mut state.waiting), core::mem::take(&mut state.flushes))
    }

    /// How many requests the driver has, and how many wait, those that are merged as one, at one
    /// time.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.tags.used().into(), state.waiting.len() + state.flushes.len())
    }

    /// For the watch: whether it need not look at the queue any more, since nothing is in it, nor
    /// was put in since the last look.
    pub(super) fn is_out_of_use(&self) -> bool {
        let mut state = self.state.lock();
        let is_idle =
            state.tags.used() == 0 && state.waiting.is_empty() && state.flushes.is_empty();
        let was_used = core::mem::replace(&mut state.used, false);
        state.watched = !is_idle || was_used;
        !state.watched
    }

    /// Since when the driver refuses although it has nothing, in nanoseconds of the clock, if it
    /// does, and whether the caller is to run the queue again.
    pub(super) fn stalled(&self) -> Option<(u64, bool)> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && state.flushes.is_empty() {
            state.refused_since = 0;
        }
        let since = Some(state.refused_since).filter(|&since| since > 0)?;
        Some((since, state.start()))
    }

    /// Whether the driver was told that the request of `tag` takes too long.
    pub(super) fn was_told(&self, tag: u16) -> bool {
        let started = self.started.get(usize::from(tag));
        started.is_some_and(|started| started.told.load(Ordering::Relaxed) > 0)
    }

    /// The driver begins the request of `tag` anew.
    pub(super) fn begin_anew(&self, tag: u16, now: u64) {
        if let Some(started) = self.started.get(usize::from(tag)) {
            started.since.store(now.max(1), Ordering::Relaxed);
        }
    }

    /// The tags of requests that the driver has had for `timeout` nanoseconds or longer at the
    /// time `now`, and how often it was told so before. Their time begins anew.
    pub(super) fn overdue(&self, timeout: u64, now: u64) -> impl Iterator<Item = (u16, u32)> {
        self.started.iter().zip(0u16..).filter_map(move |(started, tag)| {
            let since = started.since.load(Ordering::Relaxed);
            if since == 0 || now.saturating_sub(since) < timeout {
                return None;
            }
            // Or the request has come back this moment.
            let (relaxed, now) = (Ordering::Relaxed, now.max(1));
            started.since.compare_exchange(since, now, relaxed, relaxed).ok()?;
            Some((tag, started.told.fetch_add(1, relaxed)))
        })
    }
}
