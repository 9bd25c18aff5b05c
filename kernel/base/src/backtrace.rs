//! Backtraces of kernel code, in words.

use core::fmt;

use arch::boot::image_layout;
use arch::cpu::control;
use arch::cpu::tables::{self, InterruptStack};
use arch::paging::{PageTable, STACKS_BASE, TOP_LEVEL_SLOT, VirtAddr};
use arch::trap::TrapFrame;
use arch::unwind::{CodeAddress, Walk, caller};
use arrayvec::ArrayVec;

use crate::symbols::Address;

/// Whether `address` lies in the kernel's code.
pub(crate) fn is_text(address: u64) -> bool {
    let (start, end) = image_layout().text;
    (start.as_u64()..end.as_u64()).contains(&address)
}

/// Whether 16 bytes at `address` lie in one piece of memory that holds stacks: those of
/// tasks, the boot stack, this CPU's interrupt stacks.
fn is_stack(address: u64) -> bool {
    let boot = image_layout().boot_stack;
    let fixed = [(STACKS_BASE, STACKS_BASE + TOP_LEVEL_SLOT), (boot.0.as_u64(), boot.1.as_u64())];
    let interrupt = InterruptStack::ALL.map(tables::interrupt_stack);
    let end = address.saturating_add(16);
    fixed.into_iter().chain(interrupt).any(|(bottom, top)| bottom <= address && end <= top)
}

/// Whether 16 bytes at `address` can be read and may be part of a stack. A frame pointer can
/// be anything; the registers of a device, say, are better not read.
pub(crate) fn readable(address: u64) -> bool {
    if !is_stack(address) {
        return false;
    }
    // SAFETY: the tree that the CPU runs on; nothing is changed through it.
    let tables = unsafe { PageTable::from_root(control::page_table_root()) };
    let mapped = |address| tables.lookup(VirtAddr::new(address)).is_some();
    mapped(address) && mapped(address + 15)
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
        Self {
            start: [Some(CodeAddress { address: frame.rip, exact: true }), jumped_from(frame)],
            frame: frame.rbp,
        }
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

impl Backtrace {
    /// The places, walked now.
    fn walk(&self) -> impl Iterator<Item = CodeAddress> {
        self.start.into_iter().flatten().chain(Walk::new(self.frame, &readable, &is_text))
    }

    /// The places as they are now, as far as there is room for them: to be printed when the
    /// stack is another.
    pub(crate) fn taken(&self) -> Taken {
        Taken(self.walk().take(MAX_TAKEN).collect())
    }
}

/// Places that [`Backtrace::taken`] keeps at most.
const MAX_TAKEN: usize = 48;

/// A backtrace that needs its stack no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(ArrayVec<CodeAddress, MAX_TAKEN>);

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_places(f, self.0.iter().copied())?;
        if self.0.is_full() { writeln!(f, "  … and so on") } else { Ok(()) }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_places(f, self.walk())
    }
}

fn write_places(
    f: &mut fmt::Formatter<'_>,
    steps: impl Iterator<Item = CodeAddress>,
) -> fmt::Result {
    let mut last = None;
    let mut repeated = 0;
    let mut places = 0;
    for step in steps {
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

/// The lines of a walk from `rbp`, behind that of a trap in this function.
#[cfg(not(test))]
fn lines_from(rbp: u64) -> usize {
    use core::fmt::Write;
    let rip = lines_from as fn(u64) -> usize as usize as u64;
    let mut text = arrayvec::ArrayString::<4096>::new();
    let trap = Backtrace::of_trap(&TrapFrame { rip, rbp, ..TrapFrame::default() });
    let _ = write!(text, "{trap}"); // cut if it is longer
    text.lines().filter(|line| line.contains("0x") || line.contains("more")).count()
}

#[macros::kernel_test]
fn a_wild_frame_pointer_ends_a_walk() {
    use arch::paging::{FRAME_METADATA_BASE, PHYSMAP_BASE, VMALLOC_BASE};
    let text = image_layout().text.0.as_u64();
    for rbp in [
        0,
        8,
        0x40_0000,
        0x7fff_ffff_eff0,
        0x8000_0000_0000,
        PHYSMAP_BASE + 0x20_0000,
        VMALLOC_BASE, // the local APIC
        FRAME_METADATA_BASE,
        STACKS_BASE, // a guard
        STACKS_BASE + TOP_LEVEL_SLOT - 8,
        text,
        u64::MAX,
        u64::MAX - 7,
        u64::MAX - 15,
    ] {
        assert_eq!(lines_from(rbp), 1, "{rbp:#x}");
    }
}

#[macros::kernel_test]
fn a_walk_ends_at_the_edge_of_user_mode_and_in_a_circle() {
    let here = a_wild_frame_pointer_ends_a_walk as fn() as usize as u64 + 1;
    let mut circle = [0, here];
    circle[0] = &raw const circle as u64;
    // The place, and how often it came again.
    assert_eq!(lines_from(circle[0]), 3);
    for site in arch::trap::syscall_return_sites() {
        // What the user had in rbp is not looked at.
        let entry = [&raw const circle as u64, site];
        let hook = [&raw const entry as u64, here];
        assert_eq!(lines_from(&raw const hook as u64), 3);
    }
}

#[macros::kernel_test(should_fault = "kernel stack overflow in task 'a_small_frame")]
fn a_small_frame_over_the_end_is_an_overflow() {
    /// Calls itself; the compiler must not make a loop of it.
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let frame = core::hint::black_box([depth; 16]);
        if depth == u64::MAX { 0 } else { descend(depth + 1).wrapping_add(frame[0]) }
    }
    core::hint::black_box(descend(0));
}

#[macros::kernel_test(should_fault = "kernel stack overflow in task 'a_frame_larger")]
fn a_frame_larger_than_the_guard_is_an_overflow() {
    crate::crash::overflow_at_once();
}
