//! Mapping a file: its pages, as those of a [`MemoryObject`](crate::MemoryObject).

use alloc::sync::Arc;

use memory::frames::{Frame, is_shared_by_many};

use super::{Flags, PageCache};
use crate::PAGE;
use crate::object::ObjectError;

impl PageCache {
    /// The page, to be mapped; with `write` so that a program can change it.
    ///
    /// # Errors
    /// `Io` also for a page wholly behind the end of the file, and if there is no room to
    /// store what is written.
    pub fn map_page(self: &Arc<Self>, index: u64, write: bool) -> Result<Frame, ObjectError> {
        if index >= self.len().div_ceil(PAGE) {
            return Err(ObjectError::Io);
        }
        let frame = self.page(index, 1, None)?;
        if is_shared_by_many(&frame) {
            return Err(ObjectError::OutOfMemory);
        }
        if write {
            let end = self.len().min((index + 1) * PAGE);
            self.reserve_dirty(index * PAGE..end, &frame, Flags::WRITABLE)
                .map_err(|_| ObjectError::NoSpace)?;
        }
        // Cut off while it was looked for: what comes in its place is another page.
        if index >= self.len().div_ceil(PAGE) {
            return Err(ObjectError::Io);
        }
        Ok(frame)
    }
}
