//! What user code traps for: page faults are resolved, other faults become signals, and on
//! the way back to user mode pending work is done.

use abi::Signal;
use abi::signal::{
    BUS_ADRALN, BUS_ADRERR, FPE_FLTINV, FPE_INTDIV, ILL_ILLOPN, SEGV_ACCERR, SEGV_MAPERR,
    TRAP_BRKPT, TRAP_TRACE,
};
use arch::cpu::interrupts;
use arch::paging::VirtAddr;
use arch::trap::TrapFrame;
use arch::trap::vector::{number, page_fault};
use base::preempt::{self, SIGNAL, SWITCHED};
use base::trap::{TrapHooks, set_hooks};
use task::with_current;
use vm::{Fault, FaultKind};

use crate::outcome::Cause;
use crate::signal;
use crate::thread::with_thread;

/// Registers the hooks.
pub(crate) fn init() {
    set_hooks(TrapHooks {
        page_fault: task::page_fault,
        user_page_fault: task::user_page_fault,
        user_fault,
        return_to_user,
    });
}

/// What a page fault of user code is called, and its signal.
fn page_fault_cause(touch: &Fault, kind: FaultKind) -> (Signal, Option<u32>, &'static str) {
    let verb = (touch.is_fetch(), touch.is_write());
    match kind {
        FaultKind::NotMapped if touch.address >= vm::layout::USER_END => (
            Signal::SIGSEGV,
            Some(SEGV_MAPERR),
            match verb {
                (true, _) => "execution of kernel memory",
                (_, true) => "write to kernel memory",
                _ => "read of kernel memory",
            },
        ),
        FaultKind::NotMapped => (
            Signal::SIGSEGV,
            Some(SEGV_MAPERR),
            match verb {
                (true, _) => "execution of unmapped memory",
                (_, true) => "write to unmapped memory",
                _ => "read of unmapped memory",
            },
        ),
        FaultKind::NotAllowed => (
            Signal::SIGSEGV,
            Some(SEGV_ACCERR),
            match verb {
                (true, _) => "execution of memory that is not executable",
                (_, true) => "write to memory that is not writable",
                _ => "read of memory that is not readable",
            },
        ),
        FaultKind::NoBytes => {
            (Signal::SIGBUS, Some(BUS_ADRERR), "access behind the end of a mapped file")
        }
        FaultKind::OutOfMemory => (Signal::SIGKILL, None, "out of memory"), // not asked for
    }
}

/// The signal of an exception that is no page fault, its code and its name.
fn exception_cause(vector: u64) -> (Signal, Option<u32>, &'static str) {
    match vector {
        number::DIVIDE_ERROR => (Signal::SIGFPE, Some(FPE_INTDIV), "divide error"),
        number::DEBUG => (Signal::SIGTRAP, Some(TRAP_TRACE), "debug exception"),
        number::BREAKPOINT => (Signal::SIGTRAP, Some(TRAP_BRKPT), "breakpoint"),
        number::OVERFLOW => (Signal::SIGSEGV, None, "overflow trap"),
        number::BOUND_RANGE => (Signal::SIGSEGV, None, "bound range exceeded"),
        number::INVALID_OPCODE => (Signal::SIGILL, Some(ILL_ILLOPN), "invalid instruction"),
        number::SEGMENT_NOT_PRESENT => (Signal::SIGBUS, None, "segment not present"),
        number::STACK_SEGMENT => (Signal::SIGBUS, None, "stack segment fault"),
        number::X87_ERROR => (Signal::SIGFPE, Some(FPE_FLTINV), "x87 floating-point error"),
        number::ALIGNMENT_CHECK => (Signal::SIGBUS, Some(BUS_ADRALN), "unaligned access"),
        number::SIMD_ERROR => (Signal::SIGFPE, Some(FPE_FLTINV), "SIMD floating-point error"),
        _ => (
            Signal::SIGSEGV,
            None,
            "general protection fault (privileged instruction, selector, or non-canonical address)",
        ),
    }
}

/// A fault of user code that was not resolved. Interrupts on; may not return.
fn user_fault(frame: &mut TrapFrame, address: VirtAddr) {
    let handled = with_thread(|thread| {
        let (signal, code, cause) = if frame.vector == number::PAGE_FAULT {
            let touch = Fault { address: address.as_u64(), error: frame.error };
            // Once more, now for the reason; if it is gone, the touch is repeated. Unless
            // the kernel's rights were asked for and refused: that stays.
            let supervisor = frame.error & page_fault::USER == 0;
            let (signal, code, what) = match thread.space.fault(touch) {
                // It is killed on the way back, or touches it again.
                Err(FaultKind::OutOfMemory) => return,
                Err(kind) => page_fault_cause(&touch, kind),
                Ok(()) if supervisor => {
                    (Signal::SIGSEGV, Some(SEGV_ACCERR), "access with the kernel's rights")
                }
                Ok(()) => return,
            };
            (signal, code, Cause { what, address: Some(touch.address), ip: frame.rip })
        } else {
            let (signal, code, what) = exception_cause(frame.vector);
            (signal, code, Cause { what, address: None, ip: frame.rip })
        };
        signal::force(thread, frame, signal, code.map(|code| code as i32), cause);
    });
    if handled.is_none() {
        // User mode without a user thread: the kernel's own mistake.
        panic!("user fault in a kernel task: vector {} at {:#x}", frame.vector, frame.rip);
    }
}

/// Does what is pending, before user mode. Interrupts off, and off on return.
fn return_to_user(frame: &mut TrapFrame) {
    interrupts::enable();
    // The CPU is taken from it: it does not ask, and so keeps its turn.
    preempt::schedule_if_wanted();
    with_thread(|thread| {
        with_current(|task| task.clear_pending(SIGNAL | SWITCHED));
        thread.write_tid();
        if thread.take_switched() {
            thread.rseq.leave(frame);
        }
        if thread.process.signals.has_deliverable() {
            signal::deliver_pending(thread, frame);
        }
    });
    interrupts::disable();
}
