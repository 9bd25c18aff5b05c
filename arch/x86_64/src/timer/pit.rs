//! The 8254 timer, used once at boot as a yardstick: channel 2 counts down while its
//! gate is open, and port 0x61 shows when it is done (Intel 8254 data sheet, mode 0).

use crate::port::Port;

use super::tsc;

/// Ticks a second.
pub const RATE_HZ: u64 = 1_193_182;

const GATE: u8 = 1 << 0;
const SPEAKER: u8 = 1 << 1;
const OUTPUT: u8 = 1 << 5;

/// Polls of the output pin before the timer counts as absent; at port speed (about a
/// microsecond each) some ten times the longest run.
const MAX_POLLS: u32 = 500_000;

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
    let mut polls = 0;
    while control.read() & OUTPUT == 0 && polls < MAX_POLLS {
        polls += 1;
    }
    end();
    control.write(before);
    // A missing timer either never answers or (floating bus) answers at once.
    polls > 2 && polls < MAX_POLLS
}

/// The TSC's rate in Hz, measured over about 10 ms, the best of three; `None` if the
/// timer does not answer.
pub fn measure_tsc() -> Option<u64> {
    const TICKS: u16 = 11_932;
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
