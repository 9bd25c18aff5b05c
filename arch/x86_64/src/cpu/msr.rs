//! Model-specific registers: numbers of those that the kernel uses, and access.

use core::arch::asm;

/// Local APIC base address and mode (Intel SDM volume 3, section 11.4.4).
pub const APIC_BASE: u32 = 0x1b;
/// Extended features: SCE, LME, NXE.
pub const EFER: u32 = 0xc000_0080;
/// Segment selectors for `syscall` and `sysret`.
pub const STAR: u32 = 0xc000_0081;
/// Entry point of `syscall` in long mode.
pub const LSTAR: u32 = 0xc000_0082;
/// RFLAGS bits that `syscall` clears.
pub const SFMASK: u32 = 0xc000_0084;
/// Base of FS: the user's thread pointer.
pub const FS_BASE: u32 = 0xc000_0100;
/// Base of GS: the per-CPU area while the kernel runs.
pub const GS_BASE: u32 = 0xc000_0101;
/// What `swapgs` exchanges with [`GS_BASE`].
pub const KERNEL_GS_BASE: u32 = 0xc000_0102;

/// Reads an MSR.
///
/// # Safety
/// The CPU must have the register (else: #GP).
pub unsafe fn read(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists; reading changes nothing.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes an MSR.
///
/// # Safety
/// The register must exist, take the value, and its effect must keep every promise
/// that the rest of the kernel relies on.
pub unsafe fn write(msr: u32, value: u64) {
    // SAFETY: see above, the caller's.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}
