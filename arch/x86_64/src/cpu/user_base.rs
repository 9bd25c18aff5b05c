//! The user's FS and GS bases: where a program's thread pointer leads
//! (arch_prctl(2)). FS holds the base itself; GS is the kernel's while it runs, and the
//! user's waits in the register that `swapgs` exchanges.

use super::msr;
use crate::paging::USER_END;

/// Sets the base that user code finds in FS. False, and nothing changed, for an address
/// that is not the user's: it could be non-canonical, which the CPU refuses.
#[must_use]
pub fn set_fs(base: u64) -> bool {
    if base >= USER_END {
        return false;
    }
    // SAFETY: the register exists in long mode and takes any canonical address; the
    // kernel does not use FS.
    unsafe { msr::write(msr::FS_BASE, base) };
    true
}

/// Sets the base that user code finds in GS; otherwise as [`set_fs`].
#[must_use]
pub fn set_gs(base: u64) -> bool {
    if base >= USER_END {
        return false;
    }
    // SAFETY: the register exists in long mode and takes any canonical address; while
    // the kernel runs it holds the user's base, and only `swapgs` on the way out uses it.
    unsafe { msr::write(msr::KERNEL_GS_BASE, base) };
    true
}

/// The base that user code finds in FS now. It may have loaded a null selector, which
/// on many CPUs clears it.
pub fn fs() -> u64 {
    // SAFETY: the register exists in long mode.
    unsafe { msr::read(msr::FS_BASE) }
}

/// The base that user code finds in GS now.
pub fn gs() -> u64 {
    // SAFETY: the register exists in long mode.
    unsafe { msr::read(msr::KERNEL_GS_BASE) }
}
