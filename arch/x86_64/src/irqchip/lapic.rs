//! The local APIC: mode and registers, end of interrupt, the timer, the two local pins and
//! the error register (Intel SDM volume 3, chapter 11). What CPUs send each other is in
//! `ipi.rs`.
//!
//! x2APIC mode, through MSRs, on every CPU if the boot CPU has it and the firmware does not
//! advise against it ([`avoid_x2apic`]); else xAPIC mode, through a page of memory.
//! [`access`] decides on the boot CPU, [`join`] follows on the others.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use bitflags::bitflags;
use static_assertions::const_assert;

use super::{Polarity, Trigger};
use crate::cpu::msr;
use crate::paging::PhysAddr;

pub use super::ipi::{IpiError, send_init, send_ipi, send_nmi, send_startup};

/// Vector of spurious interrupts of the local APIC; its low four bits are set, as older
/// APICs demand.
pub const SPURIOUS_VECTOR: u8 = 0xff;
/// Vector of the error interrupt.
pub const ERROR_VECTOR: u8 = 0xfe;
/// Vector of the timer.
pub const TIMER_VECTOR: u8 = 0xef;

/// Register offsets in the xAPIC page; the x2APIC MSR is 0x800 plus a sixteenth.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Register {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    SpuriousVector = 0xf0,
    ErrorStatus = 0x280,
    CommandLow = 0x300,
    /// xAPIC only.
    CommandHigh = 0x310,
    LvtTimer = 0x320,
    LvtLint0 = 0x350,
    LvtLint1 = 0x360,
    LvtError = 0x370,
    TimerInitial = 0x380,
    TimerCurrent = 0x390,
    TimerDivide = 0x3e0,
}

impl Register {
    pub(super) const fn msr(self) -> u32 {
        0x800 + (self as u32 >> 4)
    }
}

const_assert!(Register::Id.msr() == 0x802 && Register::EndOfInterrupt.msr() == 0x80b);
const_assert!(Register::ErrorStatus.msr() == 0x828 && Register::CommandLow.msr() == 0x830);
const_assert!(Register::LvtTimer.msr() == 0x832 && Register::TimerDivide.msr() == 0x83e);
const_assert!(Register::TaskPriority.msr() == 0x808);
const_assert!(Register::SpuriousVector.msr() == 0x80f && Register::LvtError.msr() == 0x837);
const_assert!(Register::LvtLint0.msr() == 0x835 && Register::LvtLint1.msr() == 0x836);
const_assert!(Register::TimerInitial.msr() == 0x838 && Register::TimerCurrent.msr() == 0x839);

const LVT_MASKED: u32 = 1 << 16;
const LVT_ACTIVE_LOW: u32 = 1 << 13;
const LVT_LEVEL: u32 = 1 << 15;
const LVT_EXTINT: u32 = 7 << 8;
const LVT_NMI: u32 = 4 << 8;
const APIC_ENABLE: u32 = 1 << 8;
const X2APIC_MODE: u64 = 1 << 10;
const GLOBAL_ENABLE: u64 = 1 << 11;
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const DIVIDE_BY_16: u32 = 0b0011;

/// How the registers are reached, on every CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Not decided yet.
    Unknown,
    /// Through a page of memory.
    XApic,
    /// Through MSRs.
    X2Apic,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::XApic => "xAPIC",
            Self::X2Apic => "x2APIC",
        })
    }
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Unknown as u8);
/// Virtual address of the register page (xAPIC only). The same on every CPU.
static PAGE: AtomicU64 = AtomicU64::new(0);

/// How the registers of this CPU's local APIC are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through the page at this physical address, which must be mapped uncacheable.
    Memory(PhysAddr),
    /// Through MSRs.
    Msr,
}

/// The mode that [`access`] has decided on.
#[inline]
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        0 => Mode::Unknown,
        1 => Mode::XApic,
        _ => Mode::X2Apic,
    }
}

/// Enables this CPU's APIC globally, in x2APIC mode if `x2apic`.
fn enable(x2apic: bool) -> u64 {
    // SAFETY: every x86_64 CPU has the register, and one with x2APIC mode the bit.
    // Enabling delivers nothing that software has not enabled. Mode bits are set one by
    // one, as the transitions of SDM figure 11-27 demand; x2APIC mode, which firmware may
    // have chosen, is never left.
    unsafe {
        let mut base = msr::read(msr::APIC_BASE);
        for bit in [GLOBAL_ENABLE, if x2apic { X2APIC_MODE } else { 0 }] {
            if base & bit != bit {
                base |= bit;
                msr::write(msr::APIC_BASE, base);
            }
        }
        base
    }
}

static AVOID_X2APIC: AtomicBool = AtomicBool::new(false);

/// Makes [`access`] decide on xAPIC mode, unless firmware has switched x2APIC mode on: for
/// machines whose firmware says that it cannot cope with that mode. Call before [`access`].
pub fn avoid_x2apic() {
    AVOID_X2APIC.store(true, Ordering::Relaxed);
}

/// Decides on the mode and enables this CPU's APIC in it. Call on the boot CPU, interrupts
/// off, before anything else here.
pub fn access() -> Access {
    let base = enable(crate::cpu::features().x2apic && !AVOID_X2APIC.load(Ordering::Relaxed));
    if base & X2APIC_MODE != 0 {
        MODE.store(Mode::X2Apic as u8, Ordering::Release);
        Access::Msr
    } else {
        MODE.store(Mode::XApic as u8, Ordering::Release);
        Access::Memory(PhysAddr::new(base & BASE_ADDRESS))
    }
}

/// This CPU cannot use the mode of the boot CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherMode;

/// Enables the APIC of a further CPU in the boot CPU's mode. Call with interrupts off, then
/// [`init`].
///
/// # Errors
/// [`OtherMode`]; this CPU then has no APIC to use.
pub fn join() -> Result<(), OtherMode> {
    let wanted = mode() == Mode::X2Apic;
    if wanted && !crate::cpu::features().x2apic {
        return Err(OtherMode);
    }
    let is = enable(wanted) & X2APIC_MODE != 0;
    if is == wanted { Ok(()) } else { Err(OtherMode) }
}

/// Tells this module where the register page is mapped (xAPIC only).
///
/// # Safety
/// `page` must be the page that [`access`] named, mapped uncacheable and writable for
/// good.
pub unsafe fn set_page(page: u64) {
    PAGE.store(page, Ordering::Release);
}

pub(super) fn read(register: Register) -> u32 {
    if mode() == Mode::X2Apic {
        // SAFETY: x2APIC mode, in which the MSR exists.
        return unsafe { msr::read(register.msr()) as u32 };
    }
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: `set_page`'s caller mapped the registers there.
    unsafe { ((page + register as u64) as *const u32).read_volatile() }
}

pub(super) fn write(register: Register, value: u32) {
    if mode() == Mode::X2Apic {
        // SAFETY: as `read`; the registers written here affect interrupts only.
        return unsafe { msr::write(register.msr(), value.into()) };
    }
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { ((page + register as u64) as *mut u32).write_volatile(value) };
}

/// Enables this CPU's local APIC: all priorities accepted, the timer masked, errors on
/// [`ERROR_VECTOR`], the 8259A pair on LINT0 if `external`, NMI on LINT1 (until [`set_pin`]
/// says otherwise).
pub fn init(external: bool) {
    // First of all: while it is disabled every line of the table stays masked (SDM volume 3,
    // section 11.4.7.2).
    write(Register::SpuriousVector, APIC_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(Register::TaskPriority, 0);
    write(Register::LvtTimer, LVT_MASKED);
    set_pin(0, if external { Pin::External } else { Pin::Masked });
    set_pin(1, Pin::Nmi(Polarity::ActiveHigh, Trigger::Edge));
    write(Register::TimerDivide, DIVIDE_BY_16);
    // What firmware did wrong is not ours.
    take_errors();
    write(Register::LvtError, u32::from(ERROR_VECTOR));
}

/// What one of the two local pins does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Nothing.
    Masked,
    /// Asks the 8259A pair for a vector.
    External,
    /// Raises NMIs.
    Nmi(Polarity, Trigger),
}

/// Sets what pin LINT0 or LINT1 of this CPU's APIC does.
///
/// # Panics
/// If `lint` is neither 0 nor 1.
pub fn set_pin(lint: u8, pin: Pin) {
    let register = match lint {
        0 => Register::LvtLint0,
        1 => Register::LvtLint1,
        _ => panic!("no local APIC has a pin LINT{lint}"),
    };
    let value = match pin {
        Pin::Masked => LVT_MASKED,
        Pin::External => LVT_EXTINT,
        // NMIs are edge-triggered whatever the bit says; it is set as told.
        Pin::Nmi(polarity, trigger) => {
            let low = if polarity == Polarity::ActiveLow { LVT_ACTIVE_LOW } else { 0 };
            let level = if trigger == Trigger::Level { LVT_LEVEL } else { 0 };
            LVT_NMI | low | level
        }
    };
    write(register, value);
}

bitflags! {
    /// What went wrong in a local APIC (the error status register).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Errors: u32 {
        /// A message was sent with a wrong checksum.
        const SEND_CHECKSUM = 1 << 0;
        /// A message was received with a wrong checksum.
        const RECEIVE_CHECKSUM = 1 << 1;
        /// Nobody took a message that was sent.
        const SEND_ACCEPT = 1 << 2;
        /// A message was received that nobody took.
        const RECEIVE_ACCEPT = 1 << 3;
        /// A lowest-priority interrupt cannot be sent as an IPI here.
        const REDIRECTABLE_IPI = 1 << 4;
        /// An interrupt with a vector below 16 was to be sent.
        const SEND_ILLEGAL_VECTOR = 1 << 5;
        /// An interrupt with a vector below 16 was received.
        const RECEIVE_ILLEGAL_VECTOR = 1 << 6;
        /// A register was accessed that does not exist.
        const ILLEGAL_REGISTER = 1 << 7;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::SEND_CHECKSUM, "checksum of a message sent"),
            (Self::RECEIVE_CHECKSUM, "checksum of a message received"),
            (Self::SEND_ACCEPT, "nobody took a message sent"),
            (Self::RECEIVE_ACCEPT, "nobody took a message received"),
            (Self::REDIRECTABLE_IPI, "lowest-priority IPI"),
            (Self::SEND_ILLEGAL_VECTOR, "illegal vector sent"),
            (Self::RECEIVE_ILLEGAL_VECTOR, "illegal vector received"),
            (Self::ILLEGAL_REGISTER, "illegal register"),
        ];
        let mut separator = "";
        for (_, name) in names.iter().filter(|(bit, _)| self.contains(*bit)) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        if self.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// This CPU's errors since the last call.
pub fn take_errors() -> Errors {
    // Writing makes the register show what was gathered, and gathers anew.
    write(Register::ErrorStatus, 0);
    Errors::from_bits_truncate(read(Register::ErrorStatus))
}

/// This CPU's APIC id as CPUID tells: for when the APIC cannot be asked yet.
pub fn initial_id() -> u32 {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    if __cpuid(0).eax >= 0xb {
        let leaf = __cpuid_count(0xb, 0);
        if leaf.ebx != 0 {
            return leaf.edx;
        }
    }
    __cpuid(1).ebx >> 24
}

/// This CPU's APIC id.
pub fn id() -> u32 {
    let id = read(Register::Id);
    if mode() == Mode::X2Apic { id } else { id >> 24 }
}

/// Ends the interrupt in service.
#[inline]
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
