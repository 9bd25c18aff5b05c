//! Copies between user memory and frames that others may have mapped: those of a page cache.

use arch::paging::PAGE_SIZE;
use arch::user_copy::{self, UserFault};

use super::slice::UserSlice;
use crate::frames::Frame;

/// How many bytes `user` and the frame from `offset` on both have.
fn common(offset: usize, user: &UserSlice) -> usize {
    user.len().min((PAGE_SIZE as usize).saturating_sub(offset))
}

fn copied(len: usize, result: Result<(), UserFault>) -> usize {
    match result {
        Ok(()) => len,
        Err(UserFault { remaining }) => len.saturating_sub(remaining),
    }
}

impl UserSlice {
    /// Copies bytes of `frame` from `offset` on to the start of the slice, as many as both
    /// have. Returns how many were copied: fewer if the slice has a bad address in it.
    pub fn write_from_frame(&self, frame: &Frame, offset: usize) -> usize {
        let len = common(offset, self);
        let from = frame.address().to_physmap().offset(offset as u64).as_ptr::<u8>();
        // SAFETY: `len` bytes that end in the frame, which the reference keeps; the physical
        // map shows them, and nobody makes references to the bytes of a shared frame, nor of
        // one that is borrowed here.
        copied(len, unsafe { user_copy::copy_to_user_raw(self.address(), from, len) })
    }

    /// Copies the start of the slice to `frame`, from `offset` on, as many bytes as both
    /// have. Returns how many were copied: fewer if the slice has a bad address in it.
    pub fn read_to_frame(&self, frame: &Frame, offset: usize) -> usize {
        let len = common(offset, self);
        let to = frame.address().to_physmap().offset(offset as u64).as_mut_ptr::<u8>();
        // SAFETY: as `write_from_frame`.
        copied(len, unsafe { user_copy::copy_from_user_raw(to, len, self.address()) })
    }
}
