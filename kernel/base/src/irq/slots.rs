//! The table of handlers by vector.
//!
//! A vector has one user, or several that share a line. Handlers run under their vector's
//! lock, so that [`Claim`]'s drop waits for one in progress; the handler itself is freed when
//! the lock is free again, by who dropped the claim.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use arrayvec::ArrayString;

use super::wiring::Line;
use super::{IrqError, vectors};
use crate::fallible::try_box;
use crate::sync::IrqSpinLock;

/// Whether an interrupt was from the device whose handler was called. A handler that cannot
/// know says [`Handled::Yes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was.
    Yes,
    /// The device had asked for nothing: another one on the line has, or nobody.
    No,
}

/// What is done about an interrupt: called with interrupts off. It may wake tasks and take
/// [`IrqSpinLock`]s; it may not sleep, and it may not claim or drop interrupts.
pub type Action = Box<dyn FnMut() -> Handled + Send>;

/// `action` as [`IrqLine`](super::IrqLine) and [`MessageInterrupt`](super::MessageInterrupt)
/// take it.
///
/// # Errors
/// `OutOfMemory`.
pub fn action(action: impl FnMut() -> Handled + Send + 'static) -> Result<Action, IrqError> {
    match try_box(action) {
        Ok(action) => Ok(action),
        Err(_) => Err(IrqError::OutOfMemory),
    }
}

/// Who has an interrupt: a name, cut to 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Owner(ArrayString<24>);

impl Owner {
    /// The owner called `name`.
    pub fn new(name: &str) -> Self {
        let mut owner = ArrayString::new();
        for character in name.chars() {
            if owner.try_push(character).is_err() {
                break;
            }
        }
        Self(owner)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name(), f)
    }
}

/// Interrupts of a line after which it is asked whether anybody wanted them.
const WINDOW: u32 = 100_000;
/// So many of them may be wanted by nobody.
const MOST_UNWANTED: u32 = WINDOW - WINDOW / 1000;

struct User {
    /// Tells it from others with the same vector.
    number: u32,
    owner: Owner,
    action: Action,
}

/// What a vector's interrupts do.
pub(super) struct Slot {
    users: Vec<User>,
    /// The line that makes them, which has to be masked if it does not stop.
    line: Option<Line>,
    /// More users may join.
    shared: bool,
    next_number: u32,
    /// Since the last look: interrupts, and those that nobody wanted.
    seen: u32,
    unwanted: u32,
}

/// What became of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A handler was there for it.
    Called,
    /// None was.
    Nobody,
    /// Handlers were called, but hardly any of the last interrupts was for them: the line is
    /// masked now.
    Storm,
}

static SLOTS: [IrqSpinLock<Slot>; 256] =
    [const { IrqSpinLock::new("irq handler", Slot::new()) }; 256];

impl Slot {
    const fn new() -> Self {
        Self { users: Vec::new(), line: None, shared: false, next_number: 0, seen: 0, unwanted: 0 }
    }

    /// The first of those who have it.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.users.first().map(|user| user.owner)
    }

    fn join(&mut self, shared: bool, owner: Owner, action: Action) -> Result<u32, IrqError> {
        if let Some(owner) = self.owner()
            && !(shared && self.shared)
        {
            return Err(IrqError::InUse { owner });
        }
        self.users.try_reserve(1).map_err(|_| IrqError::OutOfMemory)?;
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.shared = shared;
        self.users.push(User { number, owner, action });
        Ok(number)
    }

    fn leave(&mut self, number: u32) -> Option<Action> {
        let index = self.users.iter().position(|user| user.number == number)?;
        Some(self.users.remove(index).action)
    }

    /// Calls all handlers: an edge may stand for several devices.
    fn run(&mut self) -> Outcome {
        if self.users.is_empty() {
            return Outcome::Nobody;
        }
        let mut wanted = false;
        for user in &mut self.users {
            wanted |= super::handle(&mut user.action) == Handled::Yes;
        }
        self.seen += 1;
        self.unwanted += u32::from(!wanted);
        if self.seen < WINDOW {
            return Outcome::Called;
        }
        let is_storm = self.unwanted > MOST_UNWANTED;
        (self.seen, self.unwanted) = (0, 0);
        match self.line {
            Some(line) if is_storm => {
                line.mask();
                Outcome::Storm
            }
            _ => Outcome::Called,
        }
    }
}

/// The slot of `vector`, to be looked at.
pub(super) fn slot(vector: u8) -> &'static IrqSpinLock<Slot> {
    &SLOTS[usize::from(vector)]
}

/// Runs the handlers of `vector`, interrupts off.
pub(super) fn run(vector: u8) -> Outcome {
    slot(vector).lock().run()
}

/// Those who have `vector`, with a comma between them, cut to what fits.
pub(super) fn owners(vector: u8) -> ArrayString<64> {
    let mut names = ArrayString::new();
    for user in &slot(vector).lock().users {
        let separator = if names.is_empty() { "" } else { ", " };
        if names.try_push_str(separator).and_then(|()| names.try_push_str(&user.owner.0)).is_err() {
            break;
        }
    }
    names
}

/// The right to a vector, with its handler. When the last claim of a line's vector is dropped
/// the line is masked.
#[derive(Debug)]
pub(super) struct Claim {
    vector: u8,
    number: u32,
}

impl Claim {
    /// Takes `vector` for `action`: alone, or together with others that are `shared` too. The
    /// first user of a line calls `open` before any interrupt can arrive.
    ///
    /// # Errors
    /// `InUse`, `OutOfMemory`; what `open` says.
    pub(super) fn new(
        vector: u8,
        line: Option<Line>,
        shared: bool,
        owner: &str,
        action: Action,
        open: impl FnOnce() -> Result<(), IrqError>,
    ) -> Result<Self, IrqError> {
        let mut slot = slot(vector).lock();
        let is_first = slot.users.is_empty();
        let number = slot.join(shared, Owner::new(owner), action)?;
        if is_first {
            (slot.line, slot.seen, slot.unwanted) = (line, 0, 0);
            if let Err(error) = open() {
                let action = slot.leave(number);
                drop(slot);
                drop(action);
                return Err(error);
            }
        }
        Ok(Self { vector, number })
    }

    pub(super) fn vector(&self) -> u8 {
        self.vector
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut slot = slot(self.vector).lock();
        let action = slot.leave(self.number);
        if slot.users.is_empty() {
            if let Some(line) = slot.line.take() {
                line.mask();
            }
            vectors::undirect(self.vector);
        }
        drop(slot);
        // What it owns may be anything.
        drop(action);
    }
}
