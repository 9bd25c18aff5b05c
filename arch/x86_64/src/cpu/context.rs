//! The switch from one kernel stack to another.
//!
//! A thread that does not run is a stack pointer: on its stack lie the registers that
//! a called function must preserve, and the address to go on at.

use core::arch::naked_asm;

/// Saves the callee-saved registers on the current stack, stores the stack pointer in
/// `*save`, and goes on with the stack `load`, that an earlier call or
/// [`prepare_stack`] left. Returns when something switches back.
///
/// # Safety
/// `load` must be such a stack pointer, used once, of a stack that stays mapped;
/// `save` must be writable. Interrupts must be off.
#[unsafe(naked)]
pub unsafe extern "C" fn switch_stacks(save: *mut u64, load: u64) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// First code of a new stack: calls the function in rbx with the argument in r12.
#[unsafe(naked)]
unsafe extern "C" fn stack_start() -> ! {
    naked_asm!(
        "xor ebp, ebp", // the end of the backtrace
        "mov rdi, r12",
        "call rbx",
        "ud2",
    )
}

/// Prepares a fresh stack so that [`switch_stacks`] to the returned pointer calls
/// `entry(argument)` with interrupts off.
///
/// # Safety
/// `top` must be 16-byte aligned and at least 128 bytes below it must be mapped,
/// writable and unused.
pub unsafe fn prepare_stack(top: u64, entry: extern "C" fn(usize) -> !, argument: usize) -> u64 {
    // r15, r14, r13, r12, rbx, rbp, return address. `stack_start` then begins with
    // rsp = top, a multiple of 16, as a call wants it.
    let start = stack_start as *const () as u64;
    let words = [0, 0, 0, argument as u64, entry as usize as u64, 0, start];
    let sp = top - size_of_val(&words) as u64;
    // SAFETY: 56 bytes below `top`, which the caller gave us.
    unsafe { (sp as *mut [u64; 7]).write(words) };
    sp
}
