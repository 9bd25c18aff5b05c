//! Walks the chain of frame pointers. Trap stubs link the interrupted code into it, so
//! a walk crosses traps and, from an interrupt stack, goes on where the CPU was.

use core::arch::asm;

use crate::trap;

/// Frames that a walk returns at most: a broken chain that circles must end. More than fit
/// on a kernel stack, so that a walk from an overflow gets to its beginning.
pub const MAX_FRAMES: usize = 4096;

/// One step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeAddress {
    /// An address in the kernel's text.
    pub address: u64,
    /// The address is of the instruction that was interrupted; otherwise it is a
    /// return address, one byte past the call.
    pub exact: bool,
}

/// Where the function that this stands in goes on when it returns: the return address, and
/// the frame pointer of its caller, from which a walk goes on. Both stay valid after it
/// has returned.
#[inline(always)]
pub fn caller() -> (u64, u64) {
    let frame: *const [u64; 2];
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    // SAFETY: the kernel is compiled with frame pointers: rbp leads to the caller's, next to
    // the return address.
    let [next, address] = unsafe { *frame };
    (address, next)
}

/// A walk from a frame pointer outwards.
///
/// `readable` says whether the 16 bytes at an address may be read; it is asked before
/// each step, so that a broken chain ends the walk instead of faulting.
pub struct Walk<'a> {
    frame: u64,
    next_exact: bool,
    left: usize,
    readable: &'a dyn Fn(u64) -> bool,
    is_text: &'a dyn Fn(u64) -> bool,
}

impl<'a> Walk<'a> {
    /// Starts at frame pointer `frame`.
    pub fn new(
        frame: u64,
        readable: &'a dyn Fn(u64) -> bool,
        is_text: &'a dyn Fn(u64) -> bool,
    ) -> Self {
        Self { frame, next_exact: false, left: MAX_FRAMES, readable, is_text }
    }
}

impl Iterator for Walk<'_> {
    type Item = CodeAddress;

    fn next(&mut self) -> Option<CodeAddress> {
        if self.left == 0 || !self.frame.is_multiple_of(8) || !(self.readable)(self.frame) {
            return None;
        }
        self.left -= 1;
        // SAFETY: `readable` vouched for these 16 bytes.
        let [next, address] = unsafe { *(self.frame as *const [u64; 2]) };
        if !(self.is_text)(address) {
            self.left = 0;
            return None;
        }
        let step = CodeAddress { address, exact: self.next_exact };
        self.next_exact = trap::is_trap_return_site(address);
        self.frame = next;
        if trap::syscall_return_sites().contains(&address) {
            self.left = 0;
        }
        Some(step)
    }
}
