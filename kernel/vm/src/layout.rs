//! Who lies where in a user address space, from low to high addresses:
//!
//! ```text
//! USER_START     programs at fixed addresses (ET_EXEC), then their break
//! PIE_BASE       position-independent programs, then their break
//! … MMAP_TOP     what mmap places, from the top down
//!                GUARD_BYTES that nothing is placed in
//! … STACK_TOP    the main thread's stack, STACK_BYTES
//! ```

pub use arch::paging::{USER_END, USER_START};

/// The end of the main thread's stack; the last page below the non-canonical hole stays
/// free, since a `syscall` at its end would return to a non-canonical address.
pub const STACK_TOP: u64 = USER_END;
/// Bytes of the main thread's stack, at most: `RLIMIT_STACK`.
pub const STACK_BYTES: u64 = 8 << 20;
/// Bytes below the stack where mmap without `MAP_FIXED` places nothing, so that a stack
/// that overflows meets no other mapping.
pub const GUARD_BYTES: u64 = 1 << 20;
/// What mmap places ends here.
pub const MMAP_TOP: u64 = STACK_TOP - STACK_BYTES - GUARD_BYTES;
/// Where position-independent programs are put: two thirds up, as on Linux.
pub const PIE_BASE: u64 = 0x5555_5555_4000;
