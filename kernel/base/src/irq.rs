//! Interrupts: handlers by vector, the lines of interrupt controllers, messages of devices,
//! and counts.
//!
//! | file | what |
//! |---|---|
//! | `slots.rs` | the table of handlers: [`Action`], [`Handled`] |
//! | `vectors.rs` | the vectors that devices get, and which CPU each interrupts |
//! | `lines.rs` | [`IrqLine`]: the right to a line, alone or shared |
//! | `message.rs` | [`MessageInterrupt`]: the right to a message of a device (MSI, MSI-X) |
//! | `wiring.rs` | the interrupt controllers, and what the firmware says of their lines |
//! | `count.rs` | counts |
//!
//! A handler runs with interrupts off, under its vector's lock, so that dropping an
//! [`IrqLine`] or a [`MessageInterrupt`] waits for a handler in progress. A handler may wake
//! threads; it may not sleep, and it may not claim or drop interrupts. Handlers of vectors
//! that every CPU has for itself ([`claim_local`]) run without a lock.
//!
//! The interrupt ends after its handler: by then the handler has made the device of a
//! level-triggered line release it, else the line would interrupt again.

mod count;
mod lines;
mod message;
mod slots;
mod vectors;
mod wiring;

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch::irqchip::lapic;
use arrayvec::ArrayString;
use spin::Once;

use crate::cpu_set::CpuSet;
use crate::sync::cpus;

pub(crate) use count::note_interrupted;
pub use count::{Spurious, all_of, count_of, in_handler, interrupted_user, spurious_of};
pub use lines::{IrqLine, set_affinity};
pub use message::{Message, MessageInterrupt};
pub use slots::{Action, Handled, Owner, action};
pub use vectors::{DEVICE_VECTORS, cpu_of, fair_share};
pub use wiring::{
    LocalNmi, NmiSource, Override, Source, Wiring, init_local_pins, source, use_io_apics,
    uses_io_apics,
};

use count::handle;
use slots::{Claim, Outcome, slot};

/// Why an interrupt cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// Somebody has it.
    InUse {
        /// Who, as registered.
        owner: Owner,
    },
    /// There is no such line, or the vector is not one that can be claimed by its number.
    OutOfRange,
    /// The firmware says that the line raises NMIs.
    RaisesNmi,
    /// Those who share the line say that it has another polarity or trigger.
    WiredDifferently,
    /// All vectors for devices are taken, or there are not so many in a row.
    NoVectors,
    /// Devices cannot interrupt this CPU: it does not run, or its APIC id is too large.
    Unreachable {
        /// Its number.
        cpu: u32,
    },
    /// No memory for a handler.
    OutOfMemory,
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { owner } => write!(f, "taken by {owner}"),
            Self::OutOfRange => f.write_str("no such interrupt"),
            Self::RaisesNmi => f.write_str("the line raises NMIs"),
            Self::WiredDifferently => {
                f.write_str("those who share the line say that it is wired in another way")
            }
            Self::NoVectors => f.write_str("there are no interrupt vectors left"),
            Self::Unreachable { cpu } => write!(f, "devices cannot interrupt CPU {cpu}"),
            Self::OutOfMemory => f.write_str("no memory for its handler"),
        }
    }
}

impl core::error::Error for IrqError {}

/// Handlers of the vectors that every CPU has for itself: no lock is taken for them.
struct LocalSlot {
    owner: &'static str,
    handler: fn(),
}

static LOCAL: [Once<LocalSlot>; 256] = [const { Once::new() }; 256];

/// Registers `handler` for good for a vector of the local APICs: its timer, or what CPUs
/// send each other. It may run on several CPUs at once.
///
/// # Errors
/// `OutOfRange` for the CPU's own vectors (below 32); `InUse`.
pub fn claim_local(vector: u8, owner: &'static str, handler: fn()) -> Result<(), IrqError> {
    if u64::from(vector) < arch::trap::vector::FIRST_INTERRUPT {
        return Err(IrqError::OutOfRange);
    }
    let users = slot(vector).lock();
    if let Some(owner) = users.owner() {
        return Err(IrqError::InUse { owner });
    }
    let mut fresh = false;
    let local = LOCAL[usize::from(vector)].call_once(|| {
        fresh = true;
        LocalSlot { owner, handler }
    });
    if fresh { Ok(()) } else { Err(IrqError::InUse { owner: Owner::new(local.owner) }) }
}

/// Resets the 8259A pair, all lines masked, and takes the local APICs' error interrupt.
/// Call once, interrupts off.
///
/// # Errors
/// Somebody has the vector.
pub fn init() -> Result<(), IrqError> {
    wiring::init();
    claim_local(lapic::ERROR_VECTOR, "local APIC errors", on_apic_error)
}

/// A vector that was claimed by its number; dropping it takes the handler away.
#[must_use = "the handler is taken away when this is dropped"]
#[derive(Debug)]
pub struct Vector {
    _claim: Claim,
}

impl Vector {
    /// Registers `action` for `vector`, for interrupts that the kernel makes itself.
    ///
    /// # Errors
    /// `OutOfRange` for the CPU's own vectors (below 32) and those that devices get;
    /// `InUse`, `OutOfMemory`.
    pub fn claim(vector: u8, owner: &str, action: Action) -> Result<Self, IrqError> {
        let is_cpus = u64::from(vector) < arch::trap::vector::FIRST_INTERRUPT;
        if is_cpus || vectors::is_for_devices(vector) {
            return Err(IrqError::OutOfRange);
        }
        let is_local = || match LOCAL[usize::from(vector)].get() {
            Some(local) => Err(IrqError::InUse { owner: Owner::new(local.owner) }),
            None => Ok(()),
        };
        Ok(Self { _claim: Claim::new(vector, None, false, owner, action, is_local)? })
    }
}

/// Handles interrupt `vector`: called by the trap path, interrupts off.
pub(crate) fn dispatch(vector: u8) {
    let _in_interrupt = cpus::enter_interrupt();
    if let Some(local) = LOCAL[usize::from(vector)].get() {
        count::count_vector(vector);
        handle(local.handler);
        return lapic::end_of_interrupt();
    }
    if vector == lapic::SPURIOUS_VECTOR {
        // The local APIC wants no end for it.
        return count::count_spurious(Spurious::LocalApic);
    }
    let pic_line = wiring::pic_line(vector);
    if let Some(line) = pic_line
        && !wiring::with_pic(|pic| pic.is_real(line))
    {
        let chip = if line < 8 { Spurious::FirstPic } else { Spurious::SecondPic };
        return count::count_spurious(chip);
    }
    count::count_vector(vector);
    match slots::run(vector) {
        Outcome::Called => {}
        Outcome::Nobody => on_unclaimed(vector),
        Outcome::Storm => on_storm(vector),
    }
    match pic_line {
        Some(line) => wiring::with_pic(|pic| pic.end_of_interrupt(line)),
        None => lapic::end_of_interrupt(),
    }
}

/// An interrupt that nobody has a handler for: also one that was on its way when its line
/// was dropped.
#[cold]
fn on_unclaimed(vector: u8) {
    static TOLD: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
    count::count_spurious(Spurious::Unclaimed);
    wiring::mask_unclaimed(vector);
    let bit = 1 << (vector % 64);
    if TOLD[usize::from(vector / 64)].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        log::warn!("interrupt vector {vector} ({:?}) has no handler", source(vector));
    }
}

/// A line that interrupts all the time, and for nobody: it is masked already.
#[cold]
fn on_storm(vector: u8) {
    let (source, owners) = (source(vector), slots::owners(vector));
    log::error!(
        "interrupt vector {vector} ({source:?}) does not stop, and is for none of those who \
         have it ({owners}): the line is masked"
    );
}

/// Errors of local APICs that have been told.
static APIC_ERRORS: AtomicU32 = AtomicU32::new(0);

/// A local APIC reports an error: each kind is told once.
fn on_apic_error() {
    let errors = lapic::take_errors();
    let told = APIC_ERRORS.fetch_or(errors.bits(), Ordering::Relaxed);
    let fresh = errors - lapic::Errors::from_bits_truncate(told);
    if !fresh.is_empty() {
        log::warn!("local APIC error: {fresh}");
    }
}

/// Errors of local APICs so far.
pub fn apic_errors() -> lapic::Errors {
    lapic::Errors::from_bits_truncate(APIC_ERRORS.load(Ordering::Relaxed))
}

/// A vector that somebody has, or that has been seen.
#[derive(Clone, Debug)]
pub struct VectorInfo {
    /// The vector.
    pub vector: u8,
    /// Those who have it, as registered, with commas between them; empty if nobody has.
    pub owners: ArrayString<64>,
    /// What makes its interrupts.
    pub source: Source,
    /// The CPU that the device interrupts, if it is a device.
    pub cpu: Option<u32>,
}

/// The vectors that somebody has, or that have been seen on one of `cpus`.
pub fn vectors(cpus: CpuSet) -> impl Iterator<Item = VectorInfo> {
    (0..=255u8).filter_map(move |vector| {
        let owners = match LOCAL[usize::from(vector)].get() {
            Some(local) => ArrayString::from(local.owner).unwrap_or_default(),
            None => slots::owners(vector),
        };
        let seen = cpus.iter().any(|cpu| count_of(vector, cpu) > 0);
        let (source, cpu) = (source(vector), cpu_of(vector));
        (!owners.is_empty() || seen).then_some(VectorInfo { vector, owners, source, cpu })
    })
}

#[cfg(not(test))]
mod tests;
