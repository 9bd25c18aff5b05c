//! Interrupt controllers for lines, and how the firmware says that they are wired.
//!
//! With I/O APICs ([`use_io_apics`]) a line is a global system interrupt (GSI) and gets a
//! vector of its own at its first claim, for good: an interrupt that is still in service when
//! the line is given back must find the controller's entry as it was. An ISA line goes where
//! the firmware's overrides say. Without I/O APICs, ISA lines are those of the 8259A pair,
//! and there are no others. The right to a line is [`IrqLine`](super::IrqLine).

use alloc::vec::Vec;

use arch::cpu::local;
use arch::irqchip::ioapic::{Delivery, IoApic};
use arch::irqchip::lapic::{self, Pin};
use arch::irqchip::{Polarity, Trigger, pic};

use super::{IrqError, vectors};
use crate::sync::IrqSpinLock;

/// The ISA line that is none: the second 8259A hangs on it.
const CASCADE: u8 = 2;

/// An ISA line that is not the global system interrupt of its own number, or is not
/// edge-triggered and active high as ISA lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// The ISA line.
    pub isa_line: u8,
    /// Where it arrives.
    pub gsi: u32,
    /// When it is active.
    pub polarity: Polarity,
    /// What of it makes an interrupt.
    pub trigger: Trigger,
}

/// A GSI that is to raise NMIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NmiSource {
    /// The line.
    pub gsi: u32,
    /// When it is active.
    pub polarity: Polarity,
    /// What of it makes an interrupt.
    pub trigger: Trigger,
}

/// A pin of local APICs that is to raise NMIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNmi {
    /// Of the CPU with this uid; `None`: of all.
    pub uid: Option<u32>,
    /// LINT0 or LINT1.
    pub lint: u8,
    /// When it is active.
    pub polarity: Polarity,
    /// What of it makes an interrupt.
    pub trigger: Trigger,
}

/// What the firmware says of interrupt lines.
#[derive(Debug, Default)]
pub struct Wiring {
    /// I/O APICs, each with its first GSI.
    pub io_apics: Vec<(IoApic, u32)>,
    /// ISA lines that are wired in an unusual way.
    pub overrides: Vec<Override>,
    /// GSIs that raise NMIs.
    pub nmi_sources: Vec<NmiSource>,
    /// Local APIC pins that raise NMIs.
    pub local_nmis: Vec<LocalNmi>,
    /// The uid of each APIC id.
    pub uids: Vec<(u32, u32)>,
}

/// A GSI that has a vector.
struct Gsi {
    gsi: u32,
    vector: u8,
    /// As it was last claimed.
    how: (Polarity, Trigger),
}

struct Lines {
    pic: pic::Pic,
    /// `None`: the 8259A pair is used.
    wiring: Option<Wiring>,
    /// Those that have been claimed.
    gsis: Vec<Gsi>,
}

// SAFETY: the one instance.
static LINES: IrqSpinLock<Lines> = IrqSpinLock::new("irq lines", unsafe {
    Lines { pic: pic::Pic::new(), wiring: None, gsis: Vec::new() }
});

/// Resets the 8259A pair, all lines masked. Call once, interrupts off.
pub(super) fn init() {
    LINES.lock().pic.init();
}

/// Uses I/O APICs from now on; the 8259A pair stays masked. NMIs go to this CPU. Call once,
/// after [`super::init`], before the first claim.
///
/// # Errors
/// `OutOfRange`: I/O APICs cannot name this CPU's APIC id. The 8259A pair is then still
/// used.
pub fn use_io_apics(wiring: Wiring) -> Result<(), IrqError> {
    let target = u8::try_from(lapic::initial_id()).ok().filter(|&id| id < 0xff);
    let target = target.ok_or(IrqError::OutOfRange)?;
    let mut lines = LINES.lock();
    let wiring = lines.wiring.insert(wiring);
    for source in &wiring.nmi_sources {
        let how = (source.polarity, source.trigger);
        match find(&mut wiring.io_apics, source.gsi) {
            Some((chip, line)) => chip.open(line, Delivery::Nmi, how, target),
            None => log::warn!("GSI {} is to raise NMIs, but no I/O APIC has it", source.gsi),
        }
    }
    Ok(())
}

/// Sets this CPU's local pins: NMIs as the firmware says, and the 8259A pair if it is used.
/// Call on each CPU after its local APIC is initialised.
pub fn init_local_pins() {
    let lines = LINES.lock();
    let external = lines.wiring.is_none() && local::cpu_number() == 0;
    let pins = match &lines.wiring {
        Some(wiring) => {
            let id = lapic::id();
            let uid = wiring.uids.iter().find(|(apic_id, _)| *apic_id == id).map(|(_, uid)| *uid);
            local_pins(&wiring.local_nmis, uid, external)
        }
        None => local_pins(&[], None, external),
    };
    for (lint, pin) in (0..).zip(pins) {
        lapic::set_pin(lint, pin);
    }
}

/// What the two pins of the CPU with this uid do.
fn local_pins(nmis: &[LocalNmi], uid: Option<u32>, external: bool) -> [Pin; 2] {
    let mut pins = [if external { Pin::External } else { Pin::Masked }, Pin::Masked];
    // Where nothing is said it is as on every PC.
    if nmis.is_empty() {
        pins[1] = Pin::Nmi(Polarity::ActiveHigh, Trigger::Edge);
    }
    for nmi in nmis.iter().filter(|nmi| nmi.uid.is_none() || nmi.uid == uid) {
        if let Some(pin) = pins.get_mut(usize::from(nmi.lint)) {
            *pin = Pin::Nmi(nmi.polarity, nmi.trigger);
        }
    }
    pins
}

/// The I/O APIC with `gsi`, and its line there.
fn find(chips: &mut [(IoApic, u32)], gsi: u32) -> Option<(&mut IoApic, u8)> {
    chips.iter_mut().find_map(|(chip, base)| {
        let line = u8::try_from(gsi.checked_sub(*base)?).ok()?;
        (line < chip.lines()).then_some((chip, line))
    })
}

/// Where an ISA line arrives, and how.
fn isa_wiring(overrides: &[Override], line: u8) -> Option<(u32, (Polarity, Trigger))> {
    if line >= pic::LINES || line == CASCADE {
        return None;
    }
    if let Some(found) = overrides.iter().find(|known| known.isa_line == line) {
        return Some((found.gsi, (found.polarity, found.trigger)));
    }
    // Another line may arrive at this one's number.
    let taken = overrides.iter().any(|known| known.gsi == u32::from(line));
    (!taken).then_some((line.into(), (Polarity::ActiveHigh, Trigger::Edge)))
}

impl Lines {
    /// The entry of `gsi`, which gets a vector at the first request.
    fn entry(&mut self, gsi: u32) -> Result<&mut Gsi, IrqError> {
        let index = match self.gsis.iter().position(|known| known.gsi == gsi) {
            Some(index) => index,
            None => {
                self.gsis.try_reserve(1).map_err(|_| IrqError::OutOfMemory)?;
                let vector = vectors::allocate(1)?;
                let how = (Polarity::ActiveHigh, Trigger::Edge);
                self.gsis.push(Gsi { gsi, vector, how });
                self.gsis.len() - 1
            }
        };
        Ok(&mut self.gsis[index])
    }

    fn chip(&mut self, gsi: u32) -> Result<(&mut IoApic, u8), IrqError> {
        let wiring = self.wiring.as_mut().ok_or(IrqError::OutOfRange)?;
        find(&mut wiring.io_apics, gsi).ok_or(IrqError::OutOfRange)
    }
}

/// What makes the interrupts of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of the 8259A pair.
    Pic(u8),
    /// A line of an I/O APIC.
    Gsi {
        /// Its number.
        gsi: u32,
        /// How it was last claimed.
        trigger: Trigger,
    },
    /// A device, by a message.
    Message,
    /// The local APIC: its timer, its errors, another CPU.
    Local,
}

/// The line of the 8259A pair that `vector` stands for.
pub(super) fn pic_line(vector: u8) -> Option<u8> {
    vector.checked_sub(pic::FIRST_VECTOR).filter(|&line| line < pic::LINES)
}

/// What makes the interrupts of `vector`.
pub fn source(vector: u8) -> Source {
    if let Some(line) = pic_line(vector) {
        return Source::Pic(line);
    }
    let of_vector = |known: &&Gsi| known.vector == vector;
    let known = LINES.lock().gsis.iter().find(of_vector).map(|known| (known.gsi, known.how.1));
    match known {
        Some((gsi, trigger)) => Source::Gsi { gsi, trigger },
        None if vectors::is_for_devices(vector) => Source::Message,
        None => Source::Local,
    }
}

/// Whether lines are those of I/O APICs, and not of the 8259A pair.
pub fn uses_io_apics() -> bool {
    LINES.lock().wiring.is_some()
}

/// Calls `act` with the 8259A pair.
pub(super) fn with_pic<T>(act: impl FnOnce(&mut pic::Pic) -> T) -> T {
    act(&mut LINES.lock().pic)
}

/// Stops the line behind `vector`, which nobody has: an active level would interrupt for
/// ever.
pub(super) fn mask_unclaimed(vector: u8) {
    match source(vector) {
        Source::Pic(line) => Line::Pic(line).mask(),
        Source::Gsi { gsi, .. } => Line::Gsi(gsi).mask(),
        Source::Message | Source::Local => {}
    }
}

/// A line of an interrupt controller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    Pic(u8),
    Gsi(u32),
}

/// Where a line can be claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) line: Line,
    pub(super) vector: u8,
    /// How an ISA line is wired.
    pub(super) how: Option<(Polarity, Trigger)>,
}

impl Line {
    /// Where ISA line `line` arrives.
    ///
    /// # Errors
    /// `OutOfRange` for lines past 15, the cascade (2), and lines that arrive nowhere; as
    /// [`Line::gsi`].
    pub(super) fn isa(line: u8) -> Result<Place, IrqError> {
        if line >= pic::LINES || line == CASCADE {
            return Err(IrqError::OutOfRange);
        }
        let wired = LINES.lock().wiring.as_ref().map(|wiring| isa_wiring(&wiring.overrides, line));
        match wired {
            Some(wired) => {
                let (gsi, how) = wired.ok_or(IrqError::OutOfRange)?;
                Ok(Place { how: Some(how), ..Self::gsi(gsi)? })
            }
            None => {
                let vector = pic::FIRST_VECTOR + line;
                Ok(Place { line: Self::Pic(line), vector, how: None })
            }
        }
    }

    /// Where a GSI arrives.
    ///
    /// # Errors
    /// `OutOfRange` if no I/O APIC has it, `RaisesNmi`, `NoVectors`, `OutOfMemory`.
    pub(super) fn gsi(gsi: u32) -> Result<Place, IrqError> {
        let mut lines = LINES.lock();
        lines.chip(gsi)?;
        let nmis = lines.wiring.iter().flat_map(|wiring| &wiring.nmi_sources);
        if nmis.map(|source| source.gsi).any(|source| source == gsi) {
            return Err(IrqError::RaisesNmi);
        }
        let vector = lines.entry(gsi)?.vector;
        Ok(Place { line: Self::Gsi(gsi), vector, how: None })
    }

    /// Lets it through; for a GSI with its polarity and trigger.
    ///
    /// # Errors
    /// `Unreachable` if it cannot interrupt CPU number `cpu`.
    pub(super) fn open(self, how: (Polarity, Trigger), cpu: Option<u32>) -> Result<(), IrqError> {
        let mut lines = LINES.lock();
        match self {
            // The pair hangs on the boot CPU.
            Self::Pic(_) if cpu.is_some_and(|cpu| cpu != 0) => {
                return Err(IrqError::Unreachable { cpu: cpu.unwrap_or(0) });
            }
            Self::Pic(line) => lines.pic.unmask(line),
            Self::Gsi(gsi) => {
                let entry = lines.entry(gsi)?;
                entry.how = how;
                let vector = entry.vector;
                let target = vectors::direct(vector, 1, cpu)?;
                let (chip, line) = lines.chip(gsi)?;
                chip.open(line, Delivery::Vector(vector), how, target.apic_id);
            }
        }
        Ok(())
    }

    /// How it was opened; `None` for lines of the 8259A pair.
    pub(super) fn how(self) -> Option<(Polarity, Trigger)> {
        match self {
            Self::Pic(_) => None,
            Self::Gsi(gsi) => {
                LINES.lock().gsis.iter().find(|known| known.gsi == gsi).map(|known| known.how)
            }
        }
    }

    /// Makes it interrupt CPU number `cpu` from now on.
    ///
    /// # Errors
    /// `Unreachable`, also for lines of the 8259A pair.
    pub(super) fn retarget(self, cpu: u32) -> Result<(), IrqError> {
        let mut lines = LINES.lock();
        match self {
            Self::Pic(_) if cpu == 0 => Ok(()),
            Self::Pic(_) => Err(IrqError::Unreachable { cpu }),
            Self::Gsi(gsi) => {
                let vector = lines.entry(gsi)?.vector;
                let target = vectors::direct(vector, 1, Some(cpu))?;
                let (chip, line) = lines.chip(gsi)?;
                chip.set_target(line, target.apic_id);
                Ok(())
            }
        }
    }

    /// Stops it.
    pub(super) fn mask(self) {
        let mut lines = LINES.lock();
        match self {
            Self::Pic(line) => lines.pic.mask(line),
            Self::Gsi(gsi) => {
                if let Ok((chip, line)) = lines.chip(gsi) {
                    chip.mask(line);
                }
            }
        }
    }
}

#[cfg(not(test))]
mod tests {
    use super::*;

    #[macros::kernel_test]
    fn isa_lines_go_where_the_firmware_says() {
        let normal = (Polarity::ActiveHigh, Trigger::Edge);
        let level = (Polarity::ActiveLow, Trigger::Level);
        let place =
            |isa_line, gsi, (polarity, trigger)| Override { isa_line, gsi, polarity, trigger };
        let overrides = [place(0, 2, normal), place(9, 20, level), place(11, 10, level)];
        assert_eq!(isa_wiring(&overrides, 0), Some((2, normal)));
        assert_eq!(isa_wiring(&overrides, 4), Some((4, normal)));
        assert_eq!(isa_wiring(&overrides, 9), Some((20, level)));
        // Line 11 arrives at 10, so line 10 arrives nowhere.
        assert_eq!(isa_wiring(&overrides, 11), Some((10, level)));
        assert_eq!(isa_wiring(&overrides, 10), None);
        assert_eq!(isa_wiring(&overrides, CASCADE), None);
        assert_eq!(isa_wiring(&overrides, 16), None);
    }

    #[macros::kernel_test]
    fn local_pins_are_as_the_firmware_says() {
        let (polarity, trigger) = (Polarity::ActiveLow, Trigger::Edge);
        let nmi = Pin::Nmi(polarity, trigger);
        let place = |uid, lint| LocalNmi { uid, lint, polarity, trigger };
        assert_eq!(local_pins(&[place(None, 1)], Some(3), false), [Pin::Masked, nmi]);
        let each = [place(Some(3), 0), place(Some(4), 1)];
        assert_eq!(local_pins(&each, Some(3), false), [nmi, Pin::Masked]);
        assert_eq!(local_pins(&each, Some(4), true), [Pin::External, nmi]);
        assert_eq!(local_pins(&each, None, false), [Pin::Masked, Pin::Masked]);
        let usual = Pin::Nmi(Polarity::ActiveHigh, Trigger::Edge);
        assert_eq!(local_pins(&[], None, true), [Pin::External, usual]);
    }

    #[macros::kernel_test]
    fn a_gsi_keeps_its_vector() {
        if !uses_io_apics() {
            return;
        }
        // Behind those of ISA devices.
        let Ok(Place { vector, .. }) = Line::gsi(17) else { return };
        assert!(vectors::is_for_devices(vector));
        let other = Line::gsi(18).map(|place| place.vector);
        assert_ne!(other, Ok(vector));
        assert_eq!(Line::gsi(17).map(|place| place.vector), Ok(vector));
        assert_eq!(Line::gsi(u32::MAX).err(), Some(IrqError::OutOfRange));
        assert!(matches!(source(vector), Source::Gsi { gsi: 17, .. }));
    }
}
