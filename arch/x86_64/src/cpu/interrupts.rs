//! The CPU's interrupt flag, and waiting for interrupts.

use core::arch::asm;

/// RFLAGS.IF.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// Whether this CPU takes interrupts.
pub fn enabled() -> bool {
    let flags: u64;
    // SAFETY: pushes and pops one word; no red zone in the kernel.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & INTERRUPT_FLAG != 0
}

/// Takes interrupts from now on. A compiler barrier.
pub fn enable() {
    // SAFETY: handlers may run from here on; what they share with this code is
    // behind locks that keep interrupts off while held.
    unsafe { asm!("sti", options(nostack)) };
}

/// Takes no interrupts from now on (NMI and exceptions still come). A compiler barrier.
pub fn disable() {
    // SAFETY: delays interrupts, nothing else.
    unsafe { asm!("cli", options(nostack)) };
}

/// Disables interrupts and says whether they had been enabled.
pub fn save_and_disable() -> bool {
    let were_enabled = enabled();
    disable();
    were_enabled
}

/// Enables interrupts if `were_enabled`.
pub fn restore(were_enabled: bool) {
    if were_enabled {
        enable();
    }
}

/// Enables interrupts and sleeps until one came, with no gap in which it could be
/// missed. Call with interrupts disabled; returns with them enabled.
pub fn enable_and_halt() {
    // SAFETY: `sti` takes effect after the next instruction, so an interrupt that is
    // pending ends the `hlt`.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}

/// Stops this CPU for good; only an NMI runs code on it again.
pub fn halt_forever() -> ! {
    loop {
        disable();
        // SAFETY: halting with interrupts off changes nothing.
        unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
    }
}

/// Tells the CPU that this is a spin loop.
pub fn spin_hint() {
    core::hint::spin_loop();
}
