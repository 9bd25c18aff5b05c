//! The local APIC: end of interrupt, the timer, and LINT0 for the 8259A pair (Intel SDM
//! volume 3, chapter 11). xAPIC through memory, or x2APIC through MSRs where firmware
//! left it in that mode.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::msr;
use crate::paging::PhysAddr;

/// Vector of spurious interrupts of the local APIC; its low four bits are set, as older
/// APICs demand.
pub const SPURIOUS_VECTOR: u8 = 0xff;
/// Vector of the timer.
pub const TIMER_VECTOR: u8 = 0xef;

/// Register offsets in the xAPIC page; the x2APIC MSR is 0x800 plus a sixteenth.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Register {
    Id = 0x20,
    Version = 0x30,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    SpuriousVector = 0xf0,
    LvtTimer = 0x320,
    LvtLint0 = 0x350,
    LvtLint1 = 0x360,
    LvtError = 0x370,
    TimerInitial = 0x380,
    TimerCurrent = 0x390,
    TimerDivide = 0x3e0,
}

const LVT_MASKED: u32 = 1 << 16;
const LVT_EXTINT: u32 = 7 << 8;
const LVT_NMI: u32 = 4 << 8;
const APIC_ENABLE: u32 = 1 << 8;
const X2APIC_MODE: u64 = 1 << 10;
const GLOBAL_ENABLE: u64 = 1 << 11;
const DIVIDE_BY_16: u32 = 0b0011;

/// Virtual address of the register page, 0 in x2APIC mode. The same on every CPU.
static PAGE: AtomicU64 = AtomicU64::new(0);

/// How the registers of this CPU's local APIC are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through the page at this physical address, which must be mapped uncacheable.
    Memory(PhysAddr),
    /// Through MSRs.
    Msr,
}

/// Asks the CPU; enables the APIC globally if firmware had not.
pub fn access() -> Access {
    // SAFETY: every x86_64 CPU has the register; enabling an APIC whose software-enable
    // bit is still off delivers nothing yet.
    unsafe {
        let base = msr::read(msr::APIC_BASE);
        if base & GLOBAL_ENABLE == 0 {
            msr::write(msr::APIC_BASE, base | GLOBAL_ENABLE);
        }
        if base & X2APIC_MODE != 0 {
            Access::Msr
        } else {
            Access::Memory(PhysAddr::new(base & 0x000f_ffff_ffff_f000))
        }
    }
}

/// Tells this module where the register page is mapped (xAPIC only).
///
/// # Safety
/// `page` must be the page that [`access`] named, mapped uncacheable and writable for
/// good.
pub unsafe fn set_page(page: u64) {
    PAGE.store(page, Ordering::Release);
}

fn read(register: Register) -> u32 {
    match PAGE.load(Ordering::Relaxed) {
        // SAFETY: no page: x2APIC mode, in which the MSR exists.
        0 => unsafe { msr::read(0x800 + (register as u32 >> 4)) as u32 },
        // SAFETY: `set_page`'s caller mapped the registers there.
        page => unsafe { ((page + register as u64) as *const u32).read_volatile() },
    }
}

fn write(register: Register, value: u32) {
    match PAGE.load(Ordering::Relaxed) {
        // SAFETY: as `read`; the registers written here affect interrupts only.
        0 => unsafe { msr::write(0x800 + (register as u32 >> 4), value.into()) },
        // SAFETY: as `read`.
        page => unsafe { ((page + register as u64) as *mut u32).write_volatile(value) },
    }
}

/// Enables this CPU's local APIC: all priorities accepted, timer and error masked, the
/// 8259A pair on LINT0 if `external`, NMI on LINT1.
pub fn init(external: bool) {
    // First of all: while it is disabled every line of the table stays masked (SDM volume 3,
    // section 11.4.7.2).
    write(Register::SpuriousVector, APIC_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(Register::TaskPriority, 0);
    write(Register::LvtTimer, LVT_MASKED);
    write(Register::LvtError, LVT_MASKED);
    write(Register::LvtLint0, if external { LVT_EXTINT } else { LVT_MASKED });
    write(Register::LvtLint1, LVT_NMI);
    write(Register::TimerDivide, DIVIDE_BY_16);
}

/// This CPU's APIC id.
pub fn id() -> u32 {
    let id = read(Register::Id);
    if PAGE.load(Ordering::Relaxed) == 0 { id } else { id >> 24 }
}

/// The version register's low byte.
pub fn version() -> u8 {
    read(Register::Version) as u8
}

/// Ends the interrupt in service.
pub fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Starts the timer: one interrupt on [`TIMER_VECTOR`] after `count` ticks (of the bus
/// clock divided by 16). 0 stops it.
pub fn start_timer(count: u32) {
    write(Register::LvtTimer, u32::from(TIMER_VECTOR));
    write(Register::TimerInitial, count);
}

/// Runs the timer down from its maximum without an interrupt, to measure its rate.
pub fn start_timer_silent() {
    write(Register::LvtTimer, LVT_MASKED | u32::from(TIMER_VECTOR));
    write(Register::TimerInitial, u32::MAX);
}

/// Ticks left.
pub fn timer_current() -> u32 {
    read(Register::TimerCurrent)
}
