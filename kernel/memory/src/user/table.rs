//! [`UserTable`]: the page tables of a user address space. Mapped frames belong to the
//! table; dropping it frees them.

use core::sync::atomic::{AtomicUsize, Ordering};

use arch::cpu::control;
use arch::paging::{EntryFlags, MapError, Mapping, PageSize, PageTable, PhysAddr, VirtAddr};
use base::sync::SpinLock;

use crate::OutOfMemory;
use crate::frames::{Frame, Purpose};
use crate::kernel_space::{TABLES, TableFrames};

/// What a program may do with a mapped page, beside reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Write.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

impl Access {
    fn flags(self) -> EntryFlags {
        let mut flags = EntryFlags::USER;
        flags.set(EntryFlags::WRITABLE, self.write);
        flags.set(EntryFlags::NO_EXECUTE, !self.execute);
        flags
    }
}

/// The page tables of one user address space. The methods take a lock of the table's
/// own, so several threads of a program may fault at once.
#[derive(Debug)]
pub struct UserTable {
    root: PhysAddr,
    tables: SpinLock<PageTable>,
    mapped: AtomicUsize,
}

fn is_user_page(page: VirtAddr) -> bool {
    page.is_user() && page.as_u64() >= arch::paging::USER_START
}

impl UserTable {
    /// Tables that map no user page.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Self, OutOfMemory> {
        let root = Frame::zeroed(Purpose::User)?.into_address();
        // SAFETY: a fresh table, ours alone.
        let mut tables = unsafe { PageTable::from_root(root) };
        if let Some(kernel) = TABLES.lock().as_ref() {
            tables.share_kernel_half(kernel);
        }
        let tables = SpinLock::new("user page table", tables);
        Ok(Self { root, tables, mapped: AtomicUsize::new(0) })
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
        let (address, source) = (frame.address(), &mut TableFrames(Purpose::User));
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
        if !is_user_page(page) {
            return None;
        }
        let (mapping, flush) = self.tables.lock().unmap(page).ok()?;
        flush.flush();
        self.mapped.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: `map` gave the table the owner of this frame; the mapping is gone from
        // the table and from the TLB.
        Some(unsafe { Frame::from_address(mapping.address) })
    }

    /// Changes what may be done with `page`; false if nothing is mapped there.
    pub fn protect(&self, page: VirtAddr, access: Access) -> bool {
        if !is_user_page(page) {
            return false;
        }
        match self.tables.lock().protect(page, access.flags()) {
            Ok(flush) => {
                flush.flush();
                true
            }
            Err(_) => false,
        }
    }

    /// What may be done with `page`, `None` if nothing is mapped there.
    pub fn access(&self, page: VirtAddr) -> Option<Access> {
        if !is_user_page(page) {
            return None;
        }
        let mapping = self.tables.lock().lookup(page)?;
        Some(Access {
            write: mapping.flags.contains(EntryFlags::WRITABLE),
            execute: !mapping.flags.contains(EntryFlags::NO_EXECUTE),
        })
    }

    /// Number of mapped pages.
    pub fn mapped_pages(&self) -> usize {
        self.mapped.load(Ordering::Relaxed)
    }

    /// Makes this CPU use these tables. Preemption must be off, or the caller must be a
    /// thread that runs on these tables whenever it runs. Dropping them while in use
    /// switches this CPU to the kernel's.
    pub fn enter(&self) {
        if control::page_table_root() != self.root {
            // SAFETY: the kernel half is the kernel's own, so code, stack and all RAM
            // stay mapped. `drop` makes sure that freed tables are not in use here.
            unsafe { control::load_page_table(self.root) };
        }
    }
}

/// Makes this CPU use the kernel's own tables, without a user half.
fn leave() {
    if let Some(tables) = TABLES.lock().as_ref() {
        // SAFETY: the kernel's tables live for ever and map all that the kernel uses.
        unsafe { control::load_page_table(tables.root()) };
    }
}

impl Drop for UserTable {
    fn drop(&mut self) {
        let _stay = base::preempt::disable();
        if control::page_table_root() == self.root {
            leave();
        }
        let free = &mut |mapping: Mapping| {
            // SAFETY: every mapped frame was given to the table by its owner.
            drop(unsafe { Frame::from_address(mapping.address) });
        };
        // SAFETY: the tables that `new` made, whose owner ends here; this CPU has just
        // left them, and user programs run on one CPU only.
        unsafe {
            PageTable::from_root(self.root)
                .free_user_half(&mut TableFrames(Purpose::User), free);
        }
    }
}
