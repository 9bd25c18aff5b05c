//! Lines of interrupt controllers: how they are wired, and [`IrqLine`], the right to one.
//!
//! With I/O APICs ([`use_io_apics`]) a line is a global system interrupt (GSI) and gets a
//! vector of its own at its first claim, for good; an ISA line goes where the firmware's
//! overrides say. Without, ISA lines are those of the 8259A pair, and there are no others.

use alloc::vec::Vec;

use arch::cpu::local;
use arch::irqchip::ioapic::{Delivery, IoApic};
use arch::irqchip::lapic::{self, Pin};
use arch::irqchip::{Polarity, Trigger, pic};

use super::{Handler, IrqError, Vector};
use crate::sync::IrqSpinLock;

/// First vector of GSIs: behind those of the 8259A pair.
const FIRST_GSI_VECTOR: u8 = pic::FIRST_VECTOR + pic::LINES;
/// The vectors from here on are those of local APICs.
const FIRST_LOCAL_VECTOR: u8 = 0xe0;
/// The ISA line that is none: the second 8259A hangs on it.
const CASCADE: u8 = 2;
/// Owner of lines that raise NMIs.
const NMI_OWNER: &str = "NMI";

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
    /// As it was last claimed.
    trigger: Trigger,
}

struct Lines {
    pic: pic::Pic,
    /// `None`: the 8259A pair is used.
    wiring: Option<Wiring>,
    /// The CPU that gets the lines' interrupts.
    target: u8,
    /// Those with the vectors from `FIRST_GSI_VECTOR` on.
    gsis: Vec<Gsi>,
}

// SAFETY: the one instance.
static LINES: IrqSpinLock<Lines> = IrqSpinLock::new("irq lines", unsafe {
    Lines { pic: pic::Pic::new(), wiring: None, target: 0, gsis: Vec::new() }
});

/// Resets the 8259A pair, all lines masked. Call once, interrupts off.
pub(super) fn init() {
    LINES.lock().pic.init();
}

/// Uses I/O APICs from now on, with all interrupts going to this CPU; the 8259A pair stays
/// masked. Call once, after [`super::init`], before the first claim.
///
/// # Errors
/// `OutOfRange`: I/O APICs cannot name this CPU's APIC id. The 8259A pair is then still
/// used.
pub fn use_io_apics(wiring: Wiring) -> Result<(), IrqError> {
    let target = u8::try_from(lapic::initial_id()).ok().filter(|&id| id < 0xff);
    let target = target.ok_or(IrqError::OutOfRange)?;
    let mut lines = LINES.lock();
    lines.target = target;
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

/// The vector of `gsi`, given at the first request.
fn vector_of(gsis: &mut Vec<Gsi>, gsi: u32) -> Option<u8> {
    let index = match gsis.iter().position(|known| known.gsi == gsi) {
        Some(index) => index,
        None if gsis.len() == usize::from(FIRST_LOCAL_VECTOR - FIRST_GSI_VECTOR) => return None,
        None => {
            gsis.push(Gsi { gsi, trigger: Trigger::Edge });
            gsis.len() - 1
        }
    };
    Some(FIRST_GSI_VECTOR + index as u8)
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
    let index = vector.checked_sub(FIRST_GSI_VECTOR).map(usize::from);
    match index
        .and_then(|index| LINES.lock().gsis.get(index).map(|known| (known.gsi, known.trigger)))
    {
        Some((gsi, trigger)) => Source::Gsi { gsi, trigger },
        None => Source::Local,
    }
}

/// Calls `act` with the 8259A pair.
pub(super) fn with_pic<T>(act: impl FnOnce(&mut pic::Pic) -> T) -> T {
    act(&mut LINES.lock().pic)
}

/// Stops the line behind `vector`, which nobody has: an active level would interrupt for
/// ever.
pub(super) fn mask_unclaimed(vector: u8) {
    match source(vector) {
        Source::Pic(line) => mask(Line::Pic(line)),
        Source::Gsi { gsi, .. } => mask(Line::Gsi(gsi)),
        Source::Local => {}
    }
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Pic(u8),
    Gsi(u32),
}

fn mask(line: Line) {
    let mut lines = LINES.lock();
    match line {
        Line::Pic(line) => lines.pic.mask(line),
        Line::Gsi(gsi) => {
            let chips = lines.wiring.as_mut().map(|wiring| &mut wiring.io_apics[..]);
            if let Some((chip, line)) = chips.and_then(|chips| find(chips, gsi)) {
                chip.mask(line);
            }
        }
    }
}

/// A claimed line; dropping it masks the line and takes the handler away.
#[must_use = "the line is masked when this is dropped"]
#[derive(Debug)]
pub struct IrqLine {
    line: Line,
    vector: Vector,
}

impl IrqLine {
    /// The vector that the line's interrupts have.
    pub fn vector(&self) -> u8 {
        self.vector.0
    }

    /// Registers `handler(word)` for ISA line `line` and opens it, wherever it arrives.
    ///
    /// # Errors
    /// `OutOfRange` for lines past 15, the cascade (2), and lines that arrive nowhere;
    /// `InUse`.
    pub fn claim(
        line: u8,
        owner: &'static str,
        handler: Handler,
        word: usize,
    ) -> Result<Self, IrqError> {
        if line >= pic::LINES || line == CASCADE {
            return Err(IrqError::OutOfRange);
        }
        let wired = LINES.lock().wiring.as_ref().map(|wiring| isa_wiring(&wiring.overrides, line));
        if let Some(wired) = wired {
            let (gsi, how) = wired.ok_or(IrqError::OutOfRange)?;
            return Self::claim_gsi(gsi, how, owner, handler, word);
        }
        let vector = Vector::claim(pic::FIRST_VECTOR + line, owner, handler, word)?;
        LINES.lock().pic.unmask(line);
        Ok(Self { line: Line::Pic(line), vector })
    }

    /// Registers `handler(word)` for a GSI, and opens it with the polarity and trigger
    /// that its device has. A handler of a level-triggered line must make its device
    /// release the line: the interrupt ends when the handler returns.
    ///
    /// # Errors
    /// `OutOfRange` if no I/O APIC has the line, or there are no vectors left; `InUse`,
    /// also for lines that raise NMIs.
    pub fn claim_gsi(
        gsi: u32,
        how: (Polarity, Trigger),
        owner: &'static str,
        handler: Handler,
        word: usize,
    ) -> Result<Self, IrqError> {
        let vector = {
            let mut lines = LINES.lock();
            let lines = &mut *lines;
            let wiring = lines.wiring.as_mut().ok_or(IrqError::OutOfRange)?;
            if wiring.nmi_sources.iter().any(|source| source.gsi == gsi) {
                return Err(IrqError::InUse { owner: NMI_OWNER });
            }
            find(&mut wiring.io_apics, gsi).ok_or(IrqError::OutOfRange)?;
            vector_of(&mut lines.gsis, gsi).ok_or(IrqError::OutOfRange)?
        };
        let claimed = Vector::claim(vector, owner, handler, word)?;
        let mut lines = LINES.lock();
        let lines = &mut *lines;
        if let Some(known) = lines.gsis.get_mut(usize::from(vector - FIRST_GSI_VECTOR)) {
            known.trigger = how.1;
        }
        let chips = lines.wiring.as_mut().map(|wiring| &mut wiring.io_apics[..]);
        let (chip, line) = chips.and_then(|chips| find(chips, gsi)).ok_or(IrqError::OutOfRange)?;
        chip.open(line, Delivery::Vector(vector), how, lines.target);
        Ok(Self { line: Line::Gsi(gsi), vector: claimed })
    }
}

impl Drop for IrqLine {
    fn drop(&mut self) {
        mask(self.line);
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
        let mut gsis = Vec::new();
        assert_eq!(vector_of(&mut gsis, 20), Some(FIRST_GSI_VECTOR));
        assert_eq!(vector_of(&mut gsis, 4), Some(FIRST_GSI_VECTOR + 1));
        assert_eq!(vector_of(&mut gsis, 20), Some(FIRST_GSI_VECTOR));
        let given = (100..400).filter_map(|gsi| vector_of(&mut gsis, gsi)).max();
        assert_eq!(given, Some(FIRST_LOCAL_VECTOR - 1));
        assert_eq!(vector_of(&mut gsis, 1000), None);
    }
}
