//! The CPU's timer: the local APIC's, one shot at a time, set for whatever is due next.
//! A CPU with nothing due gets no interrupt.

use core::sync::atomic::{AtomicU64, Ordering};

use arch::irqchip::lapic::{self, Access};
use arch::timer::pit;
use base::{irq, time};
use memory::kernel_space::IoMem;

use crate::sched::queue::with_queue;

/// Timer ticks per second; 0 until [`init`].
static RATE: AtomicU64 = AtomicU64::new(0);

/// Why there is no timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerError {
    /// The local APIC's registers could not be mapped.
    NoRegisters,
    /// The timer does not count, or there is no clock to measure it with.
    NotCounting,
    /// Somebody has its vector.
    VectorInUse,
}

/// Ticks per second, measured over about 2 ms against the 8254, or against the clock where
/// there is none.
fn measure() -> u64 {
    const PIT_TICKS: u16 = 2_386;
    let mut left = 0;
    if pit::measure(PIT_TICKS, lapic::start_timer_silent, || left = lapic::timer_current()) {
        return u64::from(u32::MAX - left) * pit::RATE_HZ / u64::from(PIT_TICKS);
    }
    lapic::start_timer_silent();
    let start = time::now_ns();
    time::spin_ns(2_000_000);
    let ticks = u64::from(u32::MAX - lapic::timer_current());
    ticks * 1_000_000_000 / (time::now_ns() - start).max(1)
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
    if rate == 0 {
        return Err(TimerError::NotCounting);
    }
    RATE.store(rate, Ordering::Relaxed);
    irq::claim_local(lapic::TIMER_VECTOR, "timer", on_alarm).map_err(|_| TimerError::VectorInUse)
}

/// Ticks of the timer per second.
pub fn rate() -> u64 {
    RATE.load(Ordering::Relaxed)
}

fn on_alarm() {
    with_queue(|queue| queue.on_alarm());
}

/// Sets this CPU's timer for the time `due` of the clock, or stops it.
pub(crate) fn set_alarm(due: Option<u64>) {
    let rate = RATE.load(Ordering::Relaxed);
    if rate == 0 {
        return;
    }
    let Some(due) = due else { return lapic::start_timer(0) };
    let ns = due.saturating_sub(time::now_ns());
    let ticks = u128::from(ns) * u128::from(rate) / 1_000_000_000;
    // Too far away for one shot: the alarm is then early and sets itself again. Rounded
    // up, so that it is not early otherwise; 0 would stop the timer.
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX - 1).saturating_add(1);
    lapic::start_timer(ticks);
}
