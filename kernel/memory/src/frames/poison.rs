//! Poison, in debug builds: free frames are filled with a pattern, which is looked at when
//! they are handed out again. Who writes to a frame after its last reference was dropped is
//! found so, and who reads gets addresses that lead nowhere. Of frames that are freed many at
//! once only the first [`MOST`] are filled: tests free all memory in a few large runs, and
//! filling it would make the host of a virtual machine find memory for all of it.

use arch::paging::{PAGE_SIZE, PhysAddr};

/// Fills free memory: no canonical address, no small number, no text.
pub(crate) const PATTERN: u64 = 0xdead_f4ee_dead_f4ee;
/// Frames of a run that are filled.
pub(super) const MOST: usize = 512;

const WORDS: usize = PAGE_SIZE as usize / 8;

/// Fills the frame at `address`, which nobody uses.
pub(super) fn fill(address: PhysAddr) {
    // SAFETY: the caller is alone with a frame of RAM; the physical map shows it, writable.
    unsafe {
        core::arch::asm!("rep stosq", inout("rcx") WORDS => _,
            inout("rdi") address.to_physmap().as_mut_ptr::<u64>() => _, in("rax") PATTERN,
            options(nostack, preserves_flags));
    }
}

/// The first word of the frame at `address`, which the caller is alone with, that is not as
/// [`fill`] left it: byte offset and value.
pub(super) fn find_change(address: PhysAddr) -> Option<(usize, u64)> {
    let start = address.to_physmap().as_ptr::<u64>();
    let end: *const u64;
    let equal: u8;
    // SAFETY: as for `fill`; the scan reads as many words as a frame has.
    unsafe {
        core::arch::asm!("repe scasq", "sete {equal}", equal = out(reg_byte) equal,
            inout("rcx") WORDS => _, inout("rdi") start => end, in("rax") PATTERN,
            options(nostack, readonly));
    }
    if equal != 0 {
        return None;
    }
    // The scan ends behind the word.
    let offset = end as usize - 8 - start as usize;
    // SAFETY: the word that was just read.
    Some((offset, unsafe { *end.sub(1) }))
}
