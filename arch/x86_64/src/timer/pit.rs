//! The 8254 timer, used once at boot as a yardstick: channel 2 counts down while its
//! gate is open, and port 0x61 shows when it is done (Intel 8254 data sheet, mode 0).

use crate::port::Port;

use super::tsc;

/// Ticks a second.
pub const RATE_HZ: u64 = 1_193_182;

const GATE: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OUTPUT: u8 = 1 << 5;

/// TSC ticks before the timer counts as absent: at least 0.4 s on any CPU there is, some
/// fifty times the longest run.
const MAX_TSC_TICKS: u64 = 4_000_000_000;
/// The same in polls of the output pin, for a TSC that stands still. A poll takes about a
/// microsecond on a PC, a hundredth of that in an emulator that counts instructions.
const MAX_POLLS: u32 = 50_000_000;

/// Runs channel 2 for `ticks` ticks between `start` and `end`, which read the clocks to
/// be measured. Returns whether the timer answered.
pub fn measure(ticks: u16, mut start: impl FnMut(), mut end: impl FnMut()) -> bool {
    // SAFETY: fixed ports of the 8254 and of the system control port, which do no DMA.
    // Nothing else in the kernel uses channel 2, and this runs on the boot CPU only.
    let (command, channel, control) = unsafe {
        (Port::<u8>::new(0x43), Port::<u8>::new(0x42), Port::<u8>::new(0x61))
    };
    let before = control.read();
    control.write(before & !(GATE | SPEAKER));
    command.write(0b1011_0000); // channel 2, both bytes, mode 0, binary
    channel.write(ticks as u8);
    channel.write((ticks >> 8) as u8);
    control.write(before & !SPEAKER | GATE);
    start();
    let first = tsc::read();
    let mut polls = 0;
    let mut answered = false;
    while !answered && polls < MAX_POLLS && tsc::read().wrapping_sub(first) < MAX_TSC_TICKS {
        answered = control.read() & OUTPUT != 0;
        polls += 1;
    }
    end();
    control.write(before);
    // A missing timer either never answers or (floating bus) answers at once.
    answered && polls > 3
}

/// The TSC's rate in Hz, measured over about 2 ms, the best of three; `None` if the timer
/// does not answer. On a PC a poll too late makes it wrong by 0.05 %.
pub fn measure_tsc() -> Option<u64> {
    const TICKS: u16 = 2_386;
    let mut best = None;
    for _ in 0..3 {
        let (mut from, mut to) = (0, 0);
        if measure(TICKS, || from = tsc::read(), || to = tsc::read()) {
            // A host that was not scheduled makes the run longer, never shorter.
            let rate = (to - from) * RATE_HZ / u64::from(TICKS);
            best = Some(best.map_or(rate, |old: u64| old.min(rate)));
        }
    }
    best
}
