//! Backtraces of kernel code, in words.

use core::fmt;

use arch::boot::image_layout;
use arch::cpu::control;
use arch::paging::{PageTable, VirtAddr};
use arch::trap::TrapFrame;
use arch::unwind::{CodeAddress, Walk, caller};

use crate::symbols::Address;

/// Whether `address` lies in the kernel's code.
pub(crate) fn is_text(address: u64) -> bool {
    let (start, end) = image_layout().text;
    (start.as_u64()..end.as_u64()).contains(&address)
}

/// Whether 16 bytes at `address` can be read: kernel half and mapped.
pub(crate) fn readable(address: u64) -> bool {
    // SAFETY: the tree that the CPU runs on; nothing is changed through it.
    let tables = unsafe { PageTable::from_root(control::page_table_root()) };
    let mapped = |address| {
        let address = VirtAddr::new(address);
        address.is_canonical() && !address.is_user() && tables.lookup(address).is_some()
    };
    mapped(address) && address.checked_add(15).is_some_and(mapped)
}

/// Places that a backtrace prints at most, those of a recursion counted once.
const MAX_PLACES: usize = 64;

/// A backtrace that starts at a frame pointer; prints one entry per frame.
#[derive(Clone, Copy, Debug)]
pub struct Backtrace {
    start: [Option<CodeAddress>; 2],
    frame: u64,
}

impl Backtrace {
    /// Of the caller.
    #[inline(never)]
    pub fn here() -> Self {
        // What this function's frame holds, and not where it is: it is gone when the
        // backtrace is printed.
        let (address, frame) = caller();
        Self { start: [Some(CodeAddress { address, exact: false }), None], frame }
    }

    /// Of the code that a trap interrupted.
    pub fn of_trap(frame: &TrapFrame) -> Self {
        Self { start: [Some(CodeAddress { address: frame.rip, exact: true }), jumped_from(frame)], frame: frame.rbp }
    }

    /// Of a thread that is switched out with stack pointer `sp`: its registers lie
    /// there as `switch_stacks` left them.
    pub fn of_switched_out(sp: u64) -> Self {
        // The saved rbp and the return address are words 5 and 6: a frame.
        Self { start: [None; 2], frame: sp + 40 }
    }
}

/// Where a call to something that is no code came from: its return address is the last
/// thing on the stack.
fn jumped_from(frame: &TrapFrame) -> Option<CodeAddress> {
    if is_text(frame.rip) || !frame.rsp.is_multiple_of(8) || !readable(frame.rsp) {
        return None;
    }
    // SAFETY: `readable` vouched for it.
    let address = unsafe { *(frame.rsp as *const u64) };
    is_text(address).then_some(CodeAddress { address, exact: false })
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        let mut repeated = 0;
        let mut places = 0;
        let walk = Walk::new(self.frame, &readable, &is_text);
        for step in self.start.into_iter().flatten().chain(walk) {
            if last == Some(step) {
                repeated += 1;
                continue;
            }
            write_repeated(f, core::mem::take(&mut repeated))?;
            if places == MAX_PLACES {
                return writeln!(f, "  … and so on");
            }
            places += 1;
            if step.exact && last.is_some() {
                writeln!(f, "  --- interrupted ---")?;
            }
            write!(f, "{}", Address { address: step.address, exact: step.exact })?;
            last = Some(step);
        }
        write_repeated(f, repeated)
    }
}

/// Says that the last step came again: a recursion.
fn write_repeated(f: &mut fmt::Formatter<'_>, times: u32) -> fmt::Result {
    match times {
        0 => Ok(()),
        1 => writeln!(f, "  … and once more"),
        times => writeln!(f, "  … and {times} times more"),
    }
}

#[macros::kernel_test]
fn a_backtrace_of_here_begins_here() {
    use core::fmt::Write;
    let mut text = arrayvec::ArrayString::<4096>::new();
    // Longer ones are cut.
    let _ = write!(text, "{}", Backtrace::here());
    let first = text.trim_start().strip_prefix("0x").and_then(|line| line.split(' ').next());
    let first = first.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
    let start = a_backtrace_of_here_begins_here as fn() as usize as u64;
    assert!((start..start + 4096).contains(&first), "{first:#x} is not here, {start:#x}");
    assert!(text.lines().count() > 2, "{text}");
}
