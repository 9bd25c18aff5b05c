//! Copies between kernel and user memory, with faults caught.
//!
//! The two loops in assembly are the only instructions of the kernel that touch user
//! pages (SMAP is lifted around them). A page fault in them that the floor above cannot
//! resolve is answered by [`fault_fixup`]: the copy ends early and says how much is
//! left. Nothing walks the page table first.

use core::arch::global_asm;

use crate::paging::USER_END;
use crate::trap::TrapFrame;

global_asm!(
    r#"
.section .text.trap_stubs, "ax"

.macro USER_ACCESS_ON
911:
    stac
    .pushsection .smap_sites, "a"
    .quad 911b
    .popsection
.endm
.macro USER_ACCESS_OFF
911:
    clac
    .pushsection .smap_sites, "a"
    .quad 911b
    .popsection
.endm

// rdi to, rsi from, rdx bytes; returns the bytes not copied.
.balign 16
.type user_copy, @function
user_copy:
    USER_ACCESS_ON
    mov rcx, rdx
    shr rcx, 3
    and edx, 7
    mov r8d, 3                              // rcx counts units of 2^r8 bytes
user_access_start:
    rep movsq
    mov ecx, edx
    xor edx, edx
    xor r8d, r8d
    rep movsb
    jmp user_access_done

// rdi to, rsi bytes; returns the bytes not cleared.
.type user_clear, @function
user_clear:
    USER_ACCESS_ON
    mov rdx, rsi
    mov rcx, rsi
    shr rcx, 3
    and edx, 7
    mov r8d, 3
    xor eax, eax
    rep stosq
    mov ecx, edx
    xor edx, edx
    xor r8d, r8d
    rep stosb
user_access_end:
user_access_done:
    USER_ACCESS_OFF
    xor eax, eax
    ret

user_access_fault:
    USER_ACCESS_OFF
    mov rax, rcx
    mov ecx, r8d
    shl rax, cl
    add rax, rdx
    ret
.section .text
"#
);

unsafe extern "C" {
    fn user_copy(to: *mut u8, from: *const u8, bytes: usize) -> usize;
    fn user_clear(to: *mut u8, bytes: usize) -> usize;
    static user_access_start: u8;
    static user_access_end: u8;
    static user_access_fault: u8;
    static __smap_sites_start: u64;
    static __smap_sites_end: u64;
}

/// Bytes that a copy did not reach because of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFault {
    /// Bytes left of those asked for; never 0.
    pub remaining: usize,
}

fn in_user_half(address: u64, bytes: usize) -> bool {
    address.checked_add(bytes as u64).is_some_and(|end| end <= USER_END)
}

fn result(remaining: usize) -> Result<(), UserFault> {
    if remaining == 0 { Ok(()) } else { Err(UserFault { remaining }) }
}

/// Copies from user address `from` into `to`.
///
/// # Errors
/// [`UserFault`] at the first byte that cannot be read; what came before it has been
/// copied. A range outside user addresses copies nothing.
pub fn copy_from_user(to: &mut [u8], from: u64) -> Result<(), UserFault> {
    if !in_user_half(from, to.len()) {
        return result(to.len());
    }
    // SAFETY: `to` is a live slice; the source lies in the user half, where a fault
    // ends the copy.
    result(unsafe { user_copy(to.as_mut_ptr(), from as *const u8, to.len()) })
}

/// As [`copy_from_user`], to memory that others may look at or change meanwhile.
///
/// # Errors
/// As [`copy_from_user`].
///
/// # Safety
/// `to` leads to `bytes` bytes of kernel memory that stay where they are and that no reference
/// of Rust is to meanwhile.
pub unsafe fn copy_from_user_raw(to: *mut u8, bytes: usize, from: u64) -> Result<(), UserFault> {
    if !in_user_half(from, bytes) {
        return result(bytes);
    }
    // SAFETY: the caller's memory; the source lies in the user half, where a fault ends the
    // copy.
    result(unsafe { user_copy(to, from as *const u8, bytes) })
}

/// As [`copy_to_user`], from memory that others may change meanwhile.
///
/// # Errors
/// As [`copy_to_user`].
///
/// # Safety
/// As [`copy_from_user_raw`], for `from`.
pub unsafe fn copy_to_user_raw(to: u64, from: *const u8, bytes: usize) -> Result<(), UserFault> {
    if !in_user_half(to, bytes) {
        return result(bytes);
    }
    // SAFETY: the caller's memory; the target lies in the user half, where a fault ends the
    // copy.
    result(unsafe { user_copy(to as *mut u8, from, bytes) })
}

/// Copies `from` to user address `to`.
///
/// # Errors
/// As [`copy_from_user`], for the first byte that cannot be written.
pub fn copy_to_user(to: u64, from: &[u8]) -> Result<(), UserFault> {
    if !in_user_half(to, from.len()) {
        return result(from.len());
    }
    // SAFETY: `from` is a live slice; the target lies in the user half: no kernel
    // object is there, and a fault ends the copy.
    result(unsafe { user_copy(to as *mut u8, from.as_ptr(), from.len()) })
}

/// Clears `bytes` bytes at user address `to`.
///
/// # Errors
/// As [`copy_to_user`].
pub fn clear_user(to: u64, bytes: usize) -> Result<(), UserFault> {
    if !in_user_half(to, bytes) {
        return result(bytes);
    }
    // SAFETY: as `copy_to_user`.
    result(unsafe { user_clear(to as *mut u8, bytes) })
}

/// If `frame` is a fault of one of the copy loops: makes the copy end there and
/// returns true.
pub fn fault_fixup(frame: &mut TrapFrame) -> bool {
    let start = &raw const user_access_start as u64;
    let end = &raw const user_access_end as u64;
    if !(start..end).contains(&frame.rip) {
        return false;
    }
    frame.rip = &raw const user_access_fault as u64;
    true
}

/// Whether `address` is an instruction of the copy loops.
pub fn is_user_access(address: u64) -> bool {
    let start = &raw const user_access_start as u64;
    let end = &raw const user_access_end as u64;
    (start..end).contains(&address)
}

/// Replaces `stac` and `clac` by a three-byte nop, for CPUs without SMAP.
pub(crate) fn patch_out_smap_instructions() {
    let start = &raw const __smap_sites_start;
    let count = (&raw const __smap_sites_end as usize - start as usize) / size_of::<u64>();
    for index in 0..count {
        // SAFETY: the linker gathered `count` addresses there, each of a three-byte
        // `stac` or `clac` in the kernel's text. That is still writable (boot page
        // tables), no other CPU runs, and none of the sites is being executed.
        unsafe {
            let site = *start.add(index) as *mut [u8; 3];
            site.write_volatile([0x0f, 0x1f, 0x00]);
        }
    }
}
