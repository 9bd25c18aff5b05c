//! Backtraces of kernel code, in words.

use core::fmt;

use arch::boot::image_layout;
use arch::cpu::control;
use arch::paging::{PageTable, VirtAddr};
use arch::trap::TrapFrame;
use arch::unwind::{Walk, frame_pointer};

use crate::symbols::Address;

fn is_text(address: u64) -> bool {
    let (start, end) = image_layout().text;
    (start.as_u64()..end.as_u64()).contains(&address)
}

/// Whether 16 bytes at `address` can be read: kernel half and mapped.
fn readable(address: u64) -> bool {
    // SAFETY: the tree that the CPU runs on; nothing is changed through it.
    let tables = unsafe { PageTable::from_root(control::page_table_root()) };
    let mapped = |address| {
        let address = VirtAddr::new(address);
        address.is_canonical() && !address.is_user() && tables.lookup(address).is_some()
    };
    mapped(address) && address.checked_add(15).is_some_and(mapped)
}

/// A backtrace that starts at a frame pointer; prints one entry per frame.
#[derive(Clone, Copy, Debug)]
pub struct Backtrace {
    start: Option<u64>,
    frame: u64,
}

impl Backtrace {
    /// Of the caller.
    #[inline(never)]
    pub fn here() -> Self {
        Self { start: None, frame: frame_pointer() }
    }

    /// Of the code that a trap interrupted.
    pub fn of_trap(frame: &TrapFrame) -> Self {
        Self { start: Some(frame.rip), frame: frame.rbp }
    }

    /// Of a thread that is switched out with stack pointer `sp`: its registers lie
    /// there as `switch_stacks` left them.
    pub fn of_switched_out(sp: u64) -> Self {
        // The saved rbp and the return address are words 5 and 6: a frame.
        Self { start: None, frame: sp + 40 }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.start {
            write!(f, "{}", Address { address, exact: true })?;
        }
        for step in Walk::new(self.frame, &readable, &is_text) {
            if step.exact {
                writeln!(f, "  --- interrupted ---")?;
            }
            write!(f, "{}", Address { address: step.address, exact: step.exact })?;
        }
        Ok(())
    }
}
