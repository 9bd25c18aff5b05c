//! The queue: [`Virtqueue`] (VirtIO 1.2, sections 2.7.13 and 2.7.14).

use core::sync::atomic::{Ordering, fence};

use crate::buffer::{self, DESCRIPTOR_BYTES};
use crate::error::{AddError, DeviceError, NewQueueError, Refused};
use crate::slots::{Cursor, Slots};
use crate::{Access, Buffer, Layout, QueueSize, RingMemory, notify};

/// What driver and device have agreed upon for their queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queueing {
    /// `VIRTIO_F_INDIRECT_DESC`: a descriptor may stand for a table of descriptors.
    pub indirect: bool,
    /// `VIRTIO_F_EVENT_IDX`: notifications and interrupts at an index, not by flags.
    pub event_index: bool,
}

/// A chain that the device has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// What was given with it.
    pub token: T,
    /// Bytes that the device says it has written, from the start of the first writable buffer;
    /// never more than there was room for.
    pub written: u32,
}

/// The driver's side of a split virtqueue. `M` is the memory of the three parts, `T` what the
/// driver gives with a chain and gets back with it.
///
/// The device may have chains when the queue is dropped, and their tokens with it: reset the
/// device before.
pub struct Virtqueue<M, T> {
    memory: M,
    layout: Layout,
    queueing: Queueing,
    slots: Slots<T>,
    // All that there ever were; the rings' indexes are the low 16 bits.
    /// Entries put into the available ring.
    added: u64,
    /// Those of them that the device was told of.
    published: u64,
    /// Entries of the used ring that were taken.
    taken: u64,
    /// Entries of the used ring when its index was last read, and found good.
    used: u64,
    error: Option<DeviceError>,
}

impl<M: RingMemory, T> Virtqueue<M, T> {
    /// A queue with `size` descriptors in `memory`, all of whose parts are set to zero. The
    /// device is told of it afterwards. Interrupts are asked for.
    ///
    /// # Errors
    /// As [`NewQueueError`] says.
    pub fn new(memory: M, size: QueueSize, queueing: Queueing) -> Result<Self, NewQueueError> {
        let layout = Layout::new(size);
        let (needed, available) = (layout.bytes(), memory.len());
        if available < needed {
            return Err(NewQueueError::TooSmall { needed, available });
        }
        let slots = Slots::new(size)?;
        let queue = Self {
            memory,
            layout,
            queueing,
            slots,
            added: 0,
            published: 0,
            taken: 0,
            used: 0,
            error: None,
        };
        queue.clear_memory();
        Ok(queue)
    }

    fn clear_memory(&self) {
        (0..self.layout.bytes()).step_by(8).for_each(|offset| self.memory.store64(offset, 0));
    }

    /// The memory of the parts.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Where the parts are in it.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was agreed upon.
    pub fn queueing(&self) -> Queueing {
        self.queueing
    }

    /// How many descriptors are free: a chain of that many buffers is taken.
    pub fn free(&self) -> u16 {
        self.slots.free()
    }

    /// How many chains the queue has: not published yet, at the device, or done and not taken.
    pub fn in_flight(&self) -> u16 {
        (self.added - self.taken) as u16 // at most as many as there are descriptors
    }

    /// How many chains the device was given since the queue was new.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// How many chains have come back since the queue was new.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How the device has broken the rules, if it has.
    pub fn error(&self) -> Option<DeviceError> {
        self.error
    }

    /// Adds a chain of buffers, those that the device reads first. It sees them after
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// As [`AddError`] says, with the token; the queue is as it was.
    pub fn add(
        &mut self,
        chain: impl IntoIterator<Item = Buffer>,
        token: T,
    ) -> Result<(), Refused<T>> {
        match self.describe(chain) {
            Ok(described) => {
                described.commit(token);
                Ok(())
            }
            Err(reason) => Err(Refused { reason, token }),
        }
    }

    /// Adds a chain of buffers that takes one descriptor of the queue: the others are written
    /// to `table`, which the device finds at `address`. It must stay as it is until the chain
    /// comes back, so the token owns it if it is not the caller's for good. As for
    /// [`add`](Self::add) in all else.
    ///
    /// # Errors
    /// As [`AddError`] says, with the token; the queue is as it was.
    pub fn add_indirect(
        &mut self,
        chain: impl IntoIterator<Item = Buffer>,
        table: &impl RingMemory,
        address: u64,
        token: T,
    ) -> Result<(), Refused<T>> {
        match self.describe_indirect(chain, table, address) {
            Ok(described) => {
                described.commit(token);
                Ok(())
            }
            Err(reason) => Err(Refused { reason, token }),
        }
    }

    /// The first half of [`add`](Self::add), for a chain that is told by the token: the token is
    /// given when it has been.
    ///
    /// # Errors
    /// As [`AddError`] says; the queue is as it was.
    pub fn describe(
        &mut self,
        chain: impl IntoIterator<Item = Buffer>,
    ) -> Result<Described<'_, M, T>, AddError> {
        let mut cursor = self.slots.cursor();
        let room = self.write_direct(chain, &mut cursor)?;
        Ok(Described { queue: self, cursor, room })
    }

    /// The first half of [`add_indirect`](Self::add_indirect).
    ///
    /// # Errors
    /// As [`AddError`] says; the queue is as it was.
    pub fn describe_indirect(
        &mut self,
        chain: impl IntoIterator<Item = Buffer>,
        table: &impl RingMemory,
        address: u64,
    ) -> Result<Described<'_, M, T>, AddError> {
        let mut cursor = self.slots.cursor();
        let room = self.write_indirect(chain, table, address, &mut cursor)?;
        Ok(Described { queue: self, cursor, room })
    }

    /// Writes a chain to the free descriptors from `cursor` on; how much the device may write.
    fn write_direct(
        &self,
        chain: impl IntoIterator<Item = Buffer>,
        cursor: &mut Cursor,
    ) -> Result<u32, AddError> {
        let mut check = Check::new(self.error)?;
        let mut chain = chain.into_iter();
        let mut buffer = chain.next().ok_or(AddError::Empty)?;
        let mut count = 1;
        let Some(mut at) = self.slots.advance(cursor) else {
            return Err(self.no_room(count, chain));
        };
        loop {
            check.buffer(&buffer)?;
            let Some(following) = chain.next() else {
                buffer::write(&self.memory, usize::from(at), buffer, None);
                return Ok(check.room);
            };
            count += 1;
            let Some(next) = self.slots.advance(cursor) else {
                return Err(self.no_room(count, chain));
            };
            buffer::write(&self.memory, usize::from(at), buffer, Some(next));
            (buffer, at) = (following, next);
        }
    }

    /// Why there is no free descriptor for the last of `count` buffers, which `rest` follows.
    fn no_room(&self, count: usize, rest: impl Iterator<Item = Buffer>) -> AddError {
        let size = usize::from(self.layout.size().get());
        if count + rest.take(size).count() > size { AddError::TooLong } else { AddError::Full }
    }

    /// Writes a chain to `table`, and the free descriptor at `cursor` that stands for it.
    fn write_indirect(
        &self,
        chain: impl IntoIterator<Item = Buffer>,
        table: &impl RingMemory,
        address: u64,
        cursor: &mut Cursor,
    ) -> Result<u32, AddError> {
        let mut check = Check::new(self.error)?;
        if !self.queueing.indirect {
            return Err(AddError::NoIndirect);
        }
        let at = self.slots.advance(cursor).ok_or(AddError::Full)?;
        // No chain is longer than the queue, wherever its descriptors are (section 2.7.5.3.1).
        let most = (table.len() / DESCRIPTOR_BYTES).min(usize::from(self.layout.size().get()));
        let mut chain = chain.into_iter();
        let mut next = chain.next();
        let mut count = 0;
        while let Some(buffer) = next {
            check.buffer(&buffer)?;
            if usize::from(count) == most {
                return Err(AddError::TooLong);
            }
            next = chain.next();
            buffer::write(table, usize::from(count), buffer, next.map(|_| count + 1));
            count += 1;
        }
        if count == 0 {
            return Err(AddError::Empty);
        }
        buffer::write_indirect(&self.memory, usize::from(at), address, count);
        Ok(check.room)
    }

    /// Shows the device all chains that were added. Whether it wants to be told.
    #[must_use = "the device may wait for a notification"]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.added);
        if old == new {
            return false;
        }
        // The descriptors and the entry before the index that covers them.
        fence(Ordering::Release);
        self.memory.store16(self.layout.available_index(), new as u16);
        self.published = new;
        let event_index = self.queueing.event_index;
        notify::is_wanted(&self.memory, &self.layout, event_index, old as u16, new as u16)
    }

    /// The next chain that the device has finished; `None`: it has finished no more yet.
    ///
    /// # Errors
    /// [`DeviceError`], now and from now on. Chains stay in the queue, since nobody knows what
    /// the device does with their buffers, until [`reset`](Self::reset).
    pub fn pop(&mut self) -> Result<Option<Done<T>>, DeviceError> {
        self.next_used().inspect_err(|&error| self.error = Some(error))
    }

    fn next_used(&mut self) -> Result<Option<Done<T>>, DeviceError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.used == self.taken && !self.look()? {
            return Ok(None);
        }
        let entry = self.layout.used_entry(self.taken as u16);
        let (id, written) = (self.memory.load32(entry), self.memory.load32(entry + 4));
        let head = u16::try_from(id).ok().filter(|&head| head < self.layout.size().get());
        let head = head.ok_or(DeviceError::NoDescriptor { id })?;
        let chain = self.slots.chain(head).filter(|chain| chain.position < self.published);
        let room = chain.ok_or(DeviceError::NotInFlight { id: head })?.room;
        if written > room {
            return Err(DeviceError::TooMuchWritten { id: head, written, room });
        }
        let chain = self.slots.free_chain(head).ok_or(DeviceError::NotInFlight { id: head })?;
        self.taken += 1;
        Ok(Some(Done { token: chain.token, written }))
    }

    /// Reads the used ring's index; whether there is an entry that was not taken. What the
    /// device wrote before that index is then there to be read.
    fn look(&mut self) -> Result<bool, DeviceError> {
        let index = self.memory.load16(self.layout.used_index());
        fence(Ordering::Acquire);
        let used = index.wrapping_sub(self.taken as u16);
        let in_flight = (self.published - self.taken) as u16;
        if used > in_flight {
            return Err(DeviceError::UsedIndex { used, in_flight });
        }
        self.used = self.taken + u64::from(used);
        Ok(used != 0)
    }

    /// Asks for an interrupt when the device has finished a chain that it has not finished yet.
    /// `false`: it has finished some that were not taken, of which no interrupt tells: call
    /// [`pop`](Self::pop) again. So too when the device has broken the rules.
    #[must_use = "what is done already is not told of"]
    pub fn arm(&mut self) -> bool {
        let taken = self.taken as u16;
        notify::ask(&self.memory, &self.layout, self.queueing.event_index, taken);
        self.memory.load16(self.layout.used_index()) == taken
    }

    /// Asks for no interrupts. One that is on its way may still come.
    pub fn disarm(&mut self) {
        let taken = self.taken as u16;
        notify::ask_not(&self.memory, &self.layout, self.queueing.event_index, taken);
    }

    /// Takes a chain back that the device has not returned; `None`: there is none. Only while the
    /// device does not use the queue, as for [`reset`](Self::reset), which must follow.
    pub fn recall(&mut self) -> Option<T> {
        self.slots.take_any()
    }

    /// Makes the queue what it was when it was new: the tokens of all chains go to `each`, in no
    /// order, and all parts are set to zero. Only while the device does not use the queue: it
    /// was reset, and nobody has told it of the queue since.
    pub fn reset(&mut self, each: impl FnMut(T)) {
        self.slots.clear(each);
        self.clear_memory();
        (self.added, self.published, self.taken, self.used) = (0, 0, 0, 0);
        self.error = None;
    }
}

/// A chain whose buffers stand in descriptors, and which the queue does not have yet.
#[must_use = "the chain is not added when this is dropped"]
pub struct Described<'q, M, T> {
    queue: &'q mut Virtqueue<M, T>,
    cursor: Cursor,
    room: u32,
}

impl<M: RingMemory, T> Described<'_, M, T> {
    /// Adds the chain with its token.
    pub fn commit(self, token: T) {
        let Virtqueue { memory, layout, slots, added, .. } = self.queue;
        let head = slots.commit(self.cursor, token, self.room, *added);
        // The entry is free: at most as many chains are in flight as the ring has entries, and
        // the device reads none beyond the index that it knows.
        memory.store16(layout.available_entry(*added as u16), head);
        *added += 1;
    }
}

/// What is known of the buffers of a chain so far.
struct Check {
    room: u32,
    bytes: u32,
    writes: bool,
}

impl Check {
    /// # Errors
    /// `Broken` if the device is.
    fn new(error: Option<DeviceError>) -> Result<Self, AddError> {
        match error {
            None => Ok(Self { room: 0, bytes: 0, writes: false }),
            Some(_) => Err(AddError::Broken),
        }
    }

    fn buffer(&mut self, buffer: &Buffer) -> Result<(), AddError> {
        if buffer.bytes == 0 {
            return Err(AddError::EmptyBuffer);
        }
        let writes = buffer.access == Access::Writable;
        if self.writes && !writes {
            return Err(AddError::ReadableLast);
        }
        self.writes = writes;
        self.bytes = self.bytes.checked_add(buffer.bytes).ok_or(AddError::TooManyBytes)?;
        self.room += buffer.room(); // at most `bytes`
        Ok(())
    }
}
