//! The high-precision event timer: a counter of known rate (IA-PC HPET specification 1.0a).
//!
//! The kernel reads the main counter. A comparator is used by a test alone: it makes
//! level-triggered interrupts.

use super::calibrate::Bounds;
use super::tsc;

/// Bytes of registers that are used.
pub const REGISTER_BYTES: usize = 0x400;

const CAPABILITIES: u64 = 0x000;
const CONFIGURATION: u64 = 0x010;
const STATUS: u64 = 0x020;
const COUNTER: u64 = 0x0f0;
/// Configuration and comparator of the first timer.
const TIMER: u64 = 0x100;
const COMPARATOR: u64 = 0x108;

const ENABLE: u64 = 1 << 0;
/// Takes the lines of the 8254 and the real-time clock.
const LEGACY: u64 = 1 << 1;
const IS_64_BITS: u64 = 1 << 13;
const TIMER_LEVEL: u64 = 1 << 1;
const TIMER_ENABLE: u64 = 1 << 2;
const TIMER_ROUTE_SHIFT: u64 = 9;

/// Femtoseconds in a second.
const FEMTO: u64 = 1_000_000_000_000_000;
/// The longest period that the specification allows, in femtoseconds.
const MAX_PERIOD: u64 = 100_000_000;
/// TSC ticks in which a counter must go on: a tenth of a millisecond or more.
const PATIENCE: u64 = 1_000_000;
/// The same in reads, for a TSC that stands still.
const MAX_READS: u32 = 100_000;
/// Looks of which the quickest counts.
const TRIES: u32 = 5;

/// The HPET, running.
#[derive(Debug)]
pub struct Hpet {
    page: u64,
    period: u64,
    is_64_bits: bool,
}

impl Hpet {
    /// The HPET whose registers are mapped at `page`, set running; `None` if nothing useful
    /// is there.
    ///
    /// # Safety
    /// `page` must be the HPET's registers, [`REGISTER_BYTES`] mapped uncacheable and
    /// writable for good, and this must be the only value for it.
    pub unsafe fn new(page: u64) -> Option<Self> {
        let mut hpet = Self { page, period: 0, is_64_bits: false };
        let capabilities = hpet.read(CAPABILITIES);
        hpet.period = capabilities >> 32;
        hpet.is_64_bits = capabilities & IS_64_BITS != 0;
        if capabilities == u64::MAX || hpet.period == 0 || hpet.period > MAX_PERIOD {
            return None;
        }
        let configuration = hpet.read(CONFIGURATION);
        hpet.write(CONFIGURATION, configuration & !LEGACY | ENABLE);
        hpet.counts().then_some(hpet)
    }

    fn read(&self, register: u64) -> u64 {
        // SAFETY: `new`'s caller mapped the registers.
        unsafe { ((self.page + register) as *const u64).read_volatile() }
    }

    fn write(&self, register: u64, value: u64) {
        // SAFETY: as `read`; a timer makes interrupts, nothing else.
        unsafe { ((self.page + register) as *mut u64).write_volatile(value) }
    }

    fn counts(&self) -> bool {
        let (first, start) = (self.counter(), tsc::read());
        for _ in 0..MAX_READS {
            if self.counter() != first {
                return true;
            }
            if tsc::read().wrapping_sub(start) > PATIENCE {
                break;
            }
        }
        false
    }

    /// The main counter. One of 32 bits goes round every few minutes.
    #[inline]
    pub fn counter(&self) -> u64 {
        let counter = self.read(COUNTER);
        if self.is_64_bits { counter } else { counter & 0xffff_ffff }
    }

    /// Whether the counter has 64 bits, and so never goes round.
    pub fn is_64_bits(&self) -> bool {
        self.is_64_bits
    }

    /// Femtoseconds of one tick.
    pub fn period_fs(&self) -> u64 {
        self.period
    }

    /// Ticks a second.
    pub fn rate(&self) -> u64 {
        FEMTO / self.period
    }

    /// The ticks from one reading of the counter to a later one.
    pub fn since(&self, start: u64, end: u64) -> u64 {
        let ticks = end.wrapping_sub(start);
        if self.is_64_bits { ticks } else { ticks & 0xffff_ffff }
    }

    /// The counter between two readings of the TSC: the quickest of some looks.
    fn look(&self) -> (u64, u64, u64) {
        let look = || (tsc::read(), self.counter(), tsc::read());
        let mut best = look();
        for _ in 1..TRIES {
            let next = look();
            if next.2.wrapping_sub(next.0) < best.2.wrapping_sub(best.0) {
                best = next;
            }
        }
        best
    }

    /// The TSC's rate as one run of some `ticks` tells it.
    pub fn tsc_bounds(&self, ticks: u64) -> Bounds {
        let (before_first, first, after_first) = self.look();
        let mut reads = 0;
        // It is known to count; a read takes 50 ns or more, an emulator's some instructions.
        while self.since(first, self.counter()) < ticks && reads < 100 * MAX_READS {
            reads += 1;
            core::hint::spin_loop();
        }
        let (before_last, last, after_last) = self.look();
        let ticks = self.since(first, last);
        if ticks < 2 {
            return Bounds::ANY;
        }
        let elapsed =
            (before_last.wrapping_sub(after_first), after_last.wrapping_sub(before_first));
        Bounds::of_run(elapsed, (ticks - 1, ticks + 1), self.rate())
    }

    /// The lines of I/O APICs that the first timer can use: bit n stands for line n.
    pub fn lines(&self) -> u32 {
        (self.read(TIMER) >> 32) as u32
    }

    /// Makes `line` (one of [`Hpet::lines`]) active in `ticks` ticks, until
    /// [`Hpet::release`]. For tests.
    pub fn interrupt_in(&self, ticks: u64, line: u8) {
        self.write(STATUS, 1);
        self.write(COMPARATOR, self.counter().wrapping_add(ticks));
        self.write(TIMER, TIMER_LEVEL | TIMER_ENABLE | u64::from(line & 31) << TIMER_ROUTE_SHIFT);
    }

    /// Whether the line is active; makes it inactive.
    pub fn release(&self) -> bool {
        let was_active = self.read(STATUS) & 1 != 0;
        self.write(STATUS, 1);
        was_active
    }

    /// Stops the timer that [`Hpet::interrupt_in`] started, and makes its line inactive:
    /// before the timer forgets which one it is, and again if it became active in between.
    pub fn stop_interrupts(&self) {
        self.write(STATUS, 1);
        self.write(TIMER, self.read(TIMER) & !TIMER_ENABLE);
        self.write(STATUS, 1);
        self.write(TIMER, 0);
    }
}
