//! [`Trace`]: a short backtrace that is taken at every lock of a debug build, so it must be
//! cheap: return addresses only, at most [`FRAMES`] of them, in words when printed.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch::boot::image_layout;
use arch::trap::syscall_return_sites;
use arch::unwind::caller;

use super::cpus::this_cpu;
use crate::backtrace::readable;
use crate::symbols::Caller;

/// Return addresses that are kept.
const FRAMES: usize = 8;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Return addresses, innermost first; the rest is zero. The lower halves: the kernel's
/// text lies in the top 2 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace([u32; FRAMES]);

/// Where a function was called from; [`Here::trace`] walks on from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    address: u64,
    frame: u64,
}

impl Here {
    /// Of the function that this stands in. That function must not be inlined.
    #[inline(always)]
    pub(super) fn of_caller() -> Self {
        let (address, frame) = caller();
        Self { address, frame }
    }

    /// The backtrace, as long as the function has not returned.
    pub(super) fn trace(self) -> Trace {
        match this_cpu() {
            Some(cpu) => self.walk(&cpu.stack),
            None => self.walk(&KnownPages::none()),
        }
    }

    fn walk(self, stack: &KnownPages) -> Trace {
        let (start, end) = image_layout().text;
        let text = start.as_u64()..end.as_u64();
        let mut trace = [0; FRAMES];
        let (mut frame, mut address) = (self.frame, self.address);
        for slot in &mut trace {
            *slot = address as u32; // the lower half
            if frame == 0 || !frame.is_multiple_of(8) || !stack.can_read(frame) {
                break;
            }
            // SAFETY: these 16 bytes can be read, as `can_read` says. Whatever they are, they
            // are only compared, and asked about before the next step.
            let [next, return_address] = unsafe { *(frame as *const [u64; 2]) };
            if !text.contains(&return_address) {
                break;
            }
            address = return_address;
            if syscall_return_sites().contains(&address) {
                // What comes next is what the user had in rbp: nothing to look at. The stack of
                // another task, say, may be gone just after `can_read`.
                frame = 0;
                continue;
            }
            // A frame lies above those that it called; other things end the walk.
            frame = if next > frame { next } else { 0 };
        }
        Trace(trace)
    }
}

/// Pages next to one another that are known to be mapped: those of the stack that a CPU
/// runs on, as far as it has been walked. To look a page up is what costs, so each is
/// looked up once until the CPU runs on another stack.
pub(super) struct KnownPages(AtomicU64);

impl KnownPages {
    /// Bits for the number of pages; the first page's number stands above them.
    const COUNT_BITS: u32 = 8;

    pub(super) const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether the 16 bytes at `address`, which is a multiple of 8, can be read.
    #[inline(always)]
    fn can_read(&self, address: u64) -> bool {
        let (first, last) = (address / PAGE, (address + 8) / PAGE);
        let known = self.0.load(Ordering::Relaxed);
        let (start, count) = (known >> Self::COUNT_BITS, known & ((1 << Self::COUNT_BITS) - 1));
        let is_known = |page: u64| page.wrapping_sub(start) < count;
        (is_known(first) && is_known(last)) || self.look_up(address)
    }

    #[cold]
    fn look_up(&self, address: u64) -> bool {
        // Before there are page tables of ours nothing can be looked up in them; the boot
        // stack is there.
        let (bottom, top) = image_layout().boot_stack;
        let boot_stack = bottom.as_u64()..top.as_u64() - 15;
        if !boot_stack.contains(&address) && !readable(address) {
            return false;
        }
        let page = address / PAGE;
        let known = self.0.load(Ordering::Relaxed);
        let (start, count) = (known >> Self::COUNT_BITS, known & ((1 << Self::COUNT_BITS) - 1));
        // The next one, the one before, or others.
        let (start, count) = if page == start + count && count < 32 {
            (start, count + 1)
        } else if page + 1 == start && count < 32 {
            (page, count + 1)
        } else {
            (page, 1)
        };
        self.0.store(start << Self::COUNT_BITS | count, Ordering::Relaxed);
        true
    }
}

impl Trace {
    /// The return addresses.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        // The sign extended: addresses of the top 2 GiB.
        self.0.iter().take_while(|&&low| low != 0).map(|&low| i64::from(low as i32) as u64)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addresses().try_for_each(|address| writeln!(f, "      {}", Caller(address)))
    }
}

/// A [`Trace`] that other CPUs may read while it is written; they may see a mixture.
pub(super) struct SharedTrace([AtomicU32; FRAMES]);

impl SharedTrace {
    pub(super) const fn empty() -> Self {
        Self([const { AtomicU32::new(0) }; FRAMES])
    }

    pub(super) fn store(&self, trace: Trace) {
        for (to, from) in self.0.iter().zip(trace.0) {
            to.store(from, Ordering::Relaxed);
        }
    }

    pub(super) fn load(&self) -> Trace {
        Trace(core::array::from_fn(|index| self.0[index].load(Ordering::Relaxed)))
    }
}

#[macros::kernel_test]
fn a_trace_of_here_begins_here() {
    #[inline(never)]
    fn take() -> Trace {
        core::hint::black_box(Here::of_caller()).trace()
    }
    let trace = core::hint::black_box(take());
    let start = a_trace_of_here_begins_here as fn() as usize as u64;
    let first = trace.addresses().next();
    assert!(first.is_some_and(|first| (start..start + 4096).contains(&first)), "{trace}");
    assert!(trace.addresses().count() > 1, "{trace}");
    assert!(trace.addresses().all(crate::backtrace::is_text));
}

#[macros::kernel_test]
fn a_trace_ends_where_a_system_call_began() {
    let here = a_trace_ends_where_a_system_call_began as fn() as usize as u64 + 1;
    for site in syscall_return_sites() {
        // From the bottom of the stack to its top: one frame each.
        let frames = [[0, 0], [0, here], [0, site], [0, here]].map(core::cell::Cell::new);
        let at = |index: usize| frames[index].as_ptr() as u64;
        for (index, frame) in frames.iter().enumerate().take(3) {
            frame.set([at(index + 1), frame.get()[1]]);
        }
        let trace = Here { address: here, frame: at(1) }.trace();
        assert!(trace.addresses().eq([here, here, site]), "{trace}");
    }
}
