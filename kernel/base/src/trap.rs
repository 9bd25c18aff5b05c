//! What happens on a trap: sorts exceptions and interrupts, and asks the floors above
//! about those of user programs.
//!
//! The order of things on the way out to user mode matters: interrupts are off when the
//! pending word is read for the last time.

use core::fmt;

use arch::cpu::{control, interrupts, local, machine_check};
use arch::hooks::PageFaultHook;
use arch::irqchip::lapic;
use arch::paging::{STACKS_BASE, TOP_LEVEL_SLOT, VirtAddr};
use arch::trap::TrapFrame;
use arch::trap::vector::{Describe, FIRST_INTERRUPT, number, page_fault};
use arch::user_copy;
use spin::Once;

use crate::{irq, nmi, panic, preempt, watchdog};

/// What a page fault in user memory was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address.
    pub address: u64,
    /// The error code: bits of [`page_fault`].
    pub error: u64,
}

impl PageFault {
    /// A touch by the kernel on behalf of a program: a write or a read, of a page that is
    /// there or not.
    pub const fn touch(address: u64, write: bool, present: bool) -> Self {
        let write = if write { page_fault::WRITE } else { 0 };
        let present = if present { page_fault::PRESENT } else { 0 };
        Self { address, error: write | present }
    }

    /// A write.
    pub const fn is_write(&self) -> bool {
        self.error & page_fault::WRITE != 0
    }

    /// An instruction fetch.
    pub const fn is_fetch(&self) -> bool {
        self.error & page_fault::FETCH != 0
    }

    /// The page was there, but did not allow it.
    pub const fn is_present(&self) -> bool {
        self.error & page_fault::PRESENT != 0
    }

    /// Whether a page can help at all, of a fault of user code.
    #[inline(always)]
    pub fn may_be_resolved(&self) -> bool {
        let usual = self.error & (page_fault::USER | page_fault::RESERVED) == page_fault::USER;
        usual || self.is_missing_for_kernel()
    }

    /// User code that touches memory with the kernel's rights (a descriptor table; in some
    /// emulators, the stack of a far return) and meets a page that these do not allow: no
    /// page can be brought for that. One that is not there can.
    #[cold]
    fn is_missing_for_kernel(&self) -> bool {
        self.error & (page_fault::PRESENT | page_fault::RESERVED) == 0
    }

    /// With the rights of user mode; otherwise from a copy by the kernel.
    pub const fn is_user(&self) -> bool {
        self.error & page_fault::USER != 0
    }
}

/// What the floors above do about traps.
pub struct TrapHooks {
    /// Resolves a fault on a user address, or says that it cannot. Called with
    /// interrupts on; may sleep.
    pub page_fault: fn(PageFault) -> bool,
    /// The same for a fault of user code, called by the entry code at once: asks first whether
    /// it [may be resolved](PageFault::may_be_resolved).
    pub user_page_fault: PageFaultHook,
    /// A fault of a user program that is not resolved. Called with interrupts on; ends
    /// the thread or makes it handle a signal.
    pub user_fault: fn(&mut TrapFrame, VirtAddr),
    /// Called before a thread goes back to user mode, interrupts off (and again off on
    /// return), while its pending word is not zero.
    pub return_to_user: fn(&mut TrapFrame),
}

static HOOKS: Once<TrapHooks> = Once::new();

/// Registers the hooks, before the first user program.
pub fn set_hooks(hooks: TrapHooks) {
    let hooks = HOOKS.call_once(|| hooks);
    arch::hooks::set_page_fault(hooks.user_page_fault, on_leave);
}

/// Takes over traps and interrupts. Call once, before the IDT is loaded.
pub fn init() {
    arch::hooks::set_trap(on_trap);
}

/// A kernel exception, in words, with a hint where the address gives one.
struct KernelException<'a> {
    frame: &'a TrapFrame,
    address: VirtAddr,
}

impl KernelException<'_> {
    fn stack_overflow(&self) -> bool {
        let guard = arch::boot::image_layout().boot_stack_guard;
        let address = self.address.as_u64();
        self.frame.vector == number::DOUBLE_FAULT
            && ((STACKS_BASE..STACKS_BASE + TOP_LEVEL_SLOT).contains(&address)
                || self.address.align_down(arch::paging::PAGE_SIZE) == guard)
    }
}

impl fmt::Display for KernelException<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let describe = Describe { frame: self.frame, address: self.address };
        if self.stack_overflow() {
            return write!(
                f,
                "kernel stack overflow in task {}: {describe}, stack pointer {:#x}, guard page hit at {}",
                panic::CurrentTask,
                self.frame.rsp,
                self.address
            );
        }
        write!(f, "{describe}")?;
        if self.frame.vector == number::MACHINE_CHECK {
            return write!(f, ": {}", machine_check::Banks);
        }
        if self.frame.vector != number::PAGE_FAULT {
            return Ok(());
        }
        let hint = if self.address.as_u64() < arch::paging::PAGE_SIZE {
            "; a null pointer?"
        } else if self.address.is_user() && self.frame.error & page_fault::FETCH != 0 {
            "; the kernel jumped into user memory"
        } else if self.address.is_user() {
            "; the kernel touched user memory outside a user copy"
        } else {
            ""
        };
        f.write_str(hint)
    }
}

#[cold]
fn kernel_exception(frame: &TrapFrame, address: VirtAddr) -> ! {
    panic::kernel_exception(&KernelException { frame, address }, frame)
}

/// Asks the floor above for the page. Interrupts off, and off on return.
fn resolve(address: VirtAddr, error: u64) -> bool {
    let Some(hooks) = HOOKS.get() else { return false };
    interrupts::enable();
    let resolved = (hooks.page_fault)(PageFault { address: address.as_u64(), error });
    interrupts::disable();
    resolved
}

extern "C" fn on_leave(frame: &mut TrapFrame) {
    leave_to_user(frame);
}

/// A page fault; returns when the interrupted code may go on.
fn on_page_fault(frame: &mut TrapFrame) {
    let address = control::page_fault_address();
    if frame.from_user() {
        // The short way has not brought the page.
        user_fault(frame, address);
    } else {
        on_kernel_page_fault(frame, address);
    }
}

#[cold]
fn on_kernel_page_fault(frame: &mut TrapFrame, address: VirtAddr) {
    // Non-canonical addresses raise #GP; a kernel address in a copy is the kernel's.
    if !address.is_user() || !user_copy::is_user_access(frame.rip) {
        kernel_exception(frame, address);
    }
    let resolvable = frame.interrupts_enabled()
        && local::preempt_count() == 0
        && frame.error & page_fault::RESERVED == 0;
    if resolvable && resolve(address, frame.error) {
        return;
    }
    if !user_copy::fault_fixup(frame) {
        kernel_exception(frame, address);
    }
}

#[cold]
fn user_fault(frame: &mut TrapFrame, address: VirtAddr) {
    let Some(hooks) = HOOKS.get() else { kernel_exception(frame, address) };
    interrupts::enable();
    (hooks.user_fault)(frame, address);
    interrupts::disable();
}

fn on_interrupt(frame: &TrapFrame, vector: u8) {
    irq::note_interrupted(frame.from_user());
    irq::dispatch(vector);
    if frame.from_user() || local::preempt_count() == 0 {
        watchdog::note_progress(&preempt::disable_for_lock());
    }
    if vector == lapic::TIMER_VECTOR {
        watchdog::look(frame);
    }
}

extern "C" fn on_trap(frame: &mut TrapFrame) {
    match frame.vector {
        number::PAGE_FAULT => on_page_fault(frame),
        number::NMI => nmi::on_nmi(frame),
        vector @ FIRST_INTERRUPT..=255 => on_interrupt(frame, vector as u8),
        number::DOUBLE_FAULT | number::MACHINE_CHECK => {
            kernel_exception(frame, control::page_fault_address());
        }
        _ if frame.from_user() => user_fault(frame, VirtAddr::new(0)),
        _ => kernel_exception(frame, VirtAddr::new(0)),
    }
    if frame.from_user() {
        leave_to_user(frame);
    } else if frame.interrupts_enabled() && frame.vector != number::NMI {
        preempt::schedule_if_wanted();
    }
}

/// The last look before user mode: runs the pending work until there is none.
/// Interrupts must be off, and are on return.
pub fn leave_to_user(frame: &mut TrapFrame) {
    while local::pending() != 0 {
        let Some(hooks) = HOOKS.get() else { return };
        (hooks.return_to_user)(frame);
    }
}
