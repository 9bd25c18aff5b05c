//! The CPU's exceptions: names, and error codes in words.

use core::fmt;

use super::frame::TrapFrame;
use crate::paging::VirtAddr;

/// Vectors below this are the CPU's own.
pub const FIRST_INTERRUPT: u64 = 32;

/// Vector numbers of exceptions that the kernel treats in ways of their own.
pub mod number {
    #![expect(missing_docs, reason = "the names are the CPU's")]
    pub const DIVIDE_ERROR: u64 = 0;
    pub const DEBUG: u64 = 1;
    pub const NMI: u64 = 2;
    pub const BREAKPOINT: u64 = 3;
    pub const OVERFLOW: u64 = 4;
    pub const BOUND_RANGE: u64 = 5;
    pub const INVALID_OPCODE: u64 = 6;
    pub const DOUBLE_FAULT: u64 = 8;
    pub const SEGMENT_NOT_PRESENT: u64 = 11;
    pub const STACK_SEGMENT: u64 = 12;
    pub const GENERAL_PROTECTION: u64 = 13;
    pub const PAGE_FAULT: u64 = 14;
    pub const X87_ERROR: u64 = 16;
    pub const ALIGNMENT_CHECK: u64 = 17;
    pub const MACHINE_CHECK: u64 = 18;
    pub const SIMD_ERROR: u64 = 19;
}

/// Name and mnemonic of an exception.
pub fn exception_name(vector: u64) -> (&'static str, &'static str) {
    match vector {
        0 => ("divide error", "#DE"),
        1 => ("debug exception", "#DB"),
        2 => ("non-maskable interrupt", "NMI"),
        3 => ("breakpoint", "#BP"),
        4 => ("overflow", "#OF"),
        5 => ("bound range exceeded", "#BR"),
        6 => ("invalid opcode", "#UD"),
        7 => ("device not available", "#NM"),
        8 => ("double fault", "#DF"),
        9 => ("coprocessor segment overrun", "-"),
        10 => ("invalid TSS", "#TS"),
        11 => ("segment not present", "#NP"),
        12 => ("stack-segment fault", "#SS"),
        13 => ("general protection fault", "#GP"),
        14 => ("page fault", "#PF"),
        16 => ("x87 floating-point error", "#MF"),
        17 => ("alignment check", "#AC"),
        18 => ("machine check", "#MC"),
        19 => ("SIMD floating-point error", "#XM"),
        20 => ("virtualization exception", "#VE"),
        21 => ("control protection exception", "#CP"),
        28 => ("hypervisor injection exception", "#HV"),
        29 => ("VMM communication exception", "#VC"),
        30 => ("security exception", "#SX"),
        _ => ("reserved exception", "-"),
    }
}

/// Bits of a page fault's error code (Intel SDM volume 3, section 4.7).
pub mod page_fault {
    /// The page was present: a protection violation.
    pub const PRESENT: u64 = 1 << 0;
    /// A write.
    pub const WRITE: u64 = 1 << 1;
    /// From user mode.
    pub const USER: u64 = 1 << 2;
    /// A reserved bit was set in an entry.
    pub const RESERVED: u64 = 1 << 3;
    /// An instruction fetch.
    pub const FETCH: u64 = 1 << 4;
}

/// An exception in words: name, error code decoded, and for a page fault the address.
pub struct Describe<'a> {
    /// The frame of the exception.
    pub frame: &'a TrapFrame,
    /// CR2 as it was when the exception came; only read for a page fault.
    pub address: VirtAddr,
}

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame;
        let (name, mnemonic) = exception_name(frame.vector);
        write!(f, "{name} ({mnemonic}, vector {})", frame.vector)?;
        match frame.vector {
            number::PAGE_FAULT => {
                let error = frame.error;
                let kind = match (error & page_fault::FETCH != 0, error & page_fault::WRITE != 0) {
                    (true, _) => "execution of",
                    (false, true) => "write to",
                    (false, false) => "read of",
                };
                let mode = if error & page_fault::USER != 0 { "user" } else { "kernel" };
                let why = if error & page_fault::RESERVED != 0 {
                    "a reserved bit is set in the page table"
                } else if error & page_fault::PRESENT != 0 {
                    "the page does not allow it"
                } else {
                    "not mapped"
                };
                let address = self.address;
                write!(f, ": {mode} {kind} {address}: {why} (error code {error:#x})")
            }
            8 | 17 => write!(f, " (error code {:#x})", frame.error),
            10..=13 if frame.error == 0 => write!(f, ": not about a selector (error code 0)"),
            10..=13 => {
                let table = match frame.error >> 1 & 3 {
                    0 => "GDT",
                    2 => "LDT",
                    _ => "IDT",
                };
                let external = if frame.error & 1 != 0 { ", by an external event" } else { "" };
                let index = frame.error >> 3 & 0x1fff;
                write!(f, ": {table} entry {index}{external} (error code {:#x})", frame.error)
            }
            21 | 29 | 30 => write!(f, " (error code {:#x})", frame.error),
            _ => Ok(()),
        }
    }
}
