//! One CPU: its registers, tables and state.
//!
//! [`features`] reads CPUID; [`local`] is the per-CPU area behind GS; [`tables`] GDT
//! and TSS; [`machine_check`] the banks that hardware errors go to; [`context`] the switch from thread to thread; [`fpu`] the user's FPU
//! state; [`user_base`] its FS and GS bases; [`control`] and [`msr`] the registers; [`interrupts`] the interrupt flag.

pub mod context;
pub mod control;
pub mod features;
pub mod fpu;
pub mod identity;
pub mod interrupts;
pub mod local;
pub mod machine_check;
pub mod msr;
pub mod tables;
pub mod user_base;

use control::{Cr0, Cr4};

pub use features::{Features, features};

/// As [`init`], for the boot CPU: before the kernel's text is mapped read-only, since the
/// SMAP sites may have to be patched for all CPUs.
pub fn init_boot(features: &Features) {
    if !features.smap {
        crate::user_copy::patch_out_smap_instructions();
    }
    init(features);
}

/// Switches on what protects and speeds up the kernel where the CPU has it: write
/// protection, global pages, machine checks, SMEP, SMAP, UMIP, FPU and SSE with exceptions,
/// XSAVE. Call once per CPU, early, with interrupts off.
pub fn init(features: &Features) {
    let mut cr0 = control::read_cr0();
    cr0 |= Cr0::WRITE_PROTECT | Cr0::MONITOR_COPROCESSOR | Cr0::NUMERIC_ERROR;
    cr0 -= Cr0::EMULATION | Cr0::TASK_SWITCHED;
    // Nothing else stays on: with FSGSBASE, user code could load a GS base that the trap
    // entries take for the kernel's.
    let mut cr4 = Cr4::PAE | Cr4::GLOBAL_PAGES | Cr4::OS_FXSAVE | Cr4::OS_SIMD_EXCEPTIONS;
    // Without it a machine check is a reset.
    cr4.set(Cr4::MACHINE_CHECK, features.machine_check);
    cr4.set(Cr4::SMEP, features.smep);
    cr4.set(Cr4::SMAP, features.smap);
    cr4.set(Cr4::UMIP, features.umip);
    cr4.set(Cr4::OS_XSAVE, features.xsave);
    machine_check::init(features);
    // SAFETY: only features that CPUID lists are switched on; the kernel executes no
    // user page and touches user pages only through `user_copy`; paging stays as it is.
    unsafe {
        control::write_cr0(cr0);
        control::write_cr4(cr4);
    }
    fpu::init(features);
}
