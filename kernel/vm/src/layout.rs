//! Who lies where in a user address space, from low to high addresses:
//!
//! ```text
//! USER_START     programs at fixed addresses (ET_EXEC), then their break
//! pie_base       position-independent programs, then their break
//! … mmap_top     what mmap places, from the top down
//!                room for the stack to grow, and a guard gap
//! … stack_top    the main thread's stack, which grows down to STACK_BYTES at most
//! ```
//!
//! A [`Layout`] is one choice of the three; each program gets a random one.

pub use arch::paging::{USER_END, USER_START};

use crate::PAGE;

/// Bytes of a stack that grows, at most: `RLIMIT_STACK`.
pub const STACK_BYTES: u64 = 8 << 20;
/// Bytes of the main thread's stack that are mapped from the start; the rest comes as it grows.
pub const STACK_START_BYTES: u64 = 132 << 10;
/// Bytes below a stack that grows which stay free of other mappings, so that a stack that
/// overflows meets none (Linux's `stack_guard_gap`).
pub const GUARD_BYTES: u64 = 1 << 20;

/// Pages that the stack's place varies by, as a power of two.
const STACK_BITS: u32 = 22;
/// The same of what mmap places, and of position-independent programs.
const MMAP_BITS: u32 = 28;
/// The same of the gap between a program and its break.
const BREAK_BITS: u32 = 13;

/// Where things are put in one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The end of the main thread's stack. At most [`USER_END`]: the last page below the
    /// non-canonical hole stays free, since a `syscall` at its end would return to a
    /// non-canonical address.
    pub stack_top: u64,
    /// What mmap places ends here.
    pub mmap_top: u64,
    /// Where position-independent programs are put: two thirds up, as on Linux.
    pub pie_base: u64,
    /// Bytes between a program's end and its break, whole pages.
    pub break_gap: u64,
}

impl Layout {
    /// The same for every program: no randomisation.
    pub const FIXED: Self = Self {
        stack_top: USER_END,
        mmap_top: USER_END - STACK_BYTES - GUARD_BYTES,
        pie_base: 0x5555_5555_4000,
        break_gap: 0,
    };

    /// A layout that follows from random bits, as random as on Linux: 22 bits of pages for the
    /// stack, 28 for mmap and for position-independent programs, 13 for the break.
    pub const fn random(bits: [u64; 4]) -> Self {
        let [stack, mmap, pie, gap] = bits;
        const fn pages(bits: u64, count: u32) -> u64 {
            (bits & ((1 << count) - 1)) * PAGE
        }
        let fixed = Self::FIXED;
        let stack_top = fixed.stack_top - pages(stack, STACK_BITS);
        Self {
            stack_top,
            mmap_top: stack_top - STACK_BYTES - GUARD_BYTES - pages(mmap, MMAP_BITS),
            pie_base: fixed.pie_base + pages(pie, MMAP_BITS),
            break_gap: pages(gap, BREAK_BITS),
        }
    }

    /// The lowest address that the main thread's stack can reach.
    pub const fn stack_bottom(&self) -> u64 {
        self.stack_top - STACK_BYTES
    }
}
