//! The CPU's timer: the local APIC's, one shot at a time, set for whatever is due next.
//! A CPU with nothing due is interrupted for the watchdog alone.

use core::sync::atomic::{AtomicU64, Ordering};

use arch::irqchip::lapic::{self, Access};
use arch::timer::calibrate::{self, Bounds, CalibrationError};
use base::{irq, time, watchdog};
use memory::kernel_space::IoMem;

use crate::sched::balance::balance;
use crate::sched::queue::{RunQueue, with_queue};

/// Timer ticks per second; 0 until [`init`].
static RATE: AtomicU64 = AtomicU64::new(0);

/// Why there is no timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerError {
    /// The local APIC's registers could not be mapped.
    NoRegisters,
    /// The timer does not count, or not steadily.
    NotCounting(CalibrationError),
    /// Somebody has its vector.
    VectorInUse,
}

/// Nanoseconds of a quarter of the shortest run that may tell the timer's rate.
const QUARTER_NS: u64 = 62_500;
/// Looks at the clock before it counts as stopped: some hundred times the longest run.
const MAX_LOOKS: u32 = 100_000_000;

/// Counts the timer's ticks for at least `ns` nanoseconds of the clock.
fn run(ns: u64) -> Option<Bounds> {
    let read = || {
        let before = time::now_ns();
        (before, lapic::timer_current(), time::now_ns())
    };
    lapic::start_timer_silent();
    let (before_first, first, after_first) = read();
    let mut looks = 0;
    while time::now_ns().saturating_sub(after_first) < ns {
        looks += 1;
        if looks == MAX_LOOKS {
            return None;
        }
        core::hint::spin_loop();
    }
    let (before_last, last, after_last) = read();
    let ticks = u64::from(first.checked_sub(last).filter(|&ticks| ticks > 1)?);
    let elapsed = (before_last - after_first, after_last - before_first);
    Some(Bounds::of_run((ticks - 1, ticks + 1), elapsed, 1_000_000_000))
}

/// Ticks per second, measured against the clock.
fn measure() -> Result<u64, CalibrationError> {
    calibrate::rate(|quarters| run(QUARTER_NS * u64::from(quarters)))
}

/// Maps and enables the local APIC, measures its timer and takes its interrupt. Call
/// once, interrupts off, after the clock and [`crate::init`].
///
/// # Errors
/// As [`TimerError`] says.
pub fn init() -> Result<(), TimerError> {
    if let Access::Memory(page) = lapic::access() {
        let registers = IoMem::map(page.as_u64(), 4096).map_err(|_| TimerError::NoRegisters)?;
        // SAFETY: the page that `access` named, uncacheable, and never unmapped: the
        // owner is forgotten.
        unsafe { lapic::set_page(registers.address().as_u64()) };
        core::mem::forget(registers);
    }
    lapic::init(true);
    let rate = measure();
    lapic::start_timer(0);
    let rate = rate.map_err(TimerError::NotCounting)?;
    RATE.store(rate, Ordering::Relaxed);
    irq::claim_local(lapic::TIMER_VECTOR, "timer", on_alarm)
        .map_err(|_| TimerError::VectorInUse)?;
    with_queue(RunQueue::set_alarm);
    Ok(())
}

/// Ticks of the timer per second.
pub fn rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

fn on_alarm() {
    watchdog::on_timer(time::now_ns());
    if with_queue(|queue| queue.on_alarm()) {
        balance(time::now_ns());
    }
}

/// Prepares the local APIC of another CPU than the boot CPU; its timer runs at the same rate.
pub(crate) fn init_secondary() {
    lapic::init(false);
}

/// Sets this CPU's timer for the time `due` of the clock; false if there is none yet.
pub(crate) fn set(due: u64) -> bool {
    let rate = RATE.load(Ordering::Relaxed);
    if rate == 0 {
        return false;
    }
    let ns = due.saturating_sub(time::now_ns());
    let ticks = u128::from(ns) * u128::from(rate) / 1_000_000_000;
    // Too far away for one shot: the alarm is then early and sets itself again. Rounded
    // up, so that it is not early otherwise; 0 would stop the timer.
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX - 1).saturating_add(1);
    lapic::start_timer(ticks);
    true
}

#[base::kernel_test]
fn the_timer_keeps_the_clocks_time() {
    // Interrupts off: the timer is not needed meanwhile, and then set anew.
    let lock = base::sync::IrqSpinLock::new("test timer", ());
    let guard = lock.lock();
    let bounds = run(5_000_000).expect("the timer counts");
    on_alarm();
    drop(guard);
    // Each of clock and rate may be 0.1 % off, whatever the host did meanwhile.
    let (rate, off) = (rate(), rate() / 500);
    assert!(rate <= bounds.high + off && rate + off >= bounds.low, "{rate} Hz, but {bounds:?}");
}
