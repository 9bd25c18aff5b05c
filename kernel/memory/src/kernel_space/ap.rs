//! What another CPU needs to start: a page that real mode reaches and tables that show it.

use arch::boot::ap;
use arch::paging::{EntryFlags, Mapping, PAGE_SIZE, PageSize, PageTable, PhysAddr, VirtAddr};

use super::{TABLES, TableFrames};
use crate::OutOfMemory;
use crate::frames::{FrameRun, FrameUse, RegionKind, regions};

/// The page and the tables for starting CPUs, one after the other.
#[derive(Debug)]
pub struct StartPage {
    page: PhysAddr,
    root: PhysAddr,
    is_filled: bool,
}

impl StartPage {
    /// Finds a page of RAM below 640 KiB, where the frame allocator hands out nothing, and
    /// makes tables that show it at its own address beside the kernel half. One at a time.
    ///
    /// # Errors
    /// [`OutOfMemory`], also when there is no such page.
    pub fn prepare() -> Result<Self, OutOfMemory> {
        let mut page = None;
        regions(|region| {
            if region.kind == RegionKind::Usable {
                // The highest: firmware data is at the low end.
                let end = region.end.min(ap::PAGE_RANGE.end) & !(PAGE_SIZE - 1);
                let start = region.start.max(ap::PAGE_RANGE.start);
                if end >= start + PAGE_SIZE {
                    page = page.max(Some(end - PAGE_SIZE));
                }
            }
        });
        let page = PhysAddr::new(page.ok_or(OutOfMemory)?);
        let root = FrameRun::allocate_below(1, 1, 1 << 32, FrameUse::KernelTable)?.leak();
        // SAFETY: the frame is ours alone; the physical map shows it.
        unsafe { root.to_physmap().as_mut_ptr::<[u8; PAGE_SIZE as usize]>().write_bytes(0, 1) };
        // SAFETY: an empty table now, ours alone.
        let mut tables = unsafe { PageTable::from_root(root) };
        if let Some(kernel) = TABLES.lock().as_ref() {
            tables.share_kernel_half(kernel);
        }
        let at = VirtAddr::new(page.as_u64());
        let source = &mut TableFrames(FrameUse::KernelTable);
        let this = Self { page, root, is_filled: false };
        tables.map(at, page, PageSize::Small, EntryFlags::WRITABLE, source)?;
        Ok(this)
    }

    /// Fills the page for the next CPU and returns the STARTUP message's vector. The CPU
    /// calls `entry(argument)` on the stack that ends at `stack_top`.
    ///
    /// # Safety
    /// The CPU before must have left the page, or [`StartPage::withdraw`] must have said that
    /// it has not come. The stack must be the new CPU's alone.
    pub unsafe fn fill(&mut self, stack_top: u64, entry: fn(u64) -> !, argument: u64) -> u8 {
        let start =
            ap::Start { first_tables: self.root, tables: super::root(), stack_top, argument };
        // SAFETY: a free page in the range, by `prepare`; the tables are as described; the
        // rest is the caller's argument.
        unsafe { ap::write_trampoline(self.page, &start, entry) };
        self.is_filled = true;
        (self.page.as_u64() / PAGE_SIZE) as u8
    }

    /// Takes back what [`StartPage::fill`] offered, so that a CPU that comes late stops at
    /// once. False if one has come: it then still needs the page and all that it was given.
    pub fn withdraw(&self) -> bool {
        // SAFETY: `prepare` found the page, which is this value's.
        self.is_filled && unsafe { ap::withdraw_trampoline(self.page) }
    }
}

impl Drop for StartPage {
    fn drop(&mut self) {
        // The page is nobody's: it stays.
        let leave = &mut |_: Mapping| ();
        // SAFETY: the tables that `prepare` made, whose owner ends here; all CPUs that
        // started have left them.
        unsafe {
            PageTable::from_root(self.root)
                .free_user_half(&mut TableFrames(FrameUse::KernelTable), leave);
        }
    }
}
