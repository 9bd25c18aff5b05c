//! [`UserTable`]: the page tables of a user address space. Mapped frames belong to the
//! table; dropping it frees them.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use arch::paging::{
    EntryFlags, MapError, Mapping, PAGE_SIZE, PageSize, PageTable, PhysAddr, VirtAddr,
};
use arrayvec::ArrayVec;
use base::sync::SpinLock;

use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse};
use crate::kernel_space::{TABLES, TableFrames};
use crate::shootdown::{self, LoadedOn};

/// What a program may do with its memory (`PROT_*` of mmap(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Read. The CPU lets whoever may write or execute read as well.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

impl Access {
    /// Nothing at all (`PROT_NONE`).
    pub const NONE: Self = Self { read: false, write: false, execute: false };

    fn flags(self) -> EntryFlags {
        let mut flags = EntryFlags::USER;
        flags.set(EntryFlags::WRITABLE, self.write);
        flags.set(EntryFlags::NO_EXECUTE, !self.execute);
        flags.set(EntryFlags::PROT_NONE, self == Self::NONE);
        flags
    }

    fn of(flags: EntryFlags) -> Self {
        let read = flags.contains(EntryFlags::PRESENT);
        Self {
            read,
            write: read && flags.contains(EntryFlags::WRITABLE),
            execute: read && !flags.contains(EntryFlags::NO_EXECUTE),
        }
    }
}

/// As `ls -l` and `/proc/PID/maps` write it: `r-x`.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |may, letter| if may { letter } else { "-" };
        f.write_str(letter(self.read, "r"))?;
        f.write_str(letter(self.write, "w"))?;
        f.write_str(letter(self.execute, "x"))
    }
}

/// The page tables of one user address space. The methods take a lock of the table's
/// own, so several threads of a program may fault at once.
#[derive(Debug)]
pub struct UserTable {
    root: PhysAddr,
    loaded_on: LoadedOn,
    tables: SpinLock<PageTable>,
    mapped: AtomicUsize,
}

/// Pages that are unmapped for one shootdown.
const BATCH: usize = 32;
/// Bytes of address space that are searched for pages in one go, with preemption off: at
/// most 64 tables.
const SEARCH_BYTES: u64 = 128 << 20;

fn is_user_page(page: VirtAddr) -> bool {
    page.is_user() && page.as_u64() >= arch::paging::USER_START
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
        let tables = SpinLock::new("user page table", tables);
        Ok(Self { root, loaded_on: LoadedOn::new(), tables, mapped: AtomicUsize::new(0) })
    }

    /// Maps `frame` at `page`. Another thread may have been faster: then the frame is
    /// freed and its mapping stays.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; the frame is freed.
    ///
    /// # Panics
    /// If the address is not a user page: the caller's map of VMAs would be wrong.
    pub fn map(&self, page: VirtAddr, frame: Frame, access: Access) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let (address, source) = (frame.address(), &mut TableFrames(FrameUse::UserTable));
        let mut tables = self.tables.lock();
        match tables.map(page, address, PageSize::Small, access.flags(), source) {
            Ok(()) => {
                let _ = frame.into_address(); // the table owns it now
                self.mapped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(MapError::AlreadyMapped) => Ok(()),
            Err(MapError::OutOfFrames) => Err(OutOfMemory),
            Err(error) => panic!("mapping user page {page}: {error:?}"),
        }
    }

    /// Takes the mapping of `page` away and returns its frame, `None` if there was none.
    pub fn unmap(&self, page: VirtAddr) -> Option<Frame> {
        let frame = self.take_mapping(page)?;
        shootdown::user_range(self.root, &self.loaded_on, page, 1);
        Some(frame)
    }

    /// As [`UserTable::unmap`], but TLBs may still know the page: no frame may be used or
    /// freed before a shootdown.
    fn take_mapping(&self, page: VirtAddr) -> Option<Frame> {
        if !is_user_page(page) {
            return None;
        }
        let (mapping, flush) = self.tables.lock().unmap(page).ok()?;
        flush.ignore(); // see above
        self.mapped.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: `map` gave the table the owner of this frame; the mapping is gone.
        Some(unsafe { Frame::from_address(mapping.address) })
    }

    /// The first page in `[start, end)` that has a frame. The lock is free now and then:
    /// there may be many tables without a page.
    fn next_mapped(&self, start: VirtAddr, end: VirtAddr) -> Option<VirtAddr> {
        let mut at = start;
        while at < end {
            let part_end = VirtAddr::new(at.as_u64().saturating_add(SEARCH_BYTES)).min(end);
            let found = self.tables.lock().next_mapped(at, part_end);
            if found.is_some() {
                return found;
            }
            at = part_end;
        }
        None
    }

    /// Calls `each` with every page in `[start, end)` that has a frame. The lock is free
    /// meanwhile, so that a large range does not keep preemption off.
    fn for_each_mapped(&self, start: VirtAddr, end: VirtAddr, mut each: impl FnMut(VirtAddr)) {
        let mut at = start;
        while let Some(page) = self.next_mapped(at, end) {
            each(page);
            at = page.offset(PAGE_SIZE);
        }
    }

    /// Takes all mappings in `[start, end)` away and frees their frames.
    pub fn unmap_range(&self, start: VirtAddr, end: VirtAddr) {
        let mut frames: ArrayVec<Frame, BATCH> = ArrayVec::new();
        let mut at = start;
        loop {
            let first = self.next_mapped(at, end);
            let mut last = None;
            at = first.unwrap_or(end);
            while !frames.is_full()
                && let Some(page) = self.next_mapped(at, end)
            {
                frames.extend(self.take_mapping(page));
                last = Some(page);
                at = page.offset(PAGE_SIZE);
            }
            let (Some(first), Some(last)) = (first, last) else { return };
            self.shoot_down(first, last);
            frames.clear();
        }
    }

    fn shoot_down(&self, first: VirtAddr, last: VirtAddr) {
        let pages = (last.as_u64() - first.as_u64()) / PAGE_SIZE + 1;
        shootdown::user_range(self.root, &self.loaded_on, first, pages);
    }

    /// Takes all mappings away and frees their frames and the tables. Takes long where there
    /// are many, but can be preempted.
    pub fn clear(&self) {
        let detached = self.tables.lock().detach_user_half();
        // More pages than any CPU forgets one by one: it forgets everything, also the tables
        // that it had walked.
        shootdown::user_range(self.root, &self.loaded_on, VirtAddr::new(0), u64::MAX);
        let mut pages = 0;
        let free = &mut |mapping: Mapping| {
            pages += 1;
            // SAFETY: every mapped frame was given to the table by its owner, and the
            // mapping is gone from the table and from all TLBs.
            drop(unsafe { Frame::from_address(mapping.address) });
        };
        // SAFETY: detached under the lock, so nobody reaches them by the root, and every CPU
        // that had them loaded has forgotten them.
        unsafe { detached.free(&mut TableFrames(FrameUse::UserTable), free) };
        self.mapped.fetch_sub(pages, Ordering::Relaxed);
    }

    /// Changes what may be done with the mapped pages in `[start, end)`; they keep their
    /// frames, also when that is nothing.
    pub fn protect_range(&self, start: VirtAddr, end: VirtAddr, access: Access) {
        let mut changed: Option<(VirtAddr, VirtAddr)> = None;
        self.for_each_mapped(start, end, |page| {
            if !is_user_page(page) {
                return;
            }
            // Gone meanwhile: nothing to protect.
            if let Ok(flush) = self.tables.lock().protect(page, access.flags()) {
                flush.ignore(); // all at once, below
                changed = Some((changed.map_or(page, |(first, _)| first), page));
            }
        });
        if let Some((first, last)) = changed {
            self.shoot_down(first, last);
        }
    }

    /// Moves the mapped pages in `[from, from_end)` to `to` and on, where none may be
    /// mapped.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; then nothing has moved.
    pub fn move_range(
        &self,
        from: VirtAddr,
        from_end: VirtAddr,
        to: VirtAddr,
    ) -> Result<(), OutOfMemory> {
        let target = |page: VirtAddr| VirtAddr::new(page.as_u64() - from.as_u64() + to.as_u64());
        // First all tables, so that nothing can fail half-way.
        let mut at = from;
        while let Some(page) = self.next_mapped(at, from_end) {
            self.tables.lock().prepare(target(page), &mut TableFrames(FrameUse::UserTable))?;
            at = page.offset(PAGE_SIZE);
        }
        let mut result = Ok(());
        self.for_each_mapped(from, from_end, |page| {
            let access = self.access(page).unwrap_or_default();
            if let Some(frame) = self.unmap(page)
                && let Err(error) = self.map(target(page), frame, access)
            {
                result = Err(error);
            }
        });
        result
    }

    /// What may be done with `page`, `None` if it has no frame.
    pub fn access(&self, page: VirtAddr) -> Option<Access> {
        if !is_user_page(page) {
            return None;
        }
        Some(Access::of(self.tables.lock().lookup(page)?.flags))
    }

    /// Number of mapped pages.
    pub fn mapped_pages(&self) -> usize {
        self.mapped.load(Ordering::Relaxed)
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
            // SAFETY: every mapped frame was given to the table by its owner.
            drop(unsafe { Frame::from_address(mapping.address) });
        };
        // SAFETY: the tables that `new` made, whose owner ends here; no CPU has them
        // loaded any more, so none walks them or knows their pages.
        unsafe {
            PageTable::from_root(self.root)
                .free_user_half(&mut TableFrames(FrameUse::UserTable), free);
        }
    }
}

#[base::kernel_test]
fn clearing_frees_pages_and_tables() {
    let table = UserTable::new().expect("memory at boot");
    let free = || crate::frames::statistics().free;
    let before = free();
    let access = Access { read: true, write: true, execute: false };
    for index in 0..40u64 {
        // Each in a table of its own, some in a directory of their own.
        let page = VirtAddr::new(arch::paging::USER_START + (index << 21) + ((index % 3) << 39));
        let frame = Frame::zeroed(FrameUse::Anonymous).expect("memory at boot");
        table.map(page, frame, access).expect("memory at boot");
    }
    assert!(table.mapped_pages() == 40 && free() <= before - 80);
    table.clear();
    assert_eq!((table.mapped_pages(), free()), (0, before));
    let end = VirtAddr::new(arch::paging::USER_END);
    assert_eq!(table.next_mapped(VirtAddr::new(0), end), None);
    // It can be used again.
    let page = VirtAddr::new(arch::paging::USER_START);
    let frame = Frame::zeroed(FrameUse::Anonymous).expect("memory at boot");
    table.map(page, frame, access).expect("memory at boot");
    assert_eq!(table.access(page), Some(access));
    drop(table);
    // The top table, too.
    assert_eq!(free(), before + 1);
}
