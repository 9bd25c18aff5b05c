//! How the CPU enters the kernel: the IDT and its 256 stubs (`stubs.S`), the `syscall`
//! instruction (`syscall.S`), and the first way into user mode.
//!
//! Both assembly files build the frames of [`frame`] and call [`crate::hooks`].

pub mod frame;
pub mod vector;

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::{offset_of, size_of};

use static_assertions::const_assert_eq;

pub use frame::{SYSCALL_VECTOR, SyscallFrame, SyscallReturn, TrapFrame};

use crate::cpu::local::{CPU_LOCAL, CpuLocal};
use crate::cpu::msr;
use crate::cpu::tables::{self, InterruptStack, KERNEL_CODE, TablePointer, USER_CODE, USER_DATA};
use crate::hooks;

global_asm!(
    include_str!("stubs.S"),
    TRAP_HOOK = sym hooks::TRAP,
    CPU_LOCAL = sym CPU_LOCAL,
    SCRATCH = const offset_of!(CpuLocal, scratch),
    KERNEL_STACK_TOP = const offset_of!(CpuLocal, kernel_stack_top),
    PENDING = const offset_of!(CpuLocal, pending),
    PAGE_FAULT_HOOK = sym hooks::PAGE_FAULT,
    LEAVE_HOOK = sym hooks::LEAVE,
    SCRATCH_START = const offset_of!(TrapFrame, r11),
    ERROR = const offset_of!(TrapFrame, error),
    RIP = const offset_of!(TrapFrame, rip),
    CS = const offset_of!(TrapFrame, cs),
);

global_asm!(
    include_str!("syscall.S"),
    SYSCALL_HOOK = sym hooks::SYSCALL,
    SYSCALL_SLOW_HOOK = sym hooks::SYSCALL_SLOW,
    CPU_LOCAL = sym CPU_LOCAL,
    SCRATCH = const offset_of!(CpuLocal, scratch),
    KERNEL_STACK_TOP = const offset_of!(CpuLocal, kernel_stack_top),
    PENDING = const offset_of!(CpuLocal, pending),
    USER_DATA = const USER_DATA,
    USER_CODE = const USER_CODE,
    SYSCALL_VECTOR = const SYSCALL_VECTOR,
);

// syscall.S reads these slots by number.
const_assert_eq!(offset_of!(SyscallFrame, rax), 32);
const_assert_eq!(offset_of!(SyscallFrame, rip) - offset_of!(SyscallFrame, vector), 16);
const_assert_eq!(offset_of!(SyscallFrame, rflags) - offset_of!(SyscallFrame, vector), 32);
const_assert_eq!(offset_of!(SyscallFrame, rsp) - offset_of!(SyscallFrame, vector), 40);

unsafe extern "C" {
    static trap_stubs: u8;
    static trap_return_site: u8;
    static trap_return_site_paranoid: u8;
    static trap_return_site_moved: u8;
    static trap_return_site_page_fault: u8;
    static syscall_return_site: u8;
    static syscall_return_site_slow: u8;
    fn syscall_entry();
    fn enter_user(frame: *const TrapFrame) -> !;
}

/// Bytes from one stub to the next.
const STUB_BYTES: u64 = 16;

/// An IDT entry (Intel SDM volume 3, section 6.14.1).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}
const_assert_eq!(size_of::<Gate>(), 16);

impl Gate {
    /// An interrupt gate to `handler`; `ist` 0 for none; `privilege` is the highest
    /// ring that may reach it with an `int` instruction.
    fn new(handler: u64, ist: u8, privilege: u8) -> Self {
        let kind = 0x8e | u64::from(privilege) << 5; // present, 64-bit interrupt gate
        let low = handler & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | u64::from(ist) << 32
            | kind << 40
            | (handler >> 16 & 0xffff) << 48;
        Self { low, high: handler >> 32 }
    }
}

#[repr(C, align(4096))]
struct Idt(UnsafeCell<[Gate; 256]>);

// SAFETY: written once, by `build_idt` on the boot CPU before any other runs; the CPUs
// only read it.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([Gate { low: 0, high: 0 }; 256]));

/// Fills in the IDT that all CPUs share. Call once, on the boot CPU, before
/// [`load`].
pub fn build_idt() {
    // SAFETY: see `Idt`: nobody else runs yet.
    let idt = unsafe { &mut *IDT.0.get() };
    let stubs = &raw const trap_stubs as u64;
    for (vector, gate) in (0u64..).zip(idt.iter_mut()) {
        let ist = match vector {
            vector::number::DEBUG => InterruptStack::Debug as u8,
            vector::number::NMI => InterruptStack::Nmi as u8,
            vector::number::DOUBLE_FAULT => InterruptStack::DoubleFault as u8,
            vector::number::MACHINE_CHECK => InterruptStack::MachineCheck as u8,
            _ => 0,
        };
        // int3 and into are user instructions; the rest is the CPU's and the devices'.
        let user = matches!(vector, vector::number::BREAKPOINT | vector::number::OVERFLOW);
        *gate = Gate::new(stubs + vector * STUB_BYTES, ist, if user { 3 } else { 0 });
    }
}

/// Loads the IDT and the `syscall` registers on this CPU.
pub fn load() {
    let pointer =
        TablePointer { limit: size_of::<[Gate; 256]>() as u16 - 1, base: IDT.0.get() as u64 };
    // RFLAGS bits a system call starts without: TF, IF, DF, IOPL, NT, AC.
    const SYSCALL_MASK: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 3 << 12 | 1 << 14 | 1 << 18;
    // `sysret` takes CS from the upper selector plus 16 and SS from it plus 8.
    let star = u64::from(tables::USER_CODE_32) << 48 | u64::from(KERNEL_CODE) << 32;
    // SAFETY: the IDT is static and complete; the MSRs exist in long mode; the entry
    // point is code written for them, with the GDT that `tables::load` installed.
    unsafe {
        asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags));
        msr::write(msr::STAR, star);
        msr::write(msr::LSTAR, syscall_entry as *const () as u64);
        msr::write(msr::SFMASK, SYSCALL_MASK);
        let efer = msr::read(msr::EFER);
        msr::write(msr::EFER, efer | 1); // SCE
    }
}

/// Whether `address` is where a trap hook returns to: the next frame of a backtrace is
/// then interrupted code, and the address in it exact.
pub fn is_trap_return_site(address: u64) -> bool {
    address == &raw const trap_return_site as u64
        || address == &raw const trap_return_site_paranoid as u64
        || address == &raw const trap_return_site_moved as u64
        || address == &raw const trap_return_site_page_fault as u64
}

/// Where the hooks of a system call return to: a backtrace ends there, for the frame
/// pointer was the user's.
pub fn syscall_return_sites() -> [u64; 2] {
    [&raw const syscall_return_site as u64, &raw const syscall_return_site_slow as u64]
}

/// Enters user mode with the registers of `frame`. The kernel stack is empty from here
/// on.
///
/// # Panics
/// If the frame would not lead to user mode: wrong selectors, interrupts off, I/O
/// privilege, or an instruction pointer outside user addresses.
pub fn return_to_user(frame: TrapFrame) -> ! {
    let privileged = 3 << 12 | 1 << 14 | 1 << 17; // IOPL, NT, VM
    assert!(frame.cs == u64::from(USER_CODE) && frame.ss == u64::from(USER_DATA));
    assert!(frame.interrupts_enabled() && frame.rflags & privileged == 0);
    assert!(frame.rip < crate::paging::USER_END);
    // SAFETY: the frame leads to ring 3 with interrupts on; `enter_user` leaves this
    // stack for good, so the frame on it is read before anything overwrites it.
    unsafe { enter_user(&frame) }
}

/// Makes the CPU reset the machine: a breakpoint that no table has a handler for, nor for
/// the faults that follow.
pub fn triple_fault() -> ! {
    let empty = TablePointer { limit: 0, base: 0 };
    crate::cpu::interrupts::disable();
    // SAFETY: the CPU resets the machine, or shuts down; nothing runs after.
    unsafe {
        asm!("lidt [{}]", "int3", "2: hlt", "jmp 2b", in(reg) &raw const empty, options(noreturn))
    };
}
