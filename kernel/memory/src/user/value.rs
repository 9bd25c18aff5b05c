//! [`UserValue`]: types that may be copied to and from user memory byte by byte.

use abi::{fcntl, ioctl, poll, resource, stat, termios, time, utsname};

/// A type without padding and for which every bit pattern is a value.
///
/// # Safety
/// Both must be true: padding would show user programs old kernel memory, and a missing
/// bit pattern would let them make an invalid value.
pub unsafe trait UserValue: Copy + 'static {
    /// The value whose bytes are all zero.
    const ZERO: Self;
}

macro_rules! user_value {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: integers, or `repr(C)` structs and arrays of integers whose fields
        // fill them: see the size assertions below.
        unsafe impl UserValue for $type {
            // SAFETY: all-zero bytes are a value of any such type.
            const ZERO: Self = unsafe { core::mem::zeroed() };
        }
    )+};
}

user_value!(u8, u16, u32, u64, i8, i16, i32, i64, usize, isize);
user_value!(
    stat::stat,
    stat::statx,
    stat::statx_timestamp,
    stat::statfs,
    time::__kernel_timespec,
    time::__kernel_old_timeval,
    fcntl::iovec,
    poll::pollfd,
    resource::rlimit64,
    resource::rusage,
    utsname::new_utsname,
    termios::termios,
    ioctl::winsize,
);

// SAFETY: an array of such values has no padding of its own.
unsafe impl<T: UserValue, const N: usize> UserValue for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

const _: () = {
    assert!(size_of::<stat::stat>() == 3 * 8 + 4 * 4 + 13 * 8);
    assert!(size_of::<stat::statx_timestamp>() == 16);
    assert!(size_of::<stat::statx>() == 256);
    assert!(size_of::<stat::statfs>() == 7 * 8 + 8 + 3 * 8 + 4 * 8);
    assert!(size_of::<time::__kernel_timespec>() == 16);
    assert!(size_of::<time::__kernel_old_timeval>() == 16);
    assert!(size_of::<fcntl::iovec>() == 16);
    assert!(size_of::<poll::pollfd>() == 8);
    assert!(size_of::<resource::rlimit64>() == 16);
    assert!(size_of::<resource::rusage>() == 2 * 16 + 14 * 8);
    assert!(size_of::<utsname::new_utsname>() == 6 * 65);
    assert!(size_of::<termios::termios>() == 4 * 4 + 1 + 19);
    assert!(size_of::<ioctl::winsize>() == 4 * 2);
};

pub(super) fn as_bytes<T: UserValue>(value: &T) -> &[u8] {
    // SAFETY: no padding, so every byte is initialised.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

pub(super) fn as_bytes_mut<T: UserValue>(value: &mut T) -> &mut [u8] {
    // SAFETY: no padding, and whatever is written is a value.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(value).cast(), size_of::<T>()) }
}
