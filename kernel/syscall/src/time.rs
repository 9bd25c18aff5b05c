//! Clocks and sleeping.

use abi::time::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_THREAD_CPUTIME_ID,
    TIMER_ABSTIME, Timespec, Timeval,
};
use abi::{Errno, Result};
use drivers::rtc;
use memory::user::UserSlice;
use task::{WaitOptions, sleep_until};

use crate::call::{Call, write_optional};

const SECOND_NS: u64 = 1_000_000_000;

fn to_timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / SECOND_NS) as i64, tv_nsec: (ns % SECOND_NS) as i64 }
}

/// The nanoseconds of a time that a program gave.
fn from_timespec(time: Timespec) -> Result<u64> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::EINVAL)?;
    let ns = u64::try_from(time.tv_nsec).ok().filter(|&ns| ns < SECOND_NS).ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(ns))
}

/// What a clock shows, in nanoseconds.
fn now(clock: u64) -> Result<u64> {
    Ok(match clock as u32 {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => rtc::now_ns(),
        // The machine does not sleep, so the boot clock is the monotonic one.
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME => {
            base::time::now_ns()
        }
        CLOCK_PROCESS_CPUTIME_ID | CLOCK_THREAD_CPUTIME_ID => task::cpu_time_ns(),
        _ => return Err(Errno::EINVAL),
    })
}

/// clock_gettime(2).
pub(crate) fn clock_gettime(call: &Call<'_>) -> Result<usize> {
    let [clock, to, ..] = call.args;
    UserSlice::write_value(to, &to_timespec(now(clock)?))?;
    Ok(0)
}

/// clock_getres(2): a nanosecond, for the clock counts cycles.
pub(crate) fn clock_getres(call: &Call<'_>) -> Result<usize> {
    let [clock, to, ..] = call.args;
    now(clock)?;
    write_optional(to, &to_timespec(1))?;
    Ok(0)
}

/// gettimeofday(2). The time zone is always UTC's.
pub(crate) fn gettimeofday(call: &Call<'_>) -> Result<usize> {
    let [to, zone, ..] = call.args;
    let micros = rtc::now_ns() / 1000;
    let time =
        Timeval { tv_sec: (micros / 1_000_000) as i64, tv_usec: (micros % 1_000_000) as i64 };
    write_optional(to, &time)?;
    write_optional(zone, &[0i32; 2])?;
    Ok(0)
}

/// time(2).
pub(crate) fn time(call: &Call<'_>) -> Result<usize> {
    let [to, ..] = call.args;
    let seconds = rtc::now_ns() / SECOND_NS;
    write_optional(to, &seconds)?;
    Ok(seconds as usize)
}

/// Sleeps until `deadline` of the monotonic clock. If a signal ends it early: `EINTR`, and
/// what is left at `remaining`, unless that is null.
fn sleep(deadline: u64, remaining: u64) -> Result<usize> {
    let options = WaitOptions { deadline: Some(deadline), interruptible: true };
    if sleep_until(options).is_ok() {
        return Ok(0);
    }
    let left = deadline.saturating_sub(base::time::now_ns());
    write_optional(remaining, &to_timespec(left))?;
    Err(Errno::EINTR)
}

/// nanosleep(2).
pub(crate) fn nanosleep(call: &Call<'_>) -> Result<usize> {
    let [length, remaining, ..] = call.args;
    let length = from_timespec(UserSlice::read_value(length)?)?;
    if length == 0 {
        return Ok(0);
    }
    sleep(base::time::now_ns().saturating_add(length), remaining)
}

/// clock_nanosleep(2), which returns its error as a positive number only in the C library.
pub(crate) fn clock_nanosleep(call: &Call<'_>) -> Result<usize> {
    let [clock, flags, time, remaining, ..] = call.args;
    if !matches!(clock as u32, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME) {
        now(clock)?;
        return Err(Errno::EOPNOTSUPP);
    }
    let time = from_timespec(UserSlice::read_value(time)?)?;
    let monotonic = base::time::now_ns();
    if flags as u32 & TIMER_ABSTIME == 0 {
        return sleep(monotonic.saturating_add(time), remaining);
    }
    // The wall clock is never set, so its times are monotonic ones with an offset.
    let ahead = now(clock)?.saturating_sub(monotonic);
    sleep(time.saturating_sub(ahead), 0)
}
