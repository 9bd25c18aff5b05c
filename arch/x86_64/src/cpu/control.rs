//! Control registers (Intel SDM volume 3, section 2.5): bits the kernel sets, CR2, CR3.

use core::arch::asm;

use bitflags::bitflags;

use super::msr;
use crate::paging::{PhysAddr, VirtAddr};

bitflags! {
    /// CR0.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Cr0: u64 {
        /// Protected mode.
        const PROTECTED_MODE = 1 << 0;
        /// `wait` obeys TASK_SWITCHED.
        const MONITOR_COPROCESSOR = 1 << 1;
        /// No FPU: every FPU instruction traps.
        const EMULATION = 1 << 2;
        /// The next FPU instruction traps.
        const TASK_SWITCHED = 1 << 3;
        /// FPU errors as exceptions.
        const NUMERIC_ERROR = 1 << 5;
        /// Read-only pages bind the kernel too.
        const WRITE_PROTECT = 1 << 16;
        /// Paging.
        const PAGING = 1 << 31;
    }
}

bitflags! {
    /// CR4.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Cr4: u64 {
        /// Debug extensions.
        const DEBUG_EXTENSIONS = 1 << 3;
        /// Physical address extension.
        const PAE = 1 << 5;
        /// Machine checks.
        const MACHINE_CHECK = 1 << 6;
        /// Global pages.
        const GLOBAL_PAGES = 1 << 7;
        /// fxsave, fxrstor.
        const OS_FXSAVE = 1 << 9;
        /// SIMD errors as exceptions.
        const OS_SIMD_EXCEPTIONS = 1 << 10;
        /// User-mode instruction prevention: sgdt, sidt, sldt, smsw, str.
        const UMIP = 1 << 11;
        /// User code may read and write its FS and GS bases.
        const FSGSBASE = 1 << 16;
        /// xsave and XCR0.
        const OS_XSAVE = 1 << 18;
        /// The kernel does not execute user pages.
        const SMEP = 1 << 20;
        /// The kernel does not touch user pages but between stac and clac.
        const SMAP = 1 << 21;
    }
}

/// Reads CR0.
pub fn read_cr0() -> Cr0 {
    let value: u64;
    // SAFETY: reading CR0 in ring 0 has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    Cr0::from_bits_retain(value)
}

/// Writes CR0.
///
/// # Safety
/// Paging, protected mode and write protection must stay as the kernel needs them.
pub unsafe fn write_cr0(value: Cr0) {
    // SAFETY: the caller's argument.
    unsafe { asm!("mov cr0, {}", in(reg) value.bits(), options(nostack, preserves_flags)) };
}

/// Reads CR4.
pub fn read_cr4() -> Cr4 {
    let value: u64;
    // SAFETY: reading CR4 in ring 0 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    Cr4::from_bits_retain(value)
}

/// Writes CR4.
///
/// # Safety
/// The CPU must have every feature switched on, and the running code must keep its
/// rules from the next instruction on.
pub unsafe fn write_cr4(value: Cr4) {
    // SAFETY: the caller's argument.
    unsafe { asm!("mov cr4, {}", in(reg) value.bits(), options(nostack, preserves_flags)) };
}

/// Whether pages can be made not executable (EFER.NXE).
pub fn is_no_execute_on() -> bool {
    // SAFETY: every CPU in long mode has the register, and reading it has no effect.
    unsafe { msr::read(msr::EFER) & (1 << 11) != 0 }
}

/// The address of the last page fault.
pub fn page_fault_address() -> VirtAddr {
    let value: u64;
    // SAFETY: reading CR2 in ring 0 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    VirtAddr::new(value)
}

/// The frame of the page table in use.
pub fn page_table_root() -> PhysAddr {
    let value: u64;
    // SAFETY: reading CR3 in ring 0 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    PhysAddr::new(value & crate::paging::entry::ADDRESS_MASK)
}

/// Switches to the page table in frame `root` and so drops all but global
/// translations from the TLB.
///
/// # Safety
/// The table must map the running code, its stack and all that the kernel touches,
/// and must stay alive until another one is loaded.
pub unsafe fn load_page_table(root: PhysAddr) {
    // SAFETY: the caller's argument.
    unsafe { asm!("mov cr3, {}", in(reg) root.as_u64(), options(nostack, preserves_flags)) };
}
