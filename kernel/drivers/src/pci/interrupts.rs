//! The interrupts of a function: MSI-X, or MSI, or its interrupt pin, whichever it has first.
//!
//! A driver says how many it could use, and makes a handler for each that it gets; it works
//! with any number from one on. All of them are off again when [`Interrupts`] is dropped, and
//! no handler runs any more then.

use alloc::vec::Vec;
use core::fmt;

use base::irq::{self, Action, IrqError, MessageInterrupt};
use base::sync::SpinLock;
use pci_config::{ConfigSpace, Msi};

use super::bar::BarClaimError;
use super::command::{Held, Right};
use super::function::{Function, Inner, MOST_VECTORS};
use super::intx::{self, Line, RouteError};
use super::msi_x::Table;

/// How a function interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptKind {
    /// By messages from a table: each can be masked, and has a CPU of its own.
    MsiX,
    /// By messages in a row, all to one CPU.
    Msi,
    /// By its pin, on a line that it may share.
    Intx,
}

impl fmt::Display for InterruptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MsiX => "MSI-X",
            Self::Msi => "MSI",
            Self::Intx => "INTx",
        })
    }
}

/// Which interrupt a handler is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Its number, from 0 on.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// What they are. A handler for [`InterruptKind::Intx`] has to ask its device whether the
    /// interrupt is its own, and have it release the line.
    pub kind: InterruptKind,
}

/// Why a function can have no interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptError {
    /// None were asked for.
    None,
    /// Somebody has them.
    InUse,
    /// It has no message-signalled interrupts, and its pin leads nowhere that is known.
    NoRoute(RouteError),
    /// The kernel has none for it.
    Irq(IrqError),
    /// There is no interrupt of that number.
    NoSuch,
}

impl fmt::Display for InterruptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupts: ")?;
        match self {
            Self::None => f.write_str("none are wanted"),
            Self::InUse => f.write_str("in use"),
            Self::NoRoute(error) => error.fmt(f),
            Self::Irq(error) => error.fmt(f),
            Self::NoSuch => f.write_str("there is none of that number"),
        }
    }
}

impl core::error::Error for InterruptError {}

impl From<IrqError> for InterruptError {
    fn from(error: IrqError) -> Self {
        Self::Irq(error)
    }
}

/// Why a function does not have one kind of interrupts: another kind may do.
#[derive(Debug)]
pub(super) enum Missing {
    /// It has no such capability, or it makes no sense.
    Capability,
    /// The table of MSI-X cannot be reached.
    Table(BarClaimError),
    /// It cannot be had for another reason.
    Other(InterruptError),
}

impl<E: Into<InterruptError>> From<E> for Missing {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

#[derive(Debug)]
enum Kind {
    MsiX { messages: SpinLock<Vec<MessageInterrupt>>, table: Table },
    Msi { messages: SpinLock<Vec<MessageInterrupt>>, msi: Msi },
    Intx(Line),
}

/// The mark that somebody has the interrupts.
#[derive(Debug)]
struct Claim(alloc::sync::Arc<Inner>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.vectors.lock().clear();
        *self.0.has_interrupts.lock() = false;
    }
}

/// The interrupts of a function. Dropping this switches them off; no handler runs afterwards.
#[must_use = "the interrupts are off when this is dropped"]
#[derive(Debug)]
pub struct Interrupts {
    kind: Kind,
    count: usize,
    /// Messages are writes to memory.
    _bus_master: Option<Held>,
    claim: Claim,
}

impl Function {
    /// Takes the function's interrupts, as many as it has up to `wanted`, and up to 64. For
    /// each `handler` makes what is called, interrupts off; it is asked again if it turns out
    /// that there are fewer, or of another kind. They interrupt the CPUs that the fewest
    /// devices interrupt until [`Interrupts::set_affinity`] says otherwise. From now on
    /// handlers may be called. `owner` is what `irqs` shows.
    ///
    /// The function may send messages, and so write to memory, as long as it has some.
    ///
    /// # Errors
    /// As [`InterruptError`] says.
    pub fn interrupts(
        &self,
        owner: &str,
        wanted: usize,
        mut handler: impl FnMut(Which) -> Result<Action, IrqError>,
    ) -> Result<Interrupts, InterruptError> {
        self.interrupts_of(&InterruptKind::ALL, owner, wanted, &mut handler)
    }

    /// The same, of these kinds alone, the first that the function has.
    ///
    /// # Errors
    /// As [`InterruptError`] says.
    pub fn interrupts_of(
        &self,
        kinds: &[InterruptKind],
        owner: &str,
        wanted: usize,
        handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
    ) -> Result<Interrupts, InterruptError> {
        let inner = &self.0;
        if wanted == 0 {
            return Err(InterruptError::None);
        }
        if core::mem::replace(&mut *inner.has_interrupts.lock(), true) {
            return Err(InterruptError::InUse);
        }
        let claim = Claim(inner.clone());
        let no_msi = crate::acpi::platform().fadt.is_some_and(|fadt| fadt.no_msi);
        let mut last = InterruptError::NoRoute(RouteError::NoPin);
        for &kind in kinds {
            let result = match kind {
                InterruptKind::MsiX | InterruptKind::Msi if no_msi => continue,
                InterruptKind::MsiX => msi_x(self, owner, wanted.min(MOST_VECTORS), handler),
                InterruptKind::Msi => msi(self, owner, wanted.min(MOST_VECTORS), handler),
                InterruptKind::Intx => line(self, owner, handler),
            };
            match result {
                Ok((kind, count)) => {
                    let is_message = !matches!(kind, Kind::Intx(_));
                    let bus_master = is_message.then(|| Held::new(inner, Right::BusMaster));
                    let interrupts = Interrupts { kind, count, _bus_master: bus_master, claim };
                    interrupts.tell();
                    return Ok(interrupts);
                }
                Err(Missing::Capability) => {}
                Err(Missing::Table(error)) => {
                    log::warn!("pci {}: no MSI-X: {error}", inner.address);
                }
                Err(Missing::Other(error)) => last = error,
            }
        }
        Err(last)
    }
}

impl InterruptKind {
    /// All kinds, the best first.
    pub const ALL: [Self; 3] = [Self::MsiX, Self::Msi, Self::Intx];
}

/// A handler for each of `count`.
fn handlers(
    kind: InterruptKind,
    count: usize,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<Vec<Action>, IrqError> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| IrqError::OutOfMemory)?;
    for index in 0..count {
        all.push(handler(Which { index, count, kind })?);
    }
    Ok(all)
}

fn msi_x(
    function: &Function,
    owner: &str,
    wanted: usize,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<(Kind, usize), Missing> {
    let inner = &function.0;
    let capability = inner.msi_x().ok_or(Missing::Capability)?;
    let table = Table::new(inner, capability)?;
    // Where the kernel has fewer, fewer will do.
    let mut count = wanted.min(capability.count.into());
    let messages = loop {
        match msi_x_messages(owner, count, handler) {
            Err(IrqError::NoVectors) if count > 1 => count /= 2,
            other => break other?,
        }
    };
    for (index, message) in messages.iter().enumerate() {
        table.set(index, message.message());
    }
    table.switch_on();
    let messages = SpinLock::new("MSI-X messages", messages);
    Ok((Kind::MsiX { messages, table }, count))
}

fn msi_x_messages(
    owner: &str,
    count: usize,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<Vec<MessageInterrupt>, IrqError> {
    let mut messages = Vec::new();
    messages.try_reserve_exact(count).map_err(|_| IrqError::OutOfMemory)?;
    for action in handlers(InterruptKind::MsiX, count, handler)? {
        messages.push(MessageInterrupt::claim(owner, None, action)?);
    }
    Ok(messages)
}

fn msi(
    function: &Function,
    owner: &str,
    wanted: usize,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<(Kind, usize), Missing> {
    let inner = &function.0;
    let msi = inner.msi().ok_or(Missing::Capability)?;
    let mut count = wanted.min(msi.count.into());
    // A power of two, not more than is wanted.
    count = 1 << count.ilog2();
    let messages = loop {
        let actions = handlers(InterruptKind::Msi, count, handler)?;
        match MessageInterrupt::claim_row(owner, None, actions) {
            Err(IrqError::NoVectors) if count > 1 => count /= 2,
            other => break other?,
        }
    };
    let config = &inner.config;
    if let Some(first) = messages.first() {
        let message = first.message();
        config.write_u32(msi.address(), message.address as u32);
        if let Some(high) = msi.address_high() {
            config.write_u32(high, (message.address >> 32) as u32);
        }
        config.write_u16(msi.data(), message.data as u16);
    }
    if let Some(mask) = msi.mask() {
        config.write_u32(mask, 0);
    }
    let old = config.read_u16(msi.control());
    config.write_u16(msi.control(), Msi::enabled(old, count as u8));
    let messages = SpinLock::new("MSI messages", messages);
    Ok((Kind::Msi { messages, msi }, count))
}

fn line(
    function: &Function,
    owner: &str,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<(Kind, usize), Missing> {
    let inner = &function.0;
    let action = handler(Which { index: 0, count: 1, kind: InterruptKind::Intx })?;
    let route = intx::route(inner).map_err(InterruptError::NoRoute)?;
    Ok((Kind::Intx(Line::claim(inner, route, owner, action)?), 1))
}

impl Interrupts {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What they are.
    pub fn kind(&self) -> InterruptKind {
        match &self.kind {
            Kind::MsiX { .. } => InterruptKind::MsiX,
            Kind::Msi { .. } => InterruptKind::Msi,
            Kind::Intx(_) => InterruptKind::Intx,
        }
    }

    /// The vector of interrupt `index`.
    pub fn vector(&self, index: usize) -> Option<u8> {
        match &self.kind {
            Kind::MsiX { messages, .. } | Kind::Msi { messages, .. } => {
                messages.lock().get(index).map(MessageInterrupt::vector)
            }
            Kind::Intx(line) => (index == 0).then(|| line.vector()),
        }
    }

    /// The CPU that interrupt `index` interrupts.
    pub fn cpu(&self, index: usize) -> Option<u32> {
        self.vector(index).and_then(irq::cpu_of)
    }

    /// Makes interrupt `index` interrupt CPU number `cpu` from now on. With MSI all messages
    /// go there, with INTx all who share the line.
    ///
    /// # Errors
    /// `NoSuch`; `Irq` if devices cannot interrupt that CPU.
    pub fn set_affinity(&self, index: usize, cpu: u32) -> Result<(), InterruptError> {
        match &self.kind {
            Kind::MsiX { messages, table } => {
                let mut messages = messages.lock();
                let one = messages.get_mut(index).ok_or(InterruptError::NoSuch)?;
                table.set(index, one.set_affinity(cpu)?);
            }
            Kind::Msi { messages, msi } => {
                let mut messages = messages.lock();
                if index >= messages.len() {
                    return Err(InterruptError::NoSuch);
                }
                for message in messages.iter_mut() {
                    let new = message.set_affinity(cpu)?;
                    // The vector stays, and the address has 32 bits: one write, which no
                    // message finds half done.
                    self.claim.0.config.write_u32(msi.address(), new.address as u32);
                }
            }
            Kind::Intx(line) if index == 0 => line.set_affinity(cpu)?,
            Kind::Intx(_) => return Err(InterruptError::NoSuch),
        }
        Ok(())
    }

    /// Stops interrupt `index` of MSI-X, or lets it come again; one that came meanwhile is
    /// remembered by the device. Other kinds cannot, and go on.
    ///
    /// # Errors
    /// `NoSuch`, also for other kinds.
    pub fn set_masked(&self, index: usize, masked: bool) -> Result<(), InterruptError> {
        match &self.kind {
            Kind::MsiX { table, .. } if index < self.count => {
                table.set_masked(index, masked);
                Ok(())
            }
            _ => Err(InterruptError::NoSuch),
        }
    }

    /// Notes the vectors for those who look at the function.
    fn tell(&self) {
        let mut vectors = self.claim.0.vectors.lock();
        vectors.extend((0..self.count.min(MOST_VECTORS)).filter_map(|index| self.vector(index)));
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let config = &self.claim.0.config;
        match &self.kind {
            Kind::MsiX { table, .. } => table.switch_off(),
            Kind::Msi { msi, .. } => {
                let old = config.read_u16(msi.control());
                config.write_u16(msi.control(), old & !Msi::ENABLE);
                // Reading waits until the write has arrived.
                config.read_u16(msi.control());
            }
            Kind::Intx(_) => {}
        }
    }
}
