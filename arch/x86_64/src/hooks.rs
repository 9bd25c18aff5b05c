//! The only upward calls of this floor: what floors above do about traps and system
//! calls. Each is registered once, at boot, before the first event can come.

use core::sync::atomic::{AtomicPtr, Ordering};

use crate::trap::{SyscallFrame, SyscallReturn, TrapFrame};

/// Called with every exception and interrupt, interrupts off. For a trap from user
/// mode it must not return before the thread may go on in user mode.
pub type TrapHook = extern "C" fn(&mut TrapFrame);

/// Called with a page fault of user mode first, interrupts on: the address (CR2) and the error
/// code. True if the page is there now; else the trap hook is called, too.
pub type PageFaultHook = extern "C" fn(u64, u64) -> bool;

/// Called after a page fault that was resolved, interrupts off, with the full frame, when the
/// thread's pending word is not zero.
pub type LeaveHook = extern "C" fn(&mut TrapFrame);

/// Called with every system call, interrupts on, with the registers that a fast call
/// needs.
pub type SyscallHook = extern "C" fn(&mut SyscallFrame) -> SyscallReturn;

/// Called on the slow way out of a system call, interrupts off, with the full frame
/// and the flags of the [`SyscallReturn`]: when those are not zero, or when the
/// thread's pending word is not.
pub type SyscallSlowHook = extern "C" fn(&mut TrapFrame, u64);

extern "C" fn trap_missing(frame: &mut TrapFrame) {
    panic!("trap {} at {:#x} before a trap handler was registered", frame.vector, frame.rip);
}

extern "C" fn page_fault_missing(_address: u64, _error: u64) -> bool {
    false
}

extern "C" fn syscall_missing(_frame: &mut SyscallFrame) -> SyscallReturn {
    panic!("system call before a handler was registered");
}

extern "C" fn syscall_slow_missing(_frame: &mut TrapFrame, _flags: u64) {
    panic!("system call before a handler was registered");
}

pub(crate) static TRAP: AtomicPtr<()> = AtomicPtr::new(trap_missing as *const () as *mut ());
pub(crate) static PAGE_FAULT: AtomicPtr<()> =
    AtomicPtr::new(page_fault_missing as *const () as *mut ());
pub(crate) static LEAVE: AtomicPtr<()> = AtomicPtr::new(trap_missing as *const () as *mut ());
pub(crate) static SYSCALL: AtomicPtr<()> = AtomicPtr::new(syscall_missing as *const () as *mut ());
pub(crate) static SYSCALL_SLOW: AtomicPtr<()> =
    AtomicPtr::new(syscall_slow_missing as *const () as *mut ());

/// Registers the trap hook.
pub fn set_trap(hook: TrapHook) {
    TRAP.store(hook as *const () as *mut (), Ordering::Release);
}

/// Registers the hooks of page faults of user mode.
pub fn set_page_fault(hook: PageFaultHook, leave: LeaveHook) {
    LEAVE.store(leave as *const () as *mut (), Ordering::Release);
    PAGE_FAULT.store(hook as *const () as *mut (), Ordering::Release);
}

/// Registers the two hooks of system calls.
pub fn set_syscall(fast: SyscallHook, slow: SyscallSlowHook) {
    SYSCALL.store(fast as *const () as *mut (), Ordering::Release);
    SYSCALL_SLOW.store(slow as *const () as *mut (), Ordering::Release);
}
