//! The 8254 timer, used once at boot as a yardstick: channel 2 counts down while its
//! gate is open, and port 0x61 shows when it is done (Intel 8254 data sheet, mode 0).

use crate::port::Port;

use super::calibrate::{self, Bounds, CalibrationError};
use super::tsc;

/// Ticks a second.
pub const RATE_HZ: u64 = 1_193_182;

const GATE: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OUTPUT: u8 = 1 << 5;

/// TSC ticks before the timer counts as absent: at least 0.4 s on any CPU there is, some
/// twenty times the longest run.
const MAX_TSC_TICKS: u64 = 4_000_000_000;
/// The same in polls of the output pin, for a TSC that stands still. A poll takes about a
/// microsecond on a PC, a hundredth of that in an emulator that counts instructions.
const MAX_POLLS: u32 = 50_000_000;

/// Runs channel 2 for `ticks` ticks (2 or more). Returns the least and the most that `clock`
/// went on while it took those ticks, give or take one; `None` if the timer does not answer.
pub fn measure(ticks: u16, clock: impl Fn() -> u64) -> Option<(u64, u64)> {
    // SAFETY: fixed ports of the 8254 and of the system control port, which do no DMA.
    // Nothing else in the kernel uses channel 2, and this runs on the boot CPU only.
    let (command, channel, control) = unsafe {
        (Port::<u8>::new(0x43), Port::<u8>::new(0x42), Port::<u8>::new(0x61))
    };
    let before = control.read();
    control.write(before & !(GATE | SPEAKER));
    command.write(0b1011_0000); // channel 2, both bytes, mode 0, binary
    channel.write(ticks as u8);
    // It starts with the second byte in some emulators, with the gate in a PC.
    let before_start = clock();
    channel.write((ticks >> 8) as u8);
    control.write(before & !SPEAKER | GATE);
    let after_start = clock();
    let first = tsc::read();
    let mut polls = 0;
    // What the clock showed before the timer was last seen running, and after it was seen
    // to have ended.
    let (mut running, mut ended) = (after_start, None);
    let mut now = after_start;
    while ended.is_none() && polls < MAX_POLLS && tsc::read().wrapping_sub(first) < MAX_TSC_TICKS {
        let has_ended = control.read() & OUTPUT != 0;
        let after = clock();
        if has_ended {
            ended = Some(after);
        } else {
            (running, now) = (now, after);
        }
        polls += 1;
    }
    control.write(before);
    // A missing timer either never answers or (floating bus) answers at once.
    let ended = ended.filter(|_| polls > 3)?;
    Some((running.wrapping_sub(after_start), ended.wrapping_sub(before_start)))
}

/// Ticks of a quarter of a millisecond.
const QUARTER: u16 = 298;

/// The TSC's rate in Hz. About 1.3 ms where reading a port takes no time to speak of (an
/// emulator that counts instructions), else some milliseconds.
///
/// # Errors
/// As [`CalibrationError`] says.
pub fn measure_tsc() -> Result<u64, CalibrationError> {
    calibrate::rate(|quarters| {
        let ticks = QUARTER.saturating_mul(quarters as u16);
        let elapsed = measure(ticks, tsc::read)?;
        let ticks = u64::from(ticks);
        Some(Bounds::of_run(elapsed, (ticks - 1, ticks + 1), RATE_HZ))
    })
}
