//! Interrupts: a table of handlers by vector, and [`IrqLine`], the right to one of the
//! 8259A pair's lines.
//!
//! A handler runs with interrupts off, under its vector's lock, so that dropping an
//! [`IrqLine`] waits for a handler in progress. A handler may wake threads; it may not
//! sleep, and it may not claim or drop its own vector.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arch::irqchip::{lapic, pic};

use crate::preempt;
use crate::sync::{IrqSpinLock, cpus};

/// A handler gets the word that was registered with it.
pub type Handler = fn(usize);

/// Why a vector or line cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// Somebody has it.
    InUse {
        /// Who, as registered.
        owner: &'static str,
    },
    /// There is no such line, or the vector belongs to the CPU.
    OutOfRange,
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { owner } => write!(f, "taken by {owner}"),
            Self::OutOfRange => f.write_str("no such interrupt"),
        }
    }
}

#[derive(Clone, Copy)]
struct Registration {
    owner: &'static str,
    handler: Handler,
    word: usize,
}

struct Slot {
    registration: IrqSpinLock<Option<Registration>>,
    count: AtomicU64,
}

static SLOTS: [Slot; 256] = [const {
    Slot { registration: IrqSpinLock::new("irq handler", None), count: AtomicU64::new(0) }
}; 256];

// SAFETY: the one instance.
static PIC: IrqSpinLock<pic::Pic> = IrqSpinLock::new("pic", unsafe { pic::Pic::new() });

static SPURIOUS: AtomicU64 = AtomicU64::new(0);

crate::percpu! {
    static IN_HANDLER: AtomicBool = AtomicBool::new(false);
}

/// Whether this CPU is in an interrupt handler: what fails then is not the task that was
/// interrupted.
pub fn in_handler() -> bool {
    let stay = preempt::disable();
    IN_HANDLER.get(&stay).load(Ordering::Relaxed)
}

/// Resets the 8259A pair, all lines masked. Call once, interrupts off.
pub fn init() {
    PIC.lock().init();
}

/// A registered vector; dropping it takes the handler away.
#[must_use = "the handler is taken away when this is dropped"]
#[derive(Debug)]
pub struct Vector(u8);

impl Vector {
    /// Registers `handler(word)` for interrupt vector `vector`.
    ///
    /// # Errors
    /// `OutOfRange` for the CPU's own vectors (below 32); `InUse`.
    pub fn claim(
        vector: u8,
        owner: &'static str,
        handler: Handler,
        word: usize,
    ) -> Result<Self, IrqError> {
        if u64::from(vector) < arch::trap::vector::FIRST_INTERRUPT {
            return Err(IrqError::OutOfRange);
        }
        let mut registration = SLOTS[usize::from(vector)].registration.lock();
        match &*registration {
            Some(taken) => Err(IrqError::InUse { owner: taken.owner }),
            None => {
                *registration = Some(Registration { owner, handler, word });
                Ok(Self(vector))
            }
        }
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        *SLOTS[usize::from(self.0)].registration.lock() = None;
    }
}

/// A claimed line of the 8259A pair; dropping it masks the line and takes the handler
/// away.
#[must_use = "the line is masked when this is dropped"]
#[derive(Debug)]
pub struct IrqLine {
    line: u8,
    _vector: Vector,
}

impl IrqLine {
    /// Registers `handler(word)` for ISA line `line` and unmasks it.
    ///
    /// # Errors
    /// `OutOfRange` for lines past 15 and the cascade (2); `InUse`.
    pub fn claim(
        line: u8,
        owner: &'static str,
        handler: Handler,
        word: usize,
    ) -> Result<Self, IrqError> {
        if line >= pic::LINES || line == 2 {
            return Err(IrqError::OutOfRange);
        }
        let vector = Vector::claim(pic::FIRST_VECTOR + line, owner, handler, word)?;
        PIC.lock().unmask(line);
        Ok(Self { line, _vector: vector })
    }
}

impl Drop for IrqLine {
    fn drop(&mut self) {
        PIC.lock().mask(self.line);
    }
}

/// The line of the 8259A pair that `vector` stands for.
fn pic_line(vector: u8) -> Option<u8> {
    vector.checked_sub(pic::FIRST_VECTOR).filter(|&line| line < pic::LINES)
}

/// Handles interrupt `vector`: called by the trap path, interrupts off.
pub(crate) fn dispatch(vector: u8) {
    let _in_interrupt = cpus::enter_interrupt();
    if vector == lapic::SPURIOUS_VECTOR {
        SPURIOUS.fetch_add(1, Ordering::Relaxed);
        return; // the local APIC wants no end for it
    }
    let line = pic_line(vector);
    if let Some(line) = line
        && !PIC.lock().is_real(line)
    {
        SPURIOUS.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let slot = &SLOTS[usize::from(vector)];
    slot.count.fetch_add(1, Ordering::Relaxed);
    {
        let stay = preempt::disable();
        let in_handler = IN_HANDLER.get(&stay);
        in_handler.store(true, Ordering::Relaxed);
        let registration = slot.registration.lock();
        match &*registration {
            Some(found) => (found.handler)(found.word),
            None => log::warn!("interrupt vector {vector} has no handler"),
        }
        in_handler.store(false, Ordering::Relaxed);
    }
    match line {
        Some(line) => PIC.lock().end_of_interrupt(line),
        None => lapic::end_of_interrupt(),
    }
}

/// Owner and number of interrupts of every vector that is registered or has been seen.
pub fn statistics() -> impl Iterator<Item = (u8, &'static str, u64)> {
    (0..=255u8).filter_map(|vector| {
        let slot = &SLOTS[usize::from(vector)];
        let owner = slot.registration.lock().as_ref().map(|registration| registration.owner);
        let count = slot.count.load(Ordering::Relaxed);
        (owner.is_some() || count > 0).then(|| (vector, owner.unwrap_or("nobody"), count))
    })
}

/// Spurious interrupts so far.
pub fn spurious() -> u64 {
    SPURIOUS.load(Ordering::Relaxed)
}

#[macros::kernel_test]
fn a_line_is_taken_once() {
    let line = IrqLine::claim(5, "first", |_| (), 0).expect("line 5 is free in a PC");
    assert_eq!(
        IrqLine::claim(5, "second", |_| (), 0).err(),
        Some(IrqError::InUse { owner: "first" })
    );
    drop(line);
    drop(IrqLine::claim(5, "third", |_| (), 0).expect("freed by the drop"));
    assert_eq!(IrqLine::claim(2, "cascade", |_| (), 0).err(), Some(IrqError::OutOfRange));
    assert_eq!(IrqLine::claim(16, "none", |_| (), 0).err(), Some(IrqError::OutOfRange));
    assert_eq!(Vector::claim(14, "cpu", |_| (), 0).err(), Some(IrqError::OutOfRange));
}

#[macros::kernel_test]
fn a_handler_is_known_to_be_one() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.store(0, Ordering::Relaxed);
    let vector = usize::from(crate::crash::VECTOR);
    let note = |word| SEEN.store(word as u64 + u64::from(in_handler()), Ordering::Relaxed);
    let claimed = Vector::claim(crate::crash::VECTOR, "test", note, vector).expect("it is free");
    assert!(!in_handler());
    crate::crash::interrupt();
    assert_eq!(SEEN.load(Ordering::Relaxed), vector as u64 + 1);
    assert!(!in_handler() && !crate::preempt::in_atomic());
    drop(claimed);
    crate::crash::interrupt(); // nobody's: a log line
    assert!(!in_handler());
}
