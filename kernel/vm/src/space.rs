//! [`AddressSpace`]: the memory of one user program, and what happens when it touches a
//! page.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use arch::paging::VirtAddr;
use memory::OutOfMemory;
use memory::frames::{Frame, FrameUse};
use memory::user::{Access, UserTable};
use task::{Mutex, named_mutex};

use crate::PAGE;
use crate::map::VmaMap;
use crate::object::ObjectError;
use crate::vma::{Backing, Vma};

/// A touch of user memory that the page tables did not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address.
    pub address: u64,
    /// A write.
    pub write: bool,
    /// An instruction fetch.
    pub fetch: bool,
}

/// Why a touch is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No VMA holds the address: SIGSEGV, `SEGV_MAPERR`.
    NotMapped,
    /// The VMA does not allow it: SIGSEGV, `SEGV_ACCERR`.
    NotAllowed,
    /// The page lies wholly behind the end of the mapped object, or the object cannot be
    /// read: SIGBUS.
    NoBytes,
    /// No memory for the page.
    OutOfMemory,
}

/// What the mutex protects.
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
    pub(crate) table: UserTable,
    pub(crate) state: Mutex<State>,
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

/// Whether `access` allows the fault.
fn allows(access: Access, fault: &Fault) -> bool {
    if fault.fetch {
        access.execute
    } else if fault.write {
        access.write
    } else {
        // The CPU cannot forbid reading what may be written or executed.
        access != Access::NONE
    }
}

impl AddressSpace {
    /// An address space in which nothing is mapped.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Arc<Self>, OutOfMemory> {
        let state = State { map: VmaMap::new(), break_start: 0, break_now: 0 };
        let table = UserTable::new()?;
        COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { table, state: named_mutex("address space", state) }))
    }

    /// Makes this CPU use the address space; see [`UserTable::enter`].
    pub fn enter(&self) {
        self.table.enter();
    }

    /// Pages that have a frame.
    pub fn resident_pages(&self) -> usize {
        self.table.mapped_pages()
    }

    /// Calls `look` with each VMA, by rising address. `look` must not touch user memory:
    /// the map is locked.
    pub fn for_each_vma(&self, look: impl FnMut(&Vma)) {
        self.state.lock().map.iter().for_each(look);
    }

    /// Brings the page of a touch that is allowed. Returns when the touch can be repeated.
    ///
    /// # Errors
    /// As [`FaultKind`] says.
    pub fn fault(&self, fault: Fault) -> Result<(), FaultKind> {
        let state = self.state.lock();
        let vma = state.map.find(fault.address).ok_or(FaultKind::NotMapped)?;
        if !allows(vma.access, &fault) {
            return Err(FaultKind::NotAllowed);
        }
        self.bring(vma, fault.address & !(PAGE - 1))
    }

    /// Maps the page at `page`, which `vma` holds, if it has no frame yet.
    fn bring(&self, vma: &Vma, page: u64) -> Result<(), FaultKind> {
        let at = VirtAddr::new(page);
        if self.table.access(at).is_some() {
            return Ok(()); // another thread was faster
        }
        let mut frame = Frame::zeroed(FrameUse::Anonymous).map_err(|_| FaultKind::OutOfMemory)?;
        if let Backing::Object { object, offset, end } = &vma.backing {
            let from = offset + (page - vma.start);
            let end = (*end).min(object.len());
            if from >= end {
                return Err(FaultKind::NoBytes);
            }
            let len = (end - from).min(PAGE) as usize;
            let (bytes, _) = frame.bytes_mut().split_at_mut(len);
            object.read_at(from, bytes).map_err(|error| match error {
                ObjectError::Io => FaultKind::NoBytes,
                ObjectError::OutOfMemory => FaultKind::OutOfMemory,
            })?;
        }
        self.table.map(at, frame, vma.access).map_err(|_| FaultKind::OutOfMemory)
    }

    /// Writes `bytes` at `address` of a program that does not run yet, whatever the VMAs
    /// there allow it.
    ///
    /// # Errors
    /// As [`FaultKind`] says; what comes before the bad page has been written.
    pub fn write_initial(&self, address: u64, bytes: &[u8]) -> Result<(), FaultKind> {
        let state = self.state.lock();
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let page = at & !(PAGE - 1);
            let (part, after) = rest.split_at(rest.len().min((page + PAGE - at) as usize));
            let vma = state.map.find(at).ok_or(FaultKind::NotMapped)?;
            self.bring(vma, page)?;
            // Taken out, filled and put back: nobody else knows the page yet.
            let mut frame = self.table.unmap(VirtAddr::new(page)).ok_or(FaultKind::NotMapped)?;
            let start = (at - page) as usize;
            if let Some(to) = frame.bytes_mut().get_mut(start..start + part.len()) {
                to.copy_from_slice(part);
            }
            let put_back = self.table.map(VirtAddr::new(page), frame, vma.access);
            put_back.map_err(|_| FaultKind::OutOfMemory)?;
            at += part.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Unmaps everything: what a program that ends does first, while it can still be
    /// preempted.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        self.table.clear();
        state.map.clear();
    }
}
