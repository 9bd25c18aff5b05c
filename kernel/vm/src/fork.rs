//! A copy of an address space, for fork(2): every page is copied.

use alloc::sync::Arc;

use arch::paging::VirtAddr;
use memory::OutOfMemory;
use memory::frames::{Frame, FrameUse};

use crate::PAGE;
use crate::space::AddressSpace;

impl AddressSpace {
    /// A copy of the current program's address space.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn fork(&self) -> Result<Arc<Self>, OutOfMemory> {
        let copy = Self::new()?;
        let state = self.state.lock();
        let mut new = copy.state.try_lock().ok_or(OutOfMemory)?; // nobody else knows it
        (new.break_start, new.break_now) = (state.break_start, state.break_now);
        for vma in state.map.iter() {
            new.map.insert(vma.clone())?;
            for page in vma.range().step_by(PAGE as usize) {
                let at = VirtAddr::new(page);
                let Some(access) = self.table.access(at) else { continue };
                let mut to = Frame::allocate(FrameUse::Anonymous)?;
                let Some(mut from) = self.table.unmap(at) else { continue };
                to.bytes_mut().copy_from_slice(from.bytes_mut());
                self.table.map(at, from, access)?;
                copy.table.map(at, to, access)?;
            }
        }
        drop(new);
        Ok(copy)
    }
}
