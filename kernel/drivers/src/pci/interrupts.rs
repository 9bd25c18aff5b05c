//! The interrupts of a function: MSI-X, or MSI, or its interrupt pin, whichever it has first.
//!
//! A driver says how many it could use, and makes a handler for each that it gets; it works
//! with any number from one on. All of them are off again when [`Interrupts`] is dropped, and
//! no handler runs any more then.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use arrayvec::ArrayVec;
use base::irq::{self, Action, IrqError, MessageInterrupt};
use base::sync::IrqSpinLock;
use pci_config::{ConfigSpace, Msi};

use super::bar::BarClaimError;
use super::command::{Held, Right};
use super::function::{Function, Inner};
use super::intx::{self, Line, RouteError};
use super::msi_x::Table;

/// Most interrupts of a function.
const MOST_VECTORS: usize = 64;

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

/// What makes a function's interrupts.
#[derive(Debug)]
enum Means {
    MsiX { messages: Vec<MessageInterrupt>, table: Table },
    Msi { messages: Vec<MessageInterrupt>, msi: Msi },
    Intx(Line),
}

/// Who has a function's interrupts. Not locked while a driver's handler is freed: it may be
/// waiting for this lock, to mask its interrupt.
#[derive(Debug)]
enum State {
    Free,
    /// Somebody takes them or gives them back.
    Busy,
    Taken(Means),
}

/// The interrupts of a function, as the function itself knows them.
#[derive(Debug)]
pub(super) struct Slot(IrqSpinLock<State>);

impl Slot {
    pub(super) const fn new() -> Self {
        Self(IrqSpinLock::new("PCI interrupts", State::Free))
    }

    /// Whether nobody has them.
    pub(super) fn is_free(&self) -> bool {
        matches!(*self.0.lock(), State::Free)
    }

    /// Calls `act` with what makes them.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Means) -> Result<T, InterruptError>,
    ) -> Result<T, InterruptError> {
        match &mut *self.0.lock() {
            State::Taken(means) => act(means),
            State::Free | State::Busy => Err(InterruptError::NoSuch),
        }
    }

    fn replace(&self, state: State) -> State {
        core::mem::replace(&mut *self.0.lock(), state)
    }
}

impl Means {
    fn kind(&self) -> InterruptKind {
        match self {
            Self::MsiX { .. } => InterruptKind::MsiX,
            Self::Msi { .. } => InterruptKind::Msi,
            Self::Intx(_) => InterruptKind::Intx,
        }
    }

    fn vector(&self, index: usize) -> Option<u8> {
        match self {
            Self::MsiX { messages, .. } | Self::Msi { messages, .. } => {
                messages.get(index).map(MessageInterrupt::vector)
            }
            Self::Intx(line) => (index == 0).then(|| line.vector()),
        }
    }

    fn set_affinity(
        &mut self,
        function: &Inner,
        index: usize,
        cpu: u32,
    ) -> Result<(), InterruptError> {
        match self {
            Self::MsiX { messages, table } => {
                let one = messages.get_mut(index).ok_or(InterruptError::NoSuch)?;
                table.set(index, one.set_affinity(cpu)?);
            }
            Self::Msi { messages, .. } if index >= messages.len() => {
                return Err(InterruptError::NoSuch);
            }
            Self::Msi { messages, msi } => {
                for message in messages.iter_mut() {
                    let new = message.set_affinity(cpu)?;
                    // The vector stays, and the address has 32 bits: one write, which no
                    // message finds half done.
                    function.config.write_u32(msi.address(), new.address as u32);
                }
            }
            Self::Intx(line) if index == 0 => line.set_affinity(cpu)?,
            Self::Intx(_) => return Err(InterruptError::NoSuch),
        }
        Ok(())
    }

    /// No interrupt is made any more.
    fn switch_off(&self, function: &Inner) {
        match self {
            Self::MsiX { table, .. } => table.switch_off(),
            Self::Msi { msi, .. } => {
                let old = function.config.read_u16(msi.control());
                function.config.write_u16(msi.control(), old & !Msi::ENABLE);
                // Reading waits until the write has arrived.
                function.config.read_u16(msi.control());
            }
            // The line's drop does.
            Self::Intx(_) => {}
        }
    }
}

/// The mark that somebody has the interrupts.
#[derive(Debug)]
struct Claim(Arc<Inner>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.interrupts.replace(State::Free);
    }
}

/// The interrupts of a function. Dropping this switches them off; no handler runs afterwards.
#[must_use = "the interrupts are off when this is dropped"]
#[derive(Debug)]
pub struct Interrupts {
    kind: InterruptKind,
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
        {
            let mut state = inner.interrupts.0.lock();
            if !matches!(*state, State::Free) {
                return Err(InterruptError::InUse);
            }
            *state = State::Busy;
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
                Ok((means, count)) => {
                    let is_message = kind != InterruptKind::Intx;
                    let bus_master = is_message.then(|| Held::new(inner, Right::BusMaster));
                    inner.interrupts.replace(State::Taken(means));
                    return Ok(Interrupts { kind, count, _bus_master: bus_master, claim });
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
) -> Result<(Means, usize), Missing> {
    let inner = &function.0;
    let capability = inner.msi_x().ok_or(Missing::Capability)?;
    let table = Table::new(inner, capability)?;
    // Where the kernel has fewer, fewer will do.
    let mut count = irq::fair_share(wanted.min(capability.count.into()));
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
    Ok((Means::MsiX { messages, table }, count))
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
) -> Result<(Means, usize), Missing> {
    let inner = &function.0;
    let msi = inner.msi().ok_or(Missing::Capability)?;
    let mut count = irq::fair_share(wanted.min(msi.count.into()));
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
    Ok((Means::Msi { messages, msi }, count))
}

fn line(
    function: &Function,
    owner: &str,
    handler: &mut dyn FnMut(Which) -> Result<Action, IrqError>,
) -> Result<(Means, usize), Missing> {
    let inner = &function.0;
    let action = handler(Which { index: 0, count: 1, kind: InterruptKind::Intx })?;
    let route = intx::route(inner).map_err(InterruptError::NoRoute)?;
    Ok((Means::Intx(Line::claim(inner, route, owner, action)?), 1))
}

impl Function {
    /// The vectors of its interrupts, if somebody has them.
    pub fn vectors(&self) -> ArrayVec<u8, MOST_VECTORS> {
        let all = |means: &mut Means| {
            Ok((0..MOST_VECTORS).map_while(|index| means.vector(index)).collect())
        };
        self.0.interrupts.with(all).unwrap_or_default()
    }

    /// What its interrupts are, if somebody has them.
    pub fn interrupt_kind(&self) -> Option<InterruptKind> {
        self.0.interrupts.with(|means| Ok(means.kind())).ok()
    }

    /// Makes interrupt `index` interrupt CPU number `cpu` from now on, whoever has it. With MSI
    /// all messages go there, with INTx all who share the line.
    ///
    /// # Errors
    /// `NoSuch`; `Irq` if devices cannot interrupt that CPU.
    pub fn set_affinity(&self, index: usize, cpu: u32) -> Result<(), InterruptError> {
        self.0.interrupts.with(|means| means.set_affinity(&self.0, index, cpu))
    }
}

impl Interrupts {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What they are.
    pub fn kind(&self) -> InterruptKind {
        self.kind
    }

    fn slot(&self) -> &Slot {
        &self.claim.0.interrupts
    }

    /// The vector of interrupt `index`.
    pub fn vector(&self, index: usize) -> Option<u8> {
        self.slot().with(|means| Ok(means.vector(index))).ok()?
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
        self.slot().with(|means| means.set_affinity(&self.claim.0, index, cpu))
    }

    /// Stops interrupt `index` of MSI-X, or lets it come again; one that came meanwhile is
    /// remembered by the device. Other kinds cannot, and go on. A handler may call this.
    ///
    /// # Errors
    /// `NoSuch`, also for other kinds.
    pub fn set_masked(&self, index: usize, masked: bool) -> Result<(), InterruptError> {
        self.slot().with(|means| match means {
            Means::MsiX { table, messages } if index < messages.len() => {
                table.set_masked(index, masked);
                Ok(())
            }
            _ => Err(InterruptError::NoSuch),
        })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // Not under the lock: dropping waits for handlers, which may want it.
        if let State::Taken(means) = self.slot().replace(State::Busy) {
            means.switch_off(&self.claim.0);
            drop(means);
        }
    }
}
