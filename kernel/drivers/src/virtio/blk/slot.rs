//! What a request is made of beside its memory (VirtIO 1.2, section 5.2.6): [`Slot`], for each
//! request that a queue may have in flight.
//!
//! Memory of a slot, which both sides reach:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 15 | the header: what to do, and where |
//! | 16 to 31 | the range, for requests without memory |
//! | 32 | the status, written by the device |
//! | from 64 | the indirect table |

use core::iter::once;

use ::device::block::{BlockError, Operation, Request, SECTOR};
use memory::OutOfMemory;
use memory::dma::{DmaPool, SharedDma};
use virtqueue::{Buffer, DESCRIPTOR_BYTES};

use crate::virtio::Table;

/// Bytes of a slot: four of them are a page.
const BYTES: usize = 1024;
const RANGE: usize = 16;
const STATUS: usize = 32;
const TABLE: usize = 64;
/// Most descriptors of a request, and most pieces of memory.
const DESCRIPTORS: usize = (BYTES - TABLE) / DESCRIPTOR_BYTES;
pub(super) const SEGMENTS: usize = DESCRIPTORS - 2;

const HEADER_BYTES: u32 = 16;
const RANGE_BYTES: u32 = 16;

// What to do.
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

// How it ended.
const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;
/// Written by no device: it has not said.
const NOT_SAID: u8 = 0xff;

static SLOTS: DmaPool = DmaPool::new();

/// What belongs to one request in flight.
pub(super) struct Slot(SharedDma);

impl Slot {
    pub(super) fn new() -> Result<Self, OutOfMemory> {
        SLOTS.allocate_shared(BYTES).map(Self)
    }

    /// Where an indirect table goes.
    pub(super) fn table(&self) -> Option<Table<'_>> {
        Table::new(&self.0, TABLE, BYTES - TABLE)
    }

    fn at(&self, offset: usize) -> u64 {
        self.0.address().as_u64() + offset as u64
    }

    fn header(&self) -> Buffer {
        Buffer::readable(self.at(0), HEADER_BYTES)
    }

    fn status(&self) -> Buffer {
        Buffer::writable(self.at(STATUS), 1)
    }

    /// Writes the header.
    fn begin(&self, what: u32, sector: u64) {
        self.0.store32(0, what);
        self.0.store32(4, 0);
        self.0.store64(8, sector);
        self.0.store8(STATUS, NOT_SAID);
    }

    /// Writes what the device is to do for a request; the buffers of its chain.
    pub(super) fn prepare(&self, request: &Request) -> impl Iterator<Item = Buffer> {
        let (what, sector) = match request.operation() {
            Operation::Read => (IN, request.sector()),
            Operation::Write => (OUT, request.sector()),
            Operation::Flush => (FLUSH, 0),
            Operation::Discard => (DISCARD, 0),
            Operation::WriteZeroes => (WRITE_ZEROES, 0),
        };
        self.begin(what, sector);
        let range = matches!(what, DISCARD | WRITE_ZEROES).then(|| {
            // One segment of the specification's; without flags: zeros need not be given back to
            // the host. Its length is within the limits, which have 32 bits.
            self.0.store64(RANGE, request.sector());
            self.0.store64(RANGE + 8, request.sectors() & u64::from(u32::MAX));
            Buffer::readable(self.at(RANGE), RANGE_BYTES)
        });
        let make = if what == IN { Buffer::writable } else { Buffer::readable };
        let memory =
            request.segments().map(move |segment| make(segment.address.as_u64(), segment.len));
        once(self.header()).chain(range).chain(memory).chain(once(self.status()))
    }

    /// The buffers of the question for the disk's serial number, which goes to `id`.
    pub(super) fn prepare_id(&self, id: Buffer) -> [Buffer; 3] {
        self.begin(GET_ID, 0);
        [self.header(), id, self.status()]
    }

    /// How the device says that the request has ended.
    pub(super) fn result(&self) -> Result<(), BlockError> {
        match self.0.load8(STATUS) {
            OK => Ok(()),
            UNSUPPORTED => Err(BlockError::NotSupported),
            IO_ERROR => Err(BlockError::Io),
            _ => Err(BlockError::Io), // it has not said, or says nothing that is known
        }
    }

    /// The same of `request`, of which the device says that it has written so many bytes: what it
    /// has not written was not read.
    pub(super) fn result_of(&self, request: &Request, written: u32) -> Result<(), BlockError> {
        self.result()?;
        let needed = match request.operation() {
            Operation::Read => request.sectors() * SECTOR + 1,
            _ => 1,
        };
        if u64::from(written) < needed { Err(BlockError::Io) } else { Ok(()) }
    }
}
