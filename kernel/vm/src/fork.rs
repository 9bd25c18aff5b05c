//! [`AddressSpace::fork`]: the copy that a child process gets.

use alloc::sync::Arc;

use memory::OutOfMemory;
use memory::user::UserTable;

use crate::map::VmaMap;
use crate::reverse;
use crate::space::{AddressSpace, State, addresses};
use crate::vma::VmaFlags;

impl AddressSpace {
    /// A copy for a child: the same map, and the same pages until one of both writes to them.
    /// What is mapped shared is the same memory in both.
    ///
    /// # Errors
    /// [`OutOfMemory`]; this address space then has its pages as before.
    pub fn fork(&self) -> Result<Arc<Self>, OutOfMemory> {
        // Nobody may change the map meanwhile, nor bring pages: a page that is brought after
        // its neighbours were shared would be writable here and missing there.
        let state = self.state.write();
        let table = Arc::new(UserTable::new()?);
        let mut map = VmaMap::new();
        let mut was_writable = false;
        let mut result = Ok(());
        for vma in state.map.iter().filter(|vma| !vma.flags.contains(VmaFlags::DONT_FORK)) {
            let mut copy = vma.clone();
            result = reverse::link(&table, &mut copy).and_then(|()| map.insert(copy));
            // The pages of objects that are shared come from the object again.
            if result.is_ok() && !vma.is_shared() && !vma.flags.contains(VmaFlags::WIPE_ON_FORK) {
                let range = addresses(&vma.range());
                result = self.table.share_range(&table, range, &mut was_writable);
            }
            if result.is_err() {
                break;
            }
        }
        if was_writable {
            self.table.forget_writable();
        }
        result?;
        let (break_start, break_now) = (state.break_start, state.break_now);
        // Known before this one's lock is free: who takes pages of a file away from all comes to
        // the child after its parent.
        Self::with_state(self.layout, State { map, break_start, break_now }, table)
    }
}
