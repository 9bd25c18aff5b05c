//! [`Command`]: what a driver asks for (sections 4.2, 5 and 6).

use crate::bytes;

/// A command as it stands in a submission queue: 16 double words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    words: [u32; 16],
}

/// What an identify command is to tell of (section 5.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// The namespace of this number.
    Namespace(u32),
    /// The controller.
    Controller,
    /// The numbers of namespaces that are larger than this one, 1024 at most.
    NamespacesAfter(u32),
    /// What identifies the namespace of this number, and its command set: a list of descriptors.
    Descriptors(u32),
}

/// The memory of a command: its first page entry, and the second, which may be that of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// PRP entry 1: where it begins.
    pub first: u64,
    /// PRP entry 2: the second page, or the list of all but the first; 0 if there is none.
    pub second: u64,
}

impl Data {
    /// Memory within one page.
    pub const fn page(address: u64) -> Self {
        Self { first: address, second: 0 }
    }
}

mod admin {
    pub(super) const DELETE_SUBMISSION_QUEUE: u32 = 0x00;
    pub(super) const CREATE_SUBMISSION_QUEUE: u32 = 0x01;
    pub(super) const DELETE_COMPLETION_QUEUE: u32 = 0x04;
    pub(super) const CREATE_COMPLETION_QUEUE: u32 = 0x05;
    pub(super) const IDENTIFY: u32 = 0x06;
    pub(super) const ABORT: u32 = 0x08;
    pub(super) const SET_FEATURES: u32 = 0x09;
}

mod io {
    pub(super) const FLUSH: u32 = 0x00;
    pub(super) const WRITE: u32 = 0x01;
    pub(super) const READ: u32 = 0x02;
    pub(super) const WRITE_ZEROES: u32 = 0x08;
    pub(super) const DATASET_MANAGEMENT: u32 = 0x09;
}

/// The feature "number of queues".
const NUMBER_OF_QUEUES: u32 = 0x07;
/// Of a queue: its memory is in one piece; it interrupts.
const CONTIGUOUS: u32 = 1 << 0;
const INTERRUPTS: u32 = 1 << 1;
/// Of a write: it is on the medium when it is complete.
const FORCE_UNIT_ACCESS: u32 = 1 << 30;
/// Of a dataset management command: the ranges are not needed any more.
const DEALLOCATE: u32 = 1 << 2;

/// Bytes of a range of a dataset management command.
pub const RANGE_BYTES: usize = 16;

/// A range of blocks as [`Command::deallocate`] wants it in memory (section 6.7).
pub fn deallocate_range(block: u64, blocks: u32) -> [u64; RANGE_BYTES / 8] {
    [u64::from(blocks) << 32, block]
}

const fn low(value: u64) -> u32 {
    value as u32
}

const fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

impl Command {
    /// Bytes of a command.
    pub const BYTES: usize = 64;

    fn new(opcode: u32, namespace: u32, data: Data, own: [u32; 6]) -> Self {
        let Data { first, second } = data;
        let [ten, eleven, twelve, thirteen, fourteen, fifteen] = own;
        let words = [
            opcode,
            namespace,
            0,
            0,
            0,
            0,
            low(first),
            high(first),
            low(second),
            high(second),
            ten,
            eleven,
            twelve,
            thirteen,
            fourteen,
            fifteen,
        ];
        Self { words }
    }

    /// The same with the number by which its completion is known.
    #[must_use]
    pub fn with_id(mut self, id: u16) -> Self {
        let [first, ..] = &mut self.words;
        *first = (*first & 0xffff) | u32::from(id) << 16;
        self
    }

    /// Its double words, in the order of memory.
    pub fn words(&self) -> [u32; 16] {
        self.words
    }

    /// Its bytes as eight words of 64 bits, in the order of memory.
    pub fn long_words(&self) -> impl Iterator<Item = u64> {
        self.words
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[low, high]| u64::from(*low) | u64::from(*high) << 32)
    }

    /// Asks for 4096 bytes about something, which are written to the page at `page`.
    pub fn identify(what: Identify, page: u64) -> Self {
        let (cns, namespace) = match what {
            Identify::Namespace(namespace) => (0, namespace),
            Identify::Controller => (1, 0),
            Identify::NamespacesAfter(namespace) => (2, namespace),
            Identify::Descriptors(namespace) => (3, namespace),
        };
        Self::new(admin::IDENTIFY, namespace, Data::page(page), [cns, 0, 0, 0, 0, 0])
    }

    /// Asks for so many pairs of queues (section 5.21.1.7); see
    /// [`Completion::granted_queues`](crate::Completion::granted_queues). 0 counts as 1.
    pub fn request_queues(count: u16) -> Self {
        let count = u32::from(count.max(1)) - 1;
        let own = [NUMBER_OF_QUEUES, count | count << 16, 0, 0, 0, 0];
        Self::new(admin::SET_FEATURES, 0, Data::default(), own)
    }

    /// Makes completion queue `queue` with `entries` entries (2 or more) at `memory`, which
    /// interrupts with interrupt `vector`.
    pub fn create_completion_queue(queue: u16, entries: u16, memory: u64, vector: u16) -> Self {
        let size = u32::from(queue) | u32::from(entries.saturating_sub(1)) << 16;
        let how = CONTIGUOUS | INTERRUPTS | u32::from(vector) << 16;
        let own = [size, how, 0, 0, 0, 0];
        Self::new(admin::CREATE_COMPLETION_QUEUE, 0, Data::page(memory), own)
    }

    /// Makes submission queue `queue` with `entries` entries at `memory`, which is answered in
    /// the completion queue of the same number.
    pub fn create_submission_queue(queue: u16, entries: u16, memory: u64) -> Self {
        let size = u32::from(queue) | u32::from(entries.saturating_sub(1)) << 16;
        let how = CONTIGUOUS | u32::from(queue) << 16;
        let own = [size, how, 0, 0, 0, 0];
        Self::new(admin::CREATE_SUBMISSION_QUEUE, 0, Data::page(memory), own)
    }

    /// Deletes submission queue `queue`.
    pub fn delete_submission_queue(queue: u16) -> Self {
        let own = [queue.into(), 0, 0, 0, 0, 0];
        Self::new(admin::DELETE_SUBMISSION_QUEUE, 0, Data::default(), own)
    }

    /// Deletes completion queue `queue`.
    pub fn delete_completion_queue(queue: u16) -> Self {
        let own = [queue.into(), 0, 0, 0, 0, 0];
        Self::new(admin::DELETE_COMPLETION_QUEUE, 0, Data::default(), own)
    }

    /// Asks the controller to give up command `id` of submission queue `queue`, which it may or
    /// may not do.
    pub fn abort(queue: u16, id: u16) -> Self {
        let own = [u32::from(queue) | u32::from(id) << 16, 0, 0, 0, 0, 0];
        Self::new(admin::ABORT, 0, Data::default(), own)
    }

    fn transfer(
        opcode: u32,
        namespace: u32,
        data: Data,
        block: u64,
        blocks: u16,
        flags: u32,
    ) -> Self {
        let own = [low(block), high(block), u32::from(blocks.wrapping_sub(1)) | flags, 0, 0, 0];
        Self::new(opcode, namespace, data, own)
    }

    /// Reads `blocks` blocks (1 to 65536, which is 0 here) from `block` on.
    pub fn read(namespace: u32, block: u64, blocks: u16, data: Data) -> Self {
        Self::transfer(io::READ, namespace, data, block, blocks, 0)
    }

    /// Writes blocks, as [`Command::read`] reads; `durable`: they are on the medium when it is
    /// complete.
    pub fn write(namespace: u32, block: u64, blocks: u16, data: Data, durable: bool) -> Self {
        let flags = if durable { FORCE_UNIT_ACCESS } else { 0 };
        Self::transfer(io::WRITE, namespace, data, block, blocks, flags)
    }

    /// Fills blocks with zeros, numbers as for [`Command::read`].
    pub fn write_zeroes(namespace: u32, block: u64, blocks: u16) -> Self {
        Self::transfer(io::WRITE_ZEROES, namespace, Data::default(), block, blocks, 0)
    }

    /// Makes durable what was written.
    pub fn flush(namespace: u32) -> Self {
        Self::new(io::FLUSH, namespace, Data::default(), [0; 6])
    }

    /// The blocks of one [range](deallocate_range) at `range` are not needed any more.
    pub fn deallocate(namespace: u32, range: u64) -> Self {
        let own = [0, DEALLOCATE, 0, 0, 0, 0];
        Self::new(io::DATASET_MANAGEMENT, namespace, Data::page(range), own)
    }
}

/// The command in 64 bytes, as a controller sees it: for tests of drivers.
impl From<&[u8; Command::BYTES]> for Command {
    fn from(memory: &[u8; Self::BYTES]) -> Self {
        let mut words = [0; 16];
        for (index, word) in words.iter_mut().enumerate() {
            *word = bytes::u32_at(memory, 4 * index);
        }
        Self { words }
    }
}
