//! [`UserTable`]: the page tables of a user address space, one page at a time. Work on ranges
//! is in [`super::ranges`], pages of files in [`super::file_pages`].
//!
//! An entry in use, present or kept for nobody (`PROT_NONE`), holds one reference to its
//! frame; a 2 MiB entry one to each of its 512. An entry marked `BORROWED` holds none: it shows
//! the page of zeros, which is there for ever. An entry is writable only if the program may
//! write and either the mapping is shared or the frame has no other reference: whoever writes
//! to a page that others see gets a copy first ([`UserTable::make_writable`]).

use core::sync::atomic::{AtomicUsize, Ordering};

use arch::paging::{
    Entry, EntryFlags, FrameSource, MapError, Mapping, PAGE_SIZE, PageSize, PageTable, PhysAddr,
    VirtAddr,
};
use base::sync::SpinLock;

use super::access::Access;
use super::file_pages::is_file_page;
use crate::OutOfMemory;
use crate::frames::{self, Frame, FrameUse, LargeFrame};
use crate::kernel_space::TABLES;
use crate::shootdown::{self, LoadedOn};

/// Pages of 4 KiB in a 2 MiB page.
pub const LARGE_PAGES: usize = 512;

/// The page tables of one user address space. The methods take a lock of the table's
/// own, so several threads of a program may fault at once.
#[derive(Debug)]
pub struct UserTable {
    pub(super) root: PhysAddr,
    pub(super) loaded_on: LoadedOn,
    pub(super) tables: SpinLock<PageTable>,
    pub(super) mapped: AtomicUsize,
    pub(super) table_frames: AtomicUsize,
}

/// Page tables made of frames that are counted.
pub(super) struct TableFrames<'a>(&'a AtomicUsize);

impl FrameSource for TableFrames<'_> {
    fn allocate_table(&mut self) -> Option<PhysAddr> {
        let frame = Frame::zeroed(FrameUse::UserTable).ok()?;
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(frame.into_address())
    }

    fn free_table(&mut self, frame: PhysAddr) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: tables come from `allocate_table`, and the mapper frees each once.
        drop(unsafe { Frame::from_address(frame) });
    }
}

/// What became of a write to a page that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTouch {
    /// The page may be written now.
    Writable,
    /// Others see the page: a frame for a copy is needed.
    NeedsCopy,
    /// There is no page.
    Missing,
}

pub(super) fn is_user_page(page: VirtAddr) -> bool {
    page.is_user() && page.as_u64() >= arch::paging::USER_START
}

/// The number of pages in a mapping.
pub(super) fn pages_of(size: PageSize) -> usize {
    (size.bytes() / PAGE_SIZE) as usize
}

/// Whether an entry's reference to its frame, or to each of its frames, is the only one.
#[inline(always)]
pub(super) fn is_exclusive(entry: Entry, size: PageSize) -> bool {
    if entry.flags().contains(EntryFlags::BORROWED) {
        return false;
    }
    let start = entry.address().align_down(size.bytes());
    let alone = |page: usize| frames::reference_count(start.offset(page as u64 * PAGE_SIZE)) == 1;
    (0..pages_of(size)).all(alone)
}

/// Drops the references that an entry held. Its mapping is gone from the tables and from all
/// TLBs.
///
/// # Safety
/// The mapping comes from an entry of a [`UserTable`], and its references are dropped once.
pub(super) unsafe fn release(mapping: Mapping) {
    if mapping.flags.contains(EntryFlags::BORROWED) {
        return;
    }
    match mapping.size {
        // SAFETY: the entry held one reference, and is gone: the caller's argument.
        PageSize::Small => drop(unsafe { Frame::from_address(mapping.address) }),
        // SAFETY: as above, one for each frame.
        size => unsafe { frames::release_range(mapping.address, pages_of(size)) },
    }
}

/// Copies the page at `from` into `to`, eight bytes at a time.
fn copy_page(from: PhysAddr, to: &mut Frame) {
    let to = to.address().to_physmap();
    // SAFETY: `to` is a frame that nobody else knows yet, `from` one that the caller keeps a
    // reference to; the physical map shows both. Bytes that a program changes meanwhile are
    // copied in one state or the other.
    unsafe {
        core::arch::asm!("rep movsq", inout("rcx") PAGE_SIZE / 8 => _,
            inout("rsi") from.to_physmap().as_ptr::<u64>() => _,
            inout("rdi") to.as_mut_ptr::<u64>() => _,
            options(nostack, preserves_flags));
    }
}

impl UserTable {
    /// Tables that map no user page.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Self, OutOfMemory> {
        let root = Frame::zeroed(FrameUse::UserTable)?.into_address();
        // SAFETY: a fresh table, ours alone.
        let mut tables = unsafe { PageTable::from_root(root) };
        if let Some(kernel) = TABLES.lock().as_ref() {
            tables.share_kernel_half(kernel);
        }
        Ok(Self {
            root,
            loaded_on: LoadedOn::new(),
            tables: SpinLock::new("user page table", tables),
            mapped: AtomicUsize::new(0),
            table_frames: AtomicUsize::new(1),
        })
    }

    pub(super) fn source(&self) -> TableFrames<'_> {
        TableFrames(&self.table_frames)
    }

    /// Maps `frames` at the pages from `page` on, all of which one lowest table maps; those
    /// beyond its end are dropped, and those for which another thread was faster.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; the frames are dropped.
    ///
    /// # Panics
    /// If the address is not a user page: the caller's map of VMAs would be wrong.
    pub fn map(
        &self,
        page: VirtAddr,
        frames: impl IntoIterator<Item = Frame>,
        access: Access,
    ) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let flags = access.flags();
        let mut tables = self.tables.lock();
        let slots = match tables.slots(page, PageSize::Small, &mut self.source()) {
            Ok(slots) => slots,
            Err(MapError::InsideHugePage) => return Ok(()), // another thread, as said
            Err(_) => return Err(OutOfMemory),
        };
        let mut mapped = 0;
        for (slot, frame) in slots.iter().zip(frames) {
            if !slot.load().is_used() {
                slot.store(Entry::new(frame.into_address(), flags)); // which owns it now
                mapped += 1;
            }
        }
        self.mapped.fetch_add(mapped, Ordering::Relaxed);
        Ok(())
    }

    /// As [`UserTable::map`] for one frame of memory that may be written, the short way: false
    /// if the page's table is not there or something is mapped there. The frame is dropped then.
    #[inline(always)]
    pub fn map_at_hand(&self, page: VirtAddr, frame: Frame, access: Access) -> bool {
        debug_assert!(is_user_page(page) && access.write);
        let tables = self.tables.lock();
        let Some(slot) = tables.small_slot(page) else { return false };
        if slot.load().is_used() {
            return false;
        }
        slot.store(Entry::new(frame.into_address(), access.writable_flags()));
        drop(tables);
        self.mapped.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Shows the page of zeros at `page`, for reading.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table.
    pub fn map_zeros(&self, page: VirtAddr, access: Access) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let mut tables = self.tables.lock();
        match tables.slots(page, PageSize::Small, &mut self.source()) {
            Ok([slot, ..]) if !slot.load().is_used() => {
                let flags = access.read_only().flags() | EntryFlags::BORROWED;
                slot.store(Entry::new(frames::zero_page(), flags));
                Ok(())
            }
            Ok(_) | Err(MapError::InsideHugePage) => Ok(()), // another thread was faster
            Err(_) => Err(OutOfMemory),
        }
    }

    /// Whether nothing is there for the 2 MiB that hold `page`, so that a large page fits.
    pub fn is_block_empty(&self, page: VirtAddr) -> bool {
        self.tables.lock().is_block_empty(page)
    }

    /// Maps 2 MiB at `page`, a multiple of them. Drops `frame` if something is there by now.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table.
    pub fn map_large(
        &self,
        page: VirtAddr,
        frame: LargeFrame,
        access: Access,
    ) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let (address, source) = (frame.address(), &mut self.source());
        let mut tables = self.tables.lock();
        match tables.map(page, address, PageSize::Large, access.flags(), source) {
            Ok(()) => {
                let _ = frame.into_address(); // the entry owns it now
                self.mapped.fetch_add(LARGE_PAGES, Ordering::Relaxed);
                Ok(())
            }
            Err(MapError::AlreadyMapped | MapError::InsideHugePage) => Ok(()),
            Err(MapError::OutOfFrames) => Err(OutOfMemory),
            Err(error) => panic!("mapping 2 MiB at {page}: {error:?}"),
        }
    }

    /// Makes a page that is there writable, in a mapping that is private to the address
    /// space: as it is if nobody else sees it, else as a copy in `copy`.
    ///
    /// # Errors
    /// [`OutOfMemory`]: a large page cannot be broken up.
    pub fn make_writable(
        &self,
        page: VirtAddr,
        access: Access,
        copy: Option<Frame>,
    ) -> Result<WriteTouch, OutOfMemory> {
        let old = {
            let mut tables = self.tables.lock();
            let Some((slot, size)) = tables.leaf_slot(page) else {
                return Ok(WriteTouch::Missing);
            };
            let entry = slot.load();
            if entry.flags().contains(EntryFlags::PRESENT | EntryFlags::WRITABLE) {
                return Ok(WriteTouch::Writable);
            }
            // A page that a file has lost goes, and what was written to it would go with it.
            if is_exclusive(entry, size) && !is_file_page(entry) {
                let huge = entry.flags() & EntryFlags::HUGE;
                let address = entry.address().align_down(size.bytes());
                slot.store(Entry::new(address, access.flags() | huge));
                // More is allowed than before: a CPU that does not know it yet comes here.
                return Ok(WriteTouch::Writable);
            }
            let Some(mut copy) = copy else { return Ok(WriteTouch::NeedsCopy) };
            if size != PageSize::Small {
                self.split_locked(&mut tables, page)?;
            }
            let Some((slot, PageSize::Small)) = tables.leaf_slot(page) else {
                return Ok(WriteTouch::Missing);
            };
            copy_page(slot.load().address(), &mut copy);
            slot.swap(Entry::new(copy.into_address(), access.flags()))
        };
        let flags = old.flags();
        if flags.contains(EntryFlags::BORROWED) {
            self.mapped.fetch_add(1, Ordering::Relaxed);
        }
        shootdown::user_range(self.root, &self.loaded_on, page, 1);
        // SAFETY: the entry was replaced, by us alone, and every CPU has forgotten it.
        unsafe { release(Mapping { address: old.address(), size: PageSize::Small, flags }) };
        Ok(WriteTouch::Writable)
    }

    /// Breaks up the large page that holds `page`; no CPU knows it any more on return.
    pub(super) fn split_locked(
        &self,
        tables: &mut PageTable,
        page: VirtAddr,
    ) -> Result<(), OutOfMemory> {
        if tables.split(page, &mut self.source()).map_err(|_| OutOfMemory)? {
            shootdown::user_range(self.root, &self.loaded_on, page, 1);
        }
        Ok(())
    }

    /// Writes `bytes` at `address`, all in one page, of a program that does not run yet,
    /// whatever it may do there. False if the page is not there.
    #[must_use]
    pub fn write_initial(&self, address: VirtAddr, bytes: &[u8]) -> bool {
        let within = address.as_u64() % PAGE_SIZE;
        assert!(within + bytes.len() as u64 <= PAGE_SIZE, "a write across pages");
        let tables = self.tables.lock();
        let Some((slot, PageSize::Small)) = tables.leaf_slot(address) else { return false };
        let entry = slot.load();
        if entry.flags().contains(EntryFlags::BORROWED) {
            return false;
        }
        let to = entry.address().offset(within).to_physmap();
        // SAFETY: the entry keeps the frame, under the lock; the physical map shows it, and
        // the bytes end in it. No program has it yet.
        unsafe { to.as_mut_ptr::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        true
    }

    /// What may be done with `page`, `None` if it has no frame.
    pub fn access(&self, page: VirtAddr) -> Option<Access> {
        if !is_user_page(page) {
            return None;
        }
        Some(Access::of(self.tables.lock().lookup(page)?.flags))
    }

    /// The frame behind `page`, if there is one.
    pub fn frame_of(&self, page: VirtAddr) -> Option<PhysAddr> {
        let mapping = self.tables.lock().lookup(page)?;
        Some(mapping.address.offset(page.as_u64() % mapping.size.bytes()).align_down(PAGE_SIZE))
    }

    /// Number of 4 KiB pages that have a frame of their own or share one.
    pub fn mapped_pages(&self) -> usize {
        self.mapped.load(Ordering::Relaxed)
    }

    /// Number of frames that the tables take.
    pub fn table_frames(&self) -> usize {
        self.table_frames.load(Ordering::Relaxed)
    }

    /// Makes this CPU use these tables. The caller must be a thread that runs on them
    /// whenever it runs, or the switch to one. They may stay loaded when the CPU goes on
    /// to a kernel task; dropping them makes all CPUs leave them.
    pub fn enter(&self) {
        // SAFETY: the kernel half is the kernel's own, so code, stack and all RAM stay
        // mapped. `drop` makes sure that freed tables are loaded nowhere.
        unsafe { self.loaded_on.load(self.root) };
    }
}

impl Drop for UserTable {
    fn drop(&mut self) {
        shootdown::forget(self.root, &self.loaded_on);
        let free = &mut |mapping: Mapping| {
            // SAFETY: an entry of these tables, which no CPU has loaded any more.
            unsafe { release(mapping) };
        };
        // SAFETY: the tables that `new` made, whose owner ends here; no CPU has them
        // loaded any more, so none walks them or knows their pages.
        unsafe { PageTable::from_root(self.root).free_user_half(&mut self.source(), free) };
    }
}
