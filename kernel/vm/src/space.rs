//! [`AddressSpace`]: the memory of one user program. What happens when it touches a page is in
//! [`super::fault`], what changes the map in [`super::change`].

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use arch::paging::VirtAddr;
use memory::OutOfMemory;
use memory::user::UserTable;
use task::{RwLock, named_rwlock};

use crate::PAGE;
use crate::fault::{Fault, FaultKind, Streams};
use crate::layout::Layout;
use crate::map::VmaMap;
use crate::reverse;
use crate::vma::Vma;

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) map: VmaMap,
    /// Where the program break began, and where it is.
    pub(crate) break_start: u64,
    pub(crate) break_now: u64,
}

/// The address space of a user program.
#[derive(Debug)]
pub struct AddressSpace {
    /// Shared with the links of page caches alone, and only while one of those works with it.
    pub(crate) table: Arc<UserTable>,
    /// Its place among all address spaces.
    pub(crate) number: u64,
    /// Read by faults, written by what changes the map.
    pub(crate) state: RwLock<State>,
    pub(crate) layout: Layout,
    pub(crate) streams: Streams,
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many address spaces there are.
pub fn address_spaces() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// A range of numbers as one of addresses.
pub(crate) fn addresses(range: &Range<u64>) -> Range<VirtAddr> {
    VirtAddr::new(range.start)..VirtAddr::new(range.end)
}

impl AddressSpace {
    /// An address space in which nothing is mapped.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(layout: Layout) -> Result<Arc<Self>, OutOfMemory> {
        let state = State { map: VmaMap::new(), break_start: 0, break_now: 0 };
        Self::with_state(layout, state, Arc::new(UserTable::new()?))
    }

    pub(crate) fn with_state(
        layout: Layout,
        state: State,
        table: Arc<UserTable>,
    ) -> Result<Arc<Self>, OutOfMemory> {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let state = named_rwlock("address space", state);
        let number = reverse::next_number();
        let this = Arc::new(Self { table, number, state, layout, streams: Streams::new() });
        reverse::know(&this)?;
        Ok(this)
    }

    /// Where things are put.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Makes this CPU use the address space; see [`UserTable::enter`].
    pub fn enter(&self) {
        self.table.enter();
    }

    /// Pages of 4 KiB that have a frame, also one that others share.
    pub fn resident_pages(&self) -> usize {
        self.table.mapped_pages()
    }

    /// Frames that the page tables take.
    pub fn table_frames(&self) -> usize {
        self.table.table_frames()
    }

    /// Pages of kernel memory that the map of VMAs takes; 0 while somebody changes it. Waits
    /// for nobody.
    pub fn map_pages(&self) -> usize {
        let bytes = |state: &State| state.map.len() * size_of::<Vma>();
        self.state.try_read().map_or(0, |state| bytes(&state)) / PAGE as usize
    }

    /// Calls `look` with each VMA, by rising address. `look` must not touch user memory:
    /// the map is locked.
    pub fn for_each_vma(&self, look: impl FnMut(&Vma)) {
        self.state.read().map.iter().for_each(look);
    }

    /// Writes `bytes` at `address` of a program that does not run yet, whatever the VMAs
    /// there allow it.
    ///
    /// # Errors
    /// As [`FaultKind`] says; what comes before the bad page has been written.
    pub fn write_initial(&self, address: u64, bytes: &[u8]) -> Result<(), FaultKind> {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = (PAGE - at % PAGE) as usize;
            let (part, after) = rest.split_at(rest.len().min(room));
            if !self.table.write_initial(VirtAddr::new(at), part) {
                self.fault(Fault::touch(at, true, false))?;
                if !self.table.write_initial(VirtAddr::new(at), part) {
                    return Err(FaultKind::NotAllowed);
                }
            }
            at += part.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Unmaps everything: what a program that ends does first, while it can still be
    /// preempted.
    pub fn clear(&self) {
        let mut state = self.state.write();
        self.table.clear();
        state.map.clear();
    }
}
