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

use ::device::block::{BlockError, Operation, Request, SECTOR};
use arrayvec::ArrayVec;
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

/// The buffers of a request.
pub(super) type Chain = ArrayVec<Buffer, DESCRIPTORS>;

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

    fn buffer(&self, offset: usize, bytes: u32, make: fn(u64, u32) -> Buffer) -> Buffer {
        make(self.0.address().as_u64() + offset as u64, bytes)
    }

    /// Writes the header; the chain that begins with it.
    fn begin(&self, what: u32, sector: u64) -> Chain {
        self.0.store32(0, what);
        self.0.store32(4, 0);
        self.0.store64(8, sector);
        self.0.store8(STATUS, NOT_SAID);
        let mut chain = Chain::new();
        chain.push(self.buffer(0, HEADER_BYTES, Buffer::readable));
        chain
    }

    fn end(&self, mut chain: Chain) -> Option<Chain> {
        chain.try_push(self.buffer(STATUS, 1, Buffer::writable)).ok()?;
        Some(chain)
    }

    /// The buffers of a request; `None` if it has more memory than there are descriptors.
    pub(super) fn prepare(&self, request: &Request) -> Option<Chain> {
        let sector = request.sector();
        let (what, make): (u32, fn(u64, u32) -> Buffer) = match request.operation() {
            Operation::Read => (IN, Buffer::writable),
            Operation::Write => (OUT, Buffer::readable),
            Operation::Flush => return self.end(self.begin(FLUSH, 0)),
            Operation::Discard => return self.prepare_range(DISCARD, request),
            Operation::WriteZeroes => return self.prepare_range(WRITE_ZEROES, request),
        };
        let mut chain = self.begin(what, sector);
        for segment in request.segments() {
            chain.try_push(make(segment.address.as_u64(), segment.len)).ok()?;
        }
        self.end(chain)
    }

    /// The buffers of a request about a range of sectors, one segment of the specification's.
    fn prepare_range(&self, what: u32, request: &Request) -> Option<Chain> {
        let count = u32::try_from(request.sectors()).ok()?;
        self.0.store64(RANGE, request.sector());
        // Without flags: zeros need not be given back to the host.
        self.0.store64(RANGE + 8, count.into());
        let mut chain = self.begin(what, 0);
        chain.push(self.buffer(RANGE, RANGE_BYTES, Buffer::readable));
        self.end(chain)
    }

    /// The buffers of the question for the disk's serial number, which goes to `id`.
    pub(super) fn prepare_id(&self, id: Buffer) -> Option<Chain> {
        let mut chain = self.begin(GET_ID, 0);
        chain.push(id);
        self.end(chain)
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
