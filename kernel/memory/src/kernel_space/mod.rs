//! The kernel's own address space: one set of page tables, whose top-level entries every
//! user address space shares.
//!
//! [`init`] builds it, and `check` looks whether all of it is as it should be; [`device`] maps
//! device memory, in which [`Registers`] are; [`stack`] makes kernel stacks; [`vmalloc`] allocates pages in a row; [`ap`]
//! has what another CPU starts with.

pub mod ap;
#[cfg(not(test))]
mod check;
pub mod device;
mod init;
mod registers;
pub mod stack;
pub(crate) mod vmalloc;

pub use device::{DeviceMapError, IoMem};
pub use init::init;
pub use registers::{RegisterArray, Registers};
pub use stack::KernelStack;

use core::sync::atomic::{AtomicU64, Ordering};

use arch::cpu::control;
use arch::paging::{FrameSource, MapError, PageTable, PhysAddr};
use base::sync::IrqSpinLock;

use crate::OutOfMemory;
use crate::frames::{Frame, FrameUse};

/// The kernel's tables, once built.
pub(crate) static TABLES: IrqSpinLock<Option<PageTable>> =
    IrqSpinLock::new("kernel page tables", None);

/// The frame of the kernel's top-level table; 0 until it is built.
static ROOT: AtomicU64 = AtomicU64::new(0);

/// The root of the kernel's own tables, which live for ever.
pub(crate) fn root() -> PhysAddr {
    PhysAddr::new(ROOT.load(Ordering::Relaxed))
}

/// Makes this CPU use the kernel's own tables, without a user half. Takes no lock.
pub(crate) fn leave_user_half() {
    // SAFETY: a CPU that has a user half loaded runs on the tables that `init` built; they
    // live for ever and map all that the kernel uses.
    unsafe { control::load_page_table(root()) };
}

/// Page tables made of frames that are for what it says.
pub(crate) struct TableFrames(pub(crate) FrameUse);

impl FrameSource for TableFrames {
    fn allocate_table(&mut self) -> Option<PhysAddr> {
        Frame::zeroed(self.0).ok().map(Frame::into_address)
    }

    fn free_table(&mut self, frame: PhysAddr) {
        // SAFETY: tables come from `allocate_table`, and the mapper frees each once.
        drop(unsafe { Frame::from_address(frame) });
    }
}

impl From<MapError> for OutOfMemory {
    /// For callers that have made sure of everything else: their only way to fail is
    /// memory.
    fn from(error: MapError) -> Self {
        assert!(error == MapError::OutOfFrames, "kernel mapping failed: {error:?}");
        Self
    }
}

/// Whether the kernel's own tables map the page of `address`.
pub(crate) fn is_mapped(address: arch::paging::VirtAddr) -> bool {
    TABLES.lock().as_ref().is_some_and(|tables| tables.lookup(address).is_some())
}

/// Calls `visit` with the page-table entries on the way to `address`, as the CPU walks
/// them now: level (4 to 1), index, entry.
pub fn walk(address: arch::paging::VirtAddr, visit: impl FnMut(u8, usize, arch::paging::Entry)) {
    let _stay = base::preempt::disable();
    // SAFETY: the tree that this CPU runs on; nothing is changed through it. Preemption
    // is off, so it stays loaded and alive.
    let tables = unsafe { PageTable::from_root(arch::cpu::control::page_table_root()) };
    tables.walk(address, visit);
}
