//! Pages of files: from the page cache to the disk and back ([`PageStore`]).
//!
//! Pages whose blocks lie side by side on the disk go in one request with their neighbours. A page
//! with holes, with blocks here and there, or with the end of the file in it goes piece by piece.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};
use device::block::{BlockError, SECTOR};
use ext2::{Error, Run};
use vm::ObjectError;
use vm::cache::{Batch, PageStore, Part};

use super::inode::Ext2Inode;
use crate::block::transfer::{most_pages, object_error, transfer};
use crate::regular::Cached;

const PAGE: u64 = 4096;
/// How often everything is stored for the sake of room.
const TRIES: usize = 4;

/// Where the blocks of a page are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere.
    Hole,
    /// From this block on.
    From(u64),
    /// Here and there.
    Mixed,
}

/// Where the blocks of a file are that a batch is about.
struct Runs {
    runs: Vec<Run>,
    /// Blocks of a page.
    per_page: u64,
}

impl Runs {
    /// The blocks of a page, as pieces: the block of the file, and where it is.
    fn pieces(&self, page: u64) -> impl Iterator<Item = (u64, Option<u64>)> {
        let blocks = page * self.per_page..(page + 1) * self.per_page;
        blocks.map(|block| {
            let holds = |run: &&Run| {
                (u64::from(run.first)..u64::from(run.first) + u64::from(run.count)).contains(&block)
            };
            // They are in order, and few.
            let run = self.runs.iter().find(holds);
            let start =
                run.and_then(|run| Some(u64::from(run.start?) + (block - u64::from(run.first))));
            (block, start)
        })
    }

    fn place(&self, page: u64) -> Place {
        let mut pieces = self.pieces(page).map(|(_, start)| start);
        match pieces.next().flatten() {
            None if pieces.all(|start| start.is_none()) => Place::Hole,
            None => Place::Mixed,
            Some(first) => {
                let in_row = (first + 1..).zip(pieces).all(|(next, start)| start == Some(next));
                if in_row { Place::From(first) } else { Place::Mixed }
            }
        }
    }
}

impl Ext2Inode {
    fn runs(&self, pages: Range<u64>) -> core::result::Result<Runs, ObjectError> {
        let per_page = PAGE / self.volume().block_size;
        let blocks = pages.start * per_page..pages.end * per_page;
        let blocks = block_number(blocks.start)?..block_number(blocks.end)?;
        let mut runs: Vec<Run> = Vec::new();
        runs.try_reserve_exact(blocks.len()).map_err(|_| ObjectError::OutOfMemory)?;
        let mapped = self.volume().look(|engine| {
            engine.map(self.number(), blocks, |run| runs.push(run)) // there is room
        });
        match mapped {
            Ok(()) => Ok(Runs { runs, per_page }),
            Err(Errno::ENOMEM) => Err(ObjectError::OutOfMemory),
            Err(_) => Err(ObjectError::Io),
        }
    }

    /// Reads or writes a batch, in as many requests as it takes.
    fn transfer(&self, batch: &Arc<Batch>, is_write: bool) {
        let pages = batch.pages();
        // Before it is looked up where they go.
        let flight = is_write.then(|| Arc::new(self.volume().in_flight.begin()));
        let runs = match self.runs(pages.clone()) {
            Ok(runs) => runs,
            Err(error) => return batch.part(pages).done(Err(error)),
        };
        let most = most_pages(self.volume().device());
        let mut at = pages.start;
        while at < pages.end {
            let place = runs.place(at);
            let mut end = at + 1;
            match place {
                Place::Hole if is_write => batch.part(at..end).done(Ok(())),
                Place::Hole => batch.part(at..end).zero(),
                Place::Mixed => {
                    let part = batch.part(at..end);
                    let done = self.transfer_pieces(&part, &runs, is_write);
                    part.done(done.map_err(object_error));
                }
                Place::From(first) => {
                    let next = |end: u64| Place::From(first + (end - at) * runs.per_page);
                    while end < pages.end && end - at < most && runs.place(end) == next(end) {
                        end += 1;
                    }
                    let sector = first * self.volume().block_size / SECTOR;
                    let (part, bytes) = (batch.part(at..end), (end - at) * PAGE);
                    transfer(self.volume().device(), part, flight.clone(), sector, bytes, is_write);
                }
            }
            at = end;
        }
    }

    /// Reads or writes the blocks of one page, one after the other.
    fn transfer_pieces(
        &self,
        part: &Part,
        runs: &Runs,
        is_write: bool,
    ) -> core::result::Result<(), BlockError> {
        let size = self.volume().block_size;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size as usize).map_err(|_| BlockError::NoMemory)?;
        bytes.resize(size as usize, 0);
        for (page, frame) in part.frames() {
            for (block, start) in runs.pieces(page) {
                let offset = (block * size - page * PAGE) as usize;
                match start {
                    Some(start) if is_write => {
                        frame.read(offset, &mut bytes);
                        self.volume().device().write_at(start * size, &bytes)?;
                    }
                    Some(start) => {
                        self.volume().device().read_at(start * size, &mut bytes)?;
                        frame.write(offset, &bytes);
                    }
                    None if is_write => {}
                    None => frame.clear(offset, size as usize),
                }
            }
        }
        Ok(())
    }

    /// Gives blocks a place, those that have none; `None` if everything is to be stored before.
    /// With `within` only if that byte is within the file, and only as far as that goes.
    fn place_blocks(
        &self,
        blocks: Range<u32>,
        within: Option<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<()>> {
        let volume = self.volume();
        if volume.is_over() {
            return Err(Errno::EROFS);
        }
        let _barrier = volume.barrier.read();
        let caller = volume.caller();
        let mut at = blocks.start;
        let mut is_new = false;
        let mut engine = volume.engine.write();
        let mut blocks = blocks;
        if let Some(start) = within {
            // Who cuts the file short says so before it comes here for the blocks.
            let len = self.cache().len();
            if start >= len {
                return Err(Errno::EIO);
            }
            let end = u32::try_from(len.div_ceil(volume.block_size)).unwrap_or(u32::MAX);
            blocks.end = blocks.end.min(end);
        }
        let result = loop {
            if at >= blocks.end {
                break Ok(());
            }
            match engine.allocate(self.number(), at, blocks.end - at, &caller) {
                Ok(placed) => {
                    is_new |= placed.new;
                    at += placed.count.max(1);
                }
                Err(error) => break Err(error),
            }
        };
        // How much room the file takes is told by stat(2).
        let seen = if is_new { self.take_over(&engine) } else { Ok(()) };
        drop(engine);
        volume.flusher.wake_later();
        if is_new {
            // Under the barrier: a batch that makes the disk point to the blocks finds the pages.
            self.list_to_be_stored();
        }
        if let Err(error) = seen {
            volume.errno(error); // it is told and noted
        }
        match result {
            Ok(()) => dirty().map(Some),
            Err(error) => {
                // Blocks that are new hold whatever was on the disk: they are written in any
                // case.
                if is_new {
                    dirty()?;
                }
                match error {
                    Error::WriteBackFirst => Ok(None),
                    error => Err(volume.errno(error)),
                }
            }
        }
    }

    fn make_room(
        &self,
        bytes: Range<u64>,
        within: Option<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let size = self.volume().block_size;
        let number = |block: u64| u32::try_from(block).map_err(|_| Errno::EFBIG);
        let blocks = number(bytes.start / size)?..number(bytes.end.div_ceil(size))?;
        for _ in 0..TRIES {
            if self.place_blocks(blocks.clone(), within, dirty)?.is_some() {
                return Ok(());
            }
            self.volume().store_everything()?;
        }
        Err(Errno::ENOSPC)
    }
}

fn block_number(block: u64) -> core::result::Result<u32, ObjectError> {
    u32::try_from(block).map_err(|_| ObjectError::Io)
}

impl PageStore for Ext2Inode {
    fn read(&self, batch: Arc<Batch>) {
        self.transfer(&batch, false);
    }

    fn write(&self, batch: Arc<Batch>) {
        self.transfer(&batch, true);
    }

    fn reserve(&self, bytes: Range<u64>, dirty: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.make_room(bytes, None, dirty)
    }

    fn gives_whole_pages(&self) -> bool {
        self.volume().block_size >= PAGE
    }

    fn reserve_within(
        &self,
        bytes: Range<u64>,
        dirty: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let start = bytes.start;
        self.make_room(bytes, Some(start), dirty)
    }

    fn became_dirty(&self) {
        self.list_to_be_stored();
    }

    fn hurry(&self) {
        self.volume().flusher.hurry();
    }
}
