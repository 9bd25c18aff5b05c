//! The 8254 timer, used at boot as a yardstick: channel 2 counts down while its gate is
//! open, and its count is latched now and then (Intel 8254 data sheet, mode 0).

use crate::port::Port;

use super::calibrate::{self, Bounds, CalibrationError};
use super::tsc;

/// Ticks a second.
pub const RATE_HZ: u64 = 1_193_182;

const GATE: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OUTPUT: u8 = 1 << 5;
/// Command: channel 2, both bytes, mode 0, binary.
const COUNT_DOWN: u8 = 0b1011_0000;
/// Command: keep the count of channel 2 for the next two reads.
const LATCH: u8 = 0b1000_0000;

/// TSC ticks before the timer counts as absent: at least 0.4 s on any CPU there is, some
/// twenty times the longest run.
const MAX_TSC_TICKS: u64 = 4_000_000_000;
/// The same in looks at the count, for a TSC that stands still. One takes some microseconds
/// on a PC, a hundredth of that in an emulator that counts instructions.
const MAX_LOOKS: u32 = 2_000_000;
/// Looks of which the quickest counts. The host takes the CPU away in one of them, perhaps.
const TRIES: u32 = 3;

/// The count at a moment between two readings of a clock.
#[derive(Clone, Copy)]
struct Look {
    /// Ticks until the end, 1 to 65536.
    count: u32,
    before: u64,
    after: u64,
}

/// The channel, running; stopped on drop.
struct Channel {
    command: Port<u8>,
    data: Port<u8>,
    control: Port<u8>,
    control_before: u8,
}

impl Channel {
    /// Starts to count down from 65536, which takes 55 ms.
    fn start() -> Self {
        // SAFETY: fixed ports of the 8254 and of the system control port, which do no DMA.
        // Nothing else in the kernel uses channel 2, and this runs on the boot CPU only.
        let (command, data, control) =
            unsafe { (Port::<u8>::new(0x43), Port::<u8>::new(0x42), Port::<u8>::new(0x61)) };
        let control_before = control.read();
        control.write(control_before & !(GATE | SPEAKER));
        command.write(COUNT_DOWN);
        data.write(0);
        data.write(0);
        control.write(control_before & !SPEAKER | GATE);
        Self { command, data, control, control_before }
    }

    fn look(&self, clock: &impl Fn() -> u64) -> Look {
        let before = clock();
        self.command.write(LATCH);
        let after = clock();
        let (low, high) = (self.data.read(), self.data.read());
        // The first of all shows as 0, for it has 17 bits.
        let count = match u16::from_le_bytes([low, high]) {
            0 => 1 << 16,
            count => count.into(),
        };
        Look { count, before, after }
    }

    /// The quickest of some looks.
    fn good_look(&self, clock: &impl Fn() -> u64) -> Look {
        let mut best = self.look(clock);
        for _ in 1..TRIES {
            let look = self.look(clock);
            if look.after.wrapping_sub(look.before) < best.after.wrapping_sub(best.before) {
                best = look;
            }
        }
        best
    }

    /// Waits until the count is not above `count`. False if that takes too long.
    fn wait_for(&self, count: u32) -> bool {
        let first = tsc::read();
        for _ in 0..MAX_LOOKS {
            if self.has_ended() || self.look(&|| 0).count <= count {
                return true;
            }
            if tsc::read().wrapping_sub(first) > MAX_TSC_TICKS {
                break;
            }
        }
        false
    }

    /// Whether the count has been at 0, and goes round.
    fn has_ended(&self) -> bool {
        self.control.read() & OUTPUT != 0
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.control.write(self.control_before);
    }
}

/// A clock and the timer over the same time: each the least and the most that it went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The clock's ticks.
    pub clock: (u64, u64),
    /// The timer's.
    pub timer: (u64, u64),
}

/// Runs the timer and `clock` side by side for some `ticks` of the timer, up to 50000. The
/// inner `None` means that it took so long that the timer went round.
///
/// Returns `None` if the timer does not answer.
pub fn measure(ticks: u16, clock: impl Fn() -> u64) -> Option<Option<Run>> {
    let channel = Channel::start();
    // The first count is loaded with the next tick or two, and may be anything before. A
    // missing timer never gets on, or has ended from the start (a floating bus).
    if channel.has_ended() || !channel.wait_for(0xfff8) {
        return None;
    }
    let first = channel.good_look(&clock);
    if !channel.wait_for(first.count.saturating_sub(ticks.into())) {
        return None;
    }
    let last = channel.good_look(&clock);
    if channel.has_ended() || last.count >= first.count {
        return Some(None);
    }
    let ticks = u64::from(first.count - last.count);
    Some(Some(Run {
        clock: (last.before.wrapping_sub(first.after), last.after.wrapping_sub(first.before)),
        timer: (ticks - 1, ticks + 1),
    }))
}

/// The TSC's rate as one run of some `ticks` tells it; `None` if the timer does not answer.
pub fn tsc_bounds(ticks: u16) -> Option<Bounds> {
    let run = measure(ticks, tsc::read)?;
    Some(run.map_or(Bounds::ANY, |run| Bounds::of_run(run.clock, run.timer, RATE_HZ)))
}

/// Ticks of a quarter of a millisecond.
const QUARTER: u16 = 298;

/// The TSC's rate in Hz. About 1.3 ms where reading a port takes no time to speak of (an
/// emulator that counts instructions), else some milliseconds.
///
/// # Errors
/// As [`CalibrationError`] says.
pub fn measure_tsc() -> Result<u64, CalibrationError> {
    calibrate::rate(|quarters| tsc_bounds(QUARTER.saturating_mul(quarters as u16)))
}

/// Makes channel 0 raise its line once, `ticks` ticks from now: for tests of interrupts.
/// The kernel does not use the channel otherwise.
pub fn interrupt_once(ticks: u16) {
    // SAFETY: fixed ports of the 8254, which does no DMA; channel 0 is nobody's.
    let (command, channel) = unsafe { (Port::<u8>::new(0x43), Port::<u8>::new(0x40)) };
    command.write(0b0011_0000); // channel 0, both bytes, mode 0, binary
    channel.write(ticks as u8);
    channel.write((ticks >> 8) as u8);
}
