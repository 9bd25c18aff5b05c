//! Ways to crash, for the shell's `crash`: each causes one CPU exception (or interrupt) in the
//! kernel, so that its report can be looked at.
//!
//! They are safe to call: the exception stops the machine, and an instruction that did not
//! raise one would have changed nothing. They are written in assembly since the compiler
//! may assume that Rust code never does such things.

use core::arch::asm;
use core::hint::black_box;

use arch::boot::image_layout;

/// Where no address of this half of the address space leads: not canonical.
const NOT_CANONICAL: u64 = 0x8000_0000_0000_0000;

/// Reads the byte at an address that must not be readable.
fn read(address: u64) {
    // SAFETY: reading faults, or changes nothing.
    unsafe {
        asm!("mov {value}, byte ptr [{address}]", value = out(reg_byte) _, address = in(reg) address,
            options(nostack, readonly, preserves_flags));
    }
}

/// Reads through a null pointer: a page fault.
#[inline(never)]
pub fn null() {
    read(0);
}

/// Reads from an address that is not canonical: a general protection fault.
#[inline(never)]
pub fn general_protection() {
    read(NOT_CANONICAL);
}

/// Writes to the kernel's text: a page fault, since it is read-only.
#[inline(never)]
pub fn write_text() {
    let text = image_layout().text.0.as_u64();
    // SAFETY: the write faults, or stores the value that was there.
    unsafe {
        asm!("mov {value}, byte ptr [{text}]", "mov byte ptr [{text}], {value}",
            value = out(reg_byte) _, text = in(reg) text, options(nostack, preserves_flags));
    }
}

/// Calls into the kernel's data: a page fault, since it is not executable.
#[inline(never)]
pub fn execute_data() {
    static mut RETURN: [u8; 1] = [0xc3];
    // SAFETY: the call faults, or comes back at once: the byte is a `ret`. The flags and
    // the registers stay as they are.
    unsafe { asm!("call {}", in(reg) &raw const RETURN) };
}

/// The vector of [`interrupt`].
pub const VECTOR: u8 = 0xe1;

/// Causes interrupt [`VECTOR`], as a device would.
#[inline(never)]
pub fn interrupt() {
    interrupt_on::<VECTOR>();
}

/// Causes an interrupt.
#[inline(always)]
pub(crate) fn interrupt_on<const VECTOR: u8>() {
    const { assert!(VECTOR as u64 >= arch::trap::vector::FIRST_INTERRUPT) };
    // SAFETY: the trap path saves all registers. The end of interrupt that it sends ends
    // none: with interrupts on, no other is in service.
    unsafe { asm!("int {}", const VECTOR) };
}

/// Divides by zero: a divide error.
#[inline(never)]
pub fn divide() {
    // SAFETY: the instruction faults.
    unsafe {
        asm!("div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _,
            options(nomem, nostack));
    }
}

/// Executes `ud2`: an invalid opcode.
#[inline(never)]
pub fn invalid_opcode() {
    // SAFETY: the instruction faults.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Executes `int3`: a breakpoint, which nobody in the kernel waits for.
#[inline(never)]
pub fn breakpoint() {
    // SAFETY: the instruction traps; the handler does not return.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

/// Has a frame larger than any kernel stack with what lies below it: a double fault, since
/// the compiler touches each page of a frame in turn.
#[inline(never)]
pub fn overflow_at_once() {
    black_box([black_box(1u8); 256 * 1024]);
}
