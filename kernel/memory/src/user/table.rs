//! [`UserTable`]: the page tables of a user address space. Mapped frames belong to the
//! table; dropping it frees them.

use arch::cpu::control;
use arch::paging::{EntryFlags, MapError, PageSize, PageTable, VirtAddr};

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

/// The page tables of one user address space.
#[derive(Debug)]
pub struct UserTable {
    // Only `None` inside `drop`.
    tables: Option<PageTable>,
    mapped: usize,
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
        Ok(Self { tables: Some(tables), mapped: 0 })
    }

    fn tables(&mut self) -> Result<&mut PageTable, OutOfMemory> {
        self.tables.as_mut().ok_or(OutOfMemory)
    }

    /// Maps `frame` at `page`.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; the frame is freed.
    ///
    /// # Panics
    /// If something is mapped there, or the address is not a user page: the caller's
    /// map of VMAs would be wrong.
    pub fn map(&mut self, page: VirtAddr, frame: Frame, access: Access) -> Result<(), OutOfMemory> {
        assert!(is_user_page(page), "mapping {page} as a user page");
        let (address, source) = (frame.address(), &mut TableFrames(Purpose::User));
        match self.tables()?.map(page, address, PageSize::Small, access.flags(), source) {
            Ok(()) => {
                let _ = frame.into_address(); // the table owns it now
                self.mapped += 1;
                Ok(())
            }
            Err(MapError::OutOfFrames) => Err(OutOfMemory),
            Err(error) => panic!("mapping user page {page}: {error:?}"),
        }
    }

    /// Takes the mapping of `page` away and returns its frame, `None` if there was none.
    pub fn unmap(&mut self, page: VirtAddr) -> Option<Frame> {
        if !is_user_page(page) {
            return None;
        }
        let (mapping, flush) = self.tables.as_mut()?.unmap(page).ok()?;
        flush.flush();
        self.mapped -= 1;
        // SAFETY: `map` gave the table the owner of this frame; the mapping is gone from
        // the table and from the TLB.
        Some(unsafe { Frame::from_address(mapping.address) })
    }

    /// Changes what may be done with `page`; false if nothing is mapped there.
    pub fn protect(&mut self, page: VirtAddr, access: Access) -> bool {
        if !is_user_page(page) {
            return false;
        }
        match self.tables.as_mut().map(|tables| tables.protect(page, access.flags())) {
            Some(Ok(flush)) => {
                flush.flush();
                true
            }
            _ => false,
        }
    }

    /// What may be done with `page`, `None` if nothing is mapped there.
    pub fn access(&self, page: VirtAddr) -> Option<Access> {
        let mapping = self.tables.as_ref()?.lookup(page)?;
        mapping.flags.contains(EntryFlags::USER).then(|| Access {
            write: mapping.flags.contains(EntryFlags::WRITABLE),
            execute: !mapping.flags.contains(EntryFlags::NO_EXECUTE),
        })
    }

    /// Number of mapped pages.
    pub fn mapped_pages(&self) -> usize {
        self.mapped
    }

    /// Makes this CPU use these tables. They must be left ([`leave`]) before they are
    /// dropped; dropping them while in use switches this CPU to the kernel's.
    pub fn enter(&self) {
        if let Some(tables) = &self.tables
            && control::page_table_root() != tables.root()
        {
            // SAFETY: the kernel half is the kernel's own, so code, stack and all RAM
            // stay mapped. `drop` makes sure that freed tables are not in use here.
            unsafe { control::load_page_table(tables.root()) };
        }
    }
}

/// Makes this CPU use the kernel's own tables, without a user half.
pub fn leave() {
    if let Some(tables) = TABLES.lock().as_ref() {
        // SAFETY: the kernel's tables live for ever and map all that the kernel uses.
        unsafe { control::load_page_table(tables.root()) };
    }
}

impl Drop for UserTable {
    fn drop(&mut self) {
        let Some(tables) = self.tables.take() else { return };
        let _stay = base::preempt::disable();
        if control::page_table_root() == tables.root() {
            leave();
        }
        let free = &mut |mapping: arch::paging::Mapping| {
            // SAFETY: every mapped frame was given to the table by its owner.
            drop(unsafe { Frame::from_address(mapping.address) });
        };
        // SAFETY: this CPU has just left the tables; only the CPU that runs the owner
        // has them loaded (one CPU runs user programs).
        unsafe { tables.free_user_half(&mut TableFrames(Purpose::User), free) };
    }
}
