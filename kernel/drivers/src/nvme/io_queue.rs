//! [`IoQueue`]: a pair of queues for reads and writes, and the requests that are in it.
//!
//! A request takes a slot, whose number is the command's id. Each slot has memory for the list of
//! the pages of its transfer. All namespaces of a controller share the queues.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arrayvec::ArrayVec;
use base::sync::IrqSpinLock;
use device::block::{BlockError, Operation, Refused, Request};
use memory::OutOfMemory;
use memory::dma::{DmaPool, SharedDma};
use nvme_protocol::{Command, Data, Status, deallocate_range, pages};

use super::registers::Hardware;
use super::rings::{Nonsense, Rings};

/// Pages of a transfer beside the first: 512 KiB, whatever their place in the first page.
const LISTED_PAGES: usize = 128;
/// Bytes of a slot's list. It lies within a page.
const LIST_BYTES: usize = LISTED_PAGES * 8;
/// Most bytes of a transfer.
pub(super) const MAX_TRANSFER: u64 = LISTED_PAGES as u64 * 4096;
/// Requests that are completed at a time.
const BATCH: usize = 16;
/// How often a command is tried that the controller says may be.
const MOST_TRIES: u8 = 4;

static LISTS: DmaPool = DmaPool::new();

/// A namespace, as commands name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NamespaceId {
    pub(super) number: u32,
    /// Bytes of a block, as a power of two, less that of a sector.
    pub(super) sector_shift: u8,
}

/// A request that the controller has.
struct Pending {
    request: Request,
    namespace: NamespaceId,
    tries: u8,
    /// The controller was asked to give it up.
    aborted: bool,
}

struct State {
    rings: Rings,
    slots: Box<[Option<Pending>]>,
    /// Numbers of slots without a request.
    free: Vec<u16>,
    lists: SharedDma,
    running: bool,
}

/// One pair of I/O queues.
pub(super) struct IoQueue {
    number: u16,
    state: IrqSpinLock<State>,
}

/// What is known of a request that takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It was completed meanwhile.
    Done,
    /// The controller has it, as the command of this id.
    New(u16),
    /// The controller was asked to give it up, and has not.
    Aborted,
}

impl State {
    /// Puts the command of a request in, for slot `id`.
    fn push(&mut self, id: u16, request: &Request, namespace: NamespaceId) -> bool {
        let command = self.command(id, request, namespace);
        self.rings.push(&command.with_id(id))
    }

    fn command(&mut self, id: u16, request: &Request, namespace: NamespaceId) -> Command {
        let NamespaceId { number, sector_shift } = namespace;
        let block = request.sector() >> sector_shift;
        let blocks = request.sectors() >> sector_shift;
        // Within the limits of the disk, so that it fits; 65536 is 0.
        let count = blocks as u16;
        match request.operation() {
            Operation::Read => Command::read(number, block, count, self.data(id, request)),
            Operation::Write => {
                let durable = request.force_unit_access();
                Command::write(number, block, count, self.data(id, request), durable)
            }
            Operation::Flush => Command::flush(number),
            Operation::WriteZeroes => Command::write_zeroes(number, block, count),
            Operation::Discard => {
                let list = self.list(id);
                for (offset, word) in
                    (list..).step_by(8).zip(deallocate_range(block, blocks as u32))
                {
                    self.lists.store64(offset, word);
                }
                Command::deallocate(number, self.lists.address().as_u64() + list as u64)
            }
        }
    }

    /// Where the list of slot `id` begins.
    fn list(&self, id: u16) -> usize {
        usize::from(id) * LIST_BYTES
    }

    /// The memory of a transfer.
    fn data(&mut self, id: u16, request: &Request) -> Data {
        let mut pages = pages(request.segments().map(|it| (it.address.as_u64(), it.len)));
        let first = pages.next().unwrap_or(0);
        let Some(second) = pages.next() else { return Data::page(first) };
        let Some(third) = pages.next() else { return Data { first, second } };
        let list = self.list(id);
        let listed = [second, third].into_iter().chain(pages).take(LISTED_PAGES);
        for (offset, page) in (list..).step_by(8).zip(listed) {
            self.lists.store64(offset, page);
        }
        Data { first, second: self.lists.address().as_u64() + list as u64 }
    }

    /// Puts a request into its slot, which is empty and not free.
    fn put(&mut self, id: u16, pending: Pending) {
        if let Some(slot) = self.slots.get_mut(usize::from(id)) {
            *slot = Some(pending);
        }
    }

    /// Takes a request out of its slot.
    fn take(&mut self, id: u16) -> Option<Pending> {
        let pending = self.slots.get_mut(usize::from(id))?.take()?;
        self.free.push(id); // which has room for all
        Some(pending)
    }

    /// Takes the next request that is done, and how it ended; one that is to be tried again is.
    fn next_done(&mut self) -> Result<Option<(Pending, Status)>, Nonsense> {
        // A controller that is being reset may say anything; what it has is begun anew.
        if !self.running {
            return Ok(None);
        }
        while let Some(answer) = self.rings.pop()? {
            let (id, status) = (answer.id(), answer.status());
            let mut pending = self.take(id).ok_or(Nonsense)?;
            if !is_to_be_tried(&pending, status) {
                return Ok(Some((pending, status)));
            }
            // Its slot is the next that is free.
            pending.tries += 1;
            if !self.push(id, &pending.request, pending.namespace) {
                return Ok(Some((pending, status)));
            }
            self.free.pop();
            self.put(id, pending);
        }
        Ok(None)
    }
}

/// Whether a command that ended so may end otherwise the next time.
fn is_to_be_tried(pending: &Pending, status: Status) -> bool {
    let passes = [Status::NOT_READY, Status::INTERNAL_ERROR, Status::TRANSFER_ERROR];
    !status.is_success()
        && !status.is_final()
        && pending.tries < MOST_TRIES
        && passes.iter().any(|passing| status.is(*passing))
}

/// What the layer is told.
fn result_of(status: Status) -> Result<(), BlockError> {
    if status.is_success() {
        return Ok(());
    }
    Err(match status {
        _ if status.is(Status::OUT_OF_RANGE) => BlockError::OutOfRange,
        _ if status.is(Status::WRITE_PROTECTED) || status.is(Status::READ_ONLY) => {
            BlockError::ReadOnly
        }
        _ if status.is(Status::ABORTED) || status.is(Status::QUEUE_DELETED) => BlockError::TimedOut,
        _ if status.is(Status::INVALID_NAMESPACE) => BlockError::Gone,
        _ => BlockError::Io,
    })
}

impl IoQueue {
    /// A pair of queues `number` (from 1 on) with `entries` entries each, stopped.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(super) fn new(hardware: &Hardware, number: u16, entries: u16) -> Result<Self, OutOfMemory> {
        let rings = Rings::new(hardware, number, entries)?;
        let count = rings.entries() - 1;
        let mut slots = Vec::new();
        let mut free = Vec::new();
        slots.try_reserve_exact(count.into()).map_err(|_| OutOfMemory)?;
        free.try_reserve_exact(count.into()).map_err(|_| OutOfMemory)?;
        slots.resize_with(count.into(), || None);
        free.extend((0..count).rev());
        let lists = LISTS.allocate_shared(usize::from(count) * LIST_BYTES)?;
        let slots = slots.into_boxed_slice();
        let state = State { rings, slots, free, lists, running: false };
        Ok(Self { number, state: IrqSpinLock::new("NVMe queue", state) })
    }

    /// Entries of each of the pair.
    pub(super) fn entries(&self) -> u16 {
        self.state.lock().rings.entries()
    }

    /// Its number, from 1 on.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Where both queues are in memory: for commands, and for answers.
    pub(super) fn addresses(&self) -> (u64, u64) {
        self.state.lock().rings.addresses()
    }

    /// Gives a request for `namespace` to the controller, which is told by [`IoQueue::kick`].
    ///
    /// # Errors
    /// The request, if there is no room now.
    pub(super) fn submit(&self, request: Request, namespace: NamespaceId) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if !state.running {
            return Err(Refused(request));
        }
        let Some(id) = state.free.pop() else { return Err(Refused(request)) };
        if !state.push(id, &request, namespace) {
            state.free.push(id);
            return Err(Refused(request));
        }
        state.put(id, Pending { request, namespace, tries: 0, aborted: false });
        Ok(())
    }

    /// Tells the controller of what was submitted.
    pub(super) fn kick(&self) {
        self.state.lock().rings.ring();
    }

    /// Completes what is done. Whether anything was.
    ///
    /// # Errors
    /// [`Nonsense`]: the controller is to be reset.
    pub(super) fn on_interrupt(&self) -> Result<bool, Nonsense> {
        let mut any = false;
        loop {
            let mut done: ArrayVec<(Pending, Status), BATCH> = ArrayVec::new();
            let mut failure = None;
            {
                let mut state = self.state.lock();
                while !done.is_full() && failure.is_none() {
                    match state.next_done() {
                        Ok(Some(one)) => done.push(one),
                        Ok(None) => break,
                        Err(nonsense) => failure = Some(nonsense),
                    }
                }
                if !done.is_empty() {
                    state.rings.acknowledge();
                }
                // What is tried again.
                state.rings.ring();
            }
            let is_over = !done.is_full();
            any |= !done.is_empty();
            for (pending, status) in done {
                pending.request.complete(result_of(status));
            }
            match failure {
                Some(nonsense) => return Err(nonsense),
                None if is_over => return Ok(any),
                None => {}
            }
        }
    }

    /// Looks for the request with tag `tag` of `namespace`, which takes too long, and notes that
    /// the controller is asked to give it up.
    pub(super) fn overdue(&self, namespace: u32, tag: u16) -> Overdue {
        let mut state = self.state.lock();
        let mut slots = state.slots.iter_mut().zip(0u16..);
        let found = slots.find_map(|(slot, id)| {
            let pending = slot.as_mut()?;
            let request = &pending.request;
            let has_tag = pending.namespace.number == namespace && request.tag() == tag;
            let is_it = has_tag && request.is_overdue();
            is_it.then(|| (core::mem::replace(&mut pending.aborted, true), id))
        });
        match found {
            None => Overdue::Done,
            Some((false, id)) => Overdue::New(id),
            Some((true, _)) => Overdue::Aborted,
        }
    }

    /// Takes no requests any more, and ends none.
    pub(super) fn stop(&self) {
        self.state.lock().running = false;
    }

    /// Empties both queues, for a controller that was reset. Requests stay in their slots.
    pub(super) fn reset(&self) {
        self.state.lock().rings.reset();
    }

    /// Takes requests from now on, and gives the controller again those that it had when it was
    /// reset.
    pub(super) fn start(&self) {
        let mut state = self.state.lock();
        state.running = true;
        for id in 0..state.rings.entries() - 1 {
            let pending = state.slots.get_mut(usize::from(id)).and_then(Option::take);
            if let Some(pending) = pending {
                // The queue is empty, and has room for all slots.
                pending.request.begin_anew();
                state.push(id, &pending.request, pending.namespace);
                state.put(id, pending);
            }
        }
        state.rings.ring();
    }

    /// Fails the requests that the controller, which is stopped, was asked to give up.
    pub(super) fn fail_aborted(&self) {
        self.fail(|pending| pending.aborted.then_some(BlockError::TimedOut));
    }

    /// Fails all requests of a controller that has stopped for good.
    pub(super) fn fail_all(&self) {
        self.fail(|_| Some(BlockError::Gone));
    }

    /// Fails those that `error` has one for.
    fn fail(&self, error: impl Fn(&Pending) -> Option<BlockError>) {
        loop {
            let found = {
                let mut state = self.state.lock();
                let mut slots = (0..).zip(state.slots.iter().map(Option::as_ref));
                let found = slots.find_map(|(id, pending)| Some((id, error(pending?)?)));
                found.and_then(|(id, error)| Some((state.take(id)?.request, error)))
            };
            let Some((request, error)) = found else { return };
            request.complete(Err(error));
        }
    }
}

// A list lies within a page.
const _: () = assert!(4096 % LIST_BYTES == 0);
