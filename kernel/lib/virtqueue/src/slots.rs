//! Which descriptors are free, and whose the others are: [`Slots`], in memory that the device
//! does not reach.

use alloc::vec::Vec;

use crate::QueueSize;
use crate::error::NewQueueError;

/// A chain that the queue has: what is known of it at its head.
pub(crate) struct Chain<T> {
    pub(crate) token: T,
    /// Its last descriptor.
    last: u16,
    /// How many of the queue's descriptors it has.
    count: u16,
    /// Bytes that the device may write.
    pub(crate) room: u32,
    /// How many chains were put into the available ring before it.
    pub(crate) position: u64,
}

/// All descriptors of a queue.
pub(crate) struct Slots<T> {
    /// The descriptor behind each one: of the free ones, and of each chain but for its end.
    next: Vec<u16>,
    /// The chain whose head the descriptor is.
    chains: Vec<Option<Chain<T>>>,
    /// The first free one, if `free` is not 0.
    first_free: u16,
    free: u16,
}

/// Free descriptors that are being looked at, one after the other, to become a chain. Nothing
/// is taken before [`Slots::commit`].
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    /// The one to look at.
    at: u16,
    last: u16,
    count: u16,
}

impl Cursor {
    /// How many it has passed.
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The free one that it is at, if there are more.
    pub(crate) fn next(&self) -> u16 {
        self.at
    }
}

impl<T> Slots<T> {
    pub(crate) fn new(size: QueueSize) -> Result<Self, NewQueueError> {
        let count = usize::from(size.get());
        let (mut next, mut chains) = (Vec::new(), Vec::new());
        next.try_reserve_exact(count).map_err(|_| NewQueueError::OutOfMemory)?;
        chains.try_reserve_exact(count).map_err(|_| NewQueueError::OutOfMemory)?;
        next.resize(count, 0);
        chains.resize_with(count, || None);
        let mut slots = Self { next, chains, first_free: 0, free: 0 };
        slots.link_all();
        Ok(slots)
    }

    /// Makes all free, in their order; there are no chains.
    fn link_all(&mut self) {
        for (index, next) in self.next.iter_mut().enumerate() {
            *next = index as u16 + 1;
        }
        self.first_free = 0;
        self.free = self.next.len() as u16;
    }

    /// How many are free.
    pub(crate) fn free(&self) -> u16 {
        self.free
    }

    /// A cursor before the first free one.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { at: self.first_free, last: 0, count: 0 }
    }

    /// The free one at the cursor, which moves on; `None`: there are no more.
    pub(crate) fn advance(&self, cursor: &mut Cursor) -> Option<u16> {
        if cursor.count == self.free {
            return None;
        }
        cursor.last = cursor.at;
        cursor.count += 1;
        cursor.at = self.next[usize::from(cursor.last)];
        Some(cursor.last)
    }

    /// Makes what the cursor has passed, at least one, a chain; returns its head.
    pub(crate) fn commit(&mut self, cursor: Cursor, token: T, room: u32, position: u64) -> u16 {
        let head = self.first_free;
        self.first_free = cursor.at;
        self.free -= cursor.count;
        self.chains[usize::from(head)] =
            Some(Chain { token, last: cursor.last, count: cursor.count, room, position });
        head
    }

    /// The chain with head `head`.
    pub(crate) fn chain(&self, head: u16) -> Option<&Chain<T>> {
        self.chains[usize::from(head)].as_ref()
    }

    /// Frees the chain with head `head`.
    pub(crate) fn free_chain(&mut self, head: u16) -> Option<Chain<T>> {
        let chain = self.chains[usize::from(head)].take()?;
        self.next[usize::from(chain.last)] = self.first_free;
        self.first_free = head;
        self.free += chain.count;
        Some(chain)
    }

    /// Frees some chain; its token.
    pub(crate) fn take_any(&mut self) -> Option<T> {
        let heads = 0..self.chains.len() as u16;
        heads.into_iter().find_map(|head| self.free_chain(head)).map(|chain| chain.token)
    }

    /// Frees all chains; `each` gets their tokens, in no order.
    pub(crate) fn clear(&mut self, each: impl FnMut(T)) {
        self.chains.iter_mut().filter_map(Option::take).map(|chain| chain.token).for_each(each);
        self.link_all();
    }
}
