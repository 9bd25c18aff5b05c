//! What lies on the kernel stack after a trap or a system call.

use core::fmt;
use core::mem::{offset_of, size_of};

use static_assertions::const_assert_eq;

/// Value of `vector` in the frame of a system call.
pub const SYSCALL_VECTOR: u64 = 0x100;

/// All registers of the interrupted code, in the order of Linux's `pt_regs`, with the
/// vector between. Built by `stubs.S`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are the registers of those names")]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// Vector number, or [`SYSCALL_VECTOR`].
    pub vector: u64,
    /// The CPU's error code, 0 for vectors without; for a system call its number.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}
const_assert_eq!(size_of::<TrapFrame>() % 16, 0);

/// The part of a [`TrapFrame`] that a fast system call builds: the callee-saved
/// registers stay where they are.
#[repr(C)]
#[expect(missing_docs, reason = "the fields are the registers of those names")]
pub struct SyscallFrame {
    /// Not filled in: `syscall` keeps the flags there.
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    /// Not filled in before the result is known.
    pub rax: u64,
    /// Not filled in: `syscall` keeps the return address there.
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub vector: u64,
    /// The system call's number.
    pub number: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}
const_assert_eq!(size_of::<SyscallFrame>() + offset_of!(TrapFrame, r11), size_of::<TrapFrame>());

/// What a fast system call returns, in rax and rdx.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SyscallReturn {
    /// The result, or minus an errno.
    pub value: u64,
    /// Not zero: take the slow way out and hand these flags to its hook.
    pub slow: u64,
}

impl TrapFrame {
    /// Whether the trap came from user mode.
    pub fn from_user(&self) -> bool {
        self.cs & 3 != 0
    }

    /// Whether the interrupted code took interrupts.
    pub fn interrupts_enabled(&self) -> bool {
        self.rflags & (1 << 9) != 0
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}",
            self.rax, self.rbx, self.rcx, self.rdx
        )?;
        writeln!(
            f,
            "rsi {:016x}  rdi {:016x}  rbp {:016x}  rsp {:016x}",
            self.rsi, self.rdi, self.rbp, self.rsp
        )?;
        writeln!(
            f,
            "r8  {:016x}  r9  {:016x}  r10 {:016x}  r11 {:016x}",
            self.r8, self.r9, self.r10, self.r11
        )?;
        writeln!(
            f,
            "r12 {:016x}  r13 {:016x}  r14 {:016x}  r15 {:016x}",
            self.r12, self.r13, self.r14, self.r15
        )?;
        write!(
            f,
            "rip {:016x}  cs {:#x}  ss {:#x}  rflags {:#x}",
            self.rip, self.cs, self.ss, self.rflags
        )
    }
}
