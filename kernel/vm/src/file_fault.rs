//! Page faults in mappings of files: what is mapped is the page cache's own page.
//!
//! - Read: the page, read-only but in a shared mapping of a file that is memory alone; and with
//!   it those around it that are in memory ([`AROUND`]). If it is not there, it is read, and with
//!   it what the file's [`ReadAhead`](crate::cache::ReadAhead) says.
//! - Written in a private mapping: a copy; that is in [`super::fault`].
//! - Written in a shared one: the cache makes room for the page where it is stored and calls it
//!   dirty; then it is mapped, and called dirty once more, for it may just have been stored.
//!
//! A fault and one who cuts the file short may pass each other. The fault maps and then looks
//! whether the cache has had a cut since it began ([`PageCache::cuts`]); if so what it mapped goes
//! again, and the program's next try finds what is there by then. Who cuts takes the pages out of
//! the cache, counts the cut, and then takes them out of page tables: so one of both sees it.

use arch::paging::VirtAddr;
use arrayvec::ArrayVec;
use memory::frames::{Frame, is_shared_by_many};
use memory::user::{FilePages, Writes};

use crate::PAGE;
use crate::cache::{MappedCache, PageCache};
use crate::fault::FaultKind;
use crate::object::MemoryObject;
use crate::space::{AddressSpace, addresses};
use crate::vma::Vma;

/// Pages that a fault maps at most, a power of two: those of the same block of so many.
const AROUND: u64 = 16;
const BLOCK: u64 = AROUND * PAGE;

impl AddressSpace {
    /// Brings page `index` of a file to `page`, to be read; of those around it, those before
    /// `whole_end`, where the mapping stops to have whole pages of the file.
    pub(crate) fn bring_to_read(
        &self,
        vma: &Vma,
        page: u64,
        file: &MappedCache,
        index: u64,
        whole_end: u64,
    ) -> Result<(), FaultKind> {
        let access = match vma.writes() {
            Writes::Shared => vma.access,
            Writes::Own | Writes::Copies | Writes::Told => vma.access.read_only(),
        };
        let cache = file.cache();
        let cuts = cache.cuts();
        // The block, as far as the mapping and the file go.
        let block = page & !(BLOCK - 1);
        let before = (page - block.max(vma.start)) / PAGE;
        let first = page - before.min(index) * PAGE;
        let end = vma.end.min(block + BLOCK).min(whole_end).max(page + PAGE);
        let first_index = index - (page - first) / PAGE;
        let count = ((end - first) / PAGE) as usize;
        let mut frames: ArrayVec<Option<Frame>, { AROUND as usize }> = ArrayVec::new();
        cache.resident(first_index, count, |frame| {
            frames.push(frame.filter(|frame| !is_shared_by_many(frame)));
        });
        let within = (index - first_index) as usize;
        if !frames.get(within).is_some_and(Option::is_some) {
            let frame = cache.page(index, (end - page) / PAGE, Some(file.ahead()))?;
            if is_shared_by_many(&frame) {
                return Err(FaultKind::OutOfMemory);
            }
            if index >= cache.len().div_ceil(PAGE) {
                return Err(FaultKind::NoBytes);
            }
            if let Some(place) = frames.get_mut(within) {
                *place = Some(frame);
            }
        }
        self.table.map_some(VirtAddr::new(first), frames, access)?;
        self.take_back_after_cut(cache, cuts, first..end);
        Ok(())
    }

    /// Brings page `index` of a file to `page`, to be written by all who share it. True if it
    /// is dirty now.
    pub(crate) fn bring_to_write(
        &self,
        vma: &Vma,
        page: u64,
        object: &dyn MemoryObject,
        file: &MappedCache,
        index: u64,
    ) -> Result<bool, FaultKind> {
        let cache = file.cache();
        let cuts = cache.cuts();
        let frame = cache.page(index, 1, Some(file.ahead()))?;
        if is_shared_by_many(&frame) {
            return Err(FaultKind::OutOfMemory);
        }
        if index >= cache.len().div_ceil(PAGE) {
            return Err(FaultKind::NoBytes);
        }
        let is_told = vma.writes() == Writes::Told;
        if is_told {
            cache.prepare_write(index, &frame)?;
            object.is_written();
        }
        self.table.map_or_allow(VirtAddr::new(page), frame.share(), vma.access)?;
        if is_told {
            cache.note_writable(index, &frame);
        }
        self.take_back_after_cut(cache, cuts, page..page + PAGE);
        Ok(is_told)
    }

    /// Takes what was just mapped away again if the file was cut meanwhile.
    fn take_back_after_cut(&self, cache: &PageCache, cuts: u64, range: core::ops::Range<u64>) {
        if cache.cuts() != cuts {
            self.table.unmap_file_pages(addresses(&range), FilePages::All);
        }
    }
}
