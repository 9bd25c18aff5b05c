//! What is held: [`Stack`], a stack of locks and guards. Each CPU has one (see
//! [`super::cpus`]), and each task has [`HeldLocks`], with the locks that it may sleep with.
//! Kept in debug builds only.
//!
//! A CPU's stack is written by that CPU alone, interrupts off; an NMI in between finds a
//! record more or less, and leaves the stack as it was. Others may read it at any time and
//! may see a record half written, or gone.

use core::fmt;
use core::panic::Location;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use super::class::{ClassId, Place};
use super::trace::{SharedTrace, Trace};
use crate::time;

/// Locks that one task may hold and sleep; more are not recorded.
const TASK_DEPTH: usize = if cfg!(debug_assertions) { 8 } else { 0 };

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A spin lock.
    Spin = 1,
    /// `preempt::disable`.
    Preempt = 2,
    /// `irq_off`.
    Interrupts = 3,
    /// A lock whose waiters sleep.
    Sleeping = 4,
}

/// One thing that is held.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// What it is.
    pub kind: Kind,
    /// The address of the lock; 0 for a guard.
    pub(super) key: usize,
    pub(super) class: ClassId,
    /// Its place in an order among locks of its class.
    pub(super) level: u16,
    /// Where it was taken.
    pub place: Option<&'static Location<'static>>,
    /// Nanoseconds of the clock; 0 before there is one.
    pub since_ns: u64,
    /// What called for it; empty for a guard.
    pub trace: Trace,
}

impl Hold {
    /// The name of the lock's class; nothing for a guard.
    pub fn name(&self) -> Option<&'static str> {
        self.class.is_some().then(|| self.class.name())
    }

    /// Whether it is known what called for it.
    pub(super) fn has_trace(&self) -> bool {
        self.key != 0
    }
}

/// A place, or a word for none.
pub(super) struct At(pub(super) Option<&'static Location<'static>>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => place.fmt(f),
            None => f.write_str("an unknown place"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, place) = (self.class.name(), At(self.place));
        match self.kind {
            Kind::Spin => write!(f, "spin lock '{name}' taken at {place}"),
            Kind::Sleeping => write!(f, "lock '{name}' taken at {place}"),
            Kind::Preempt => write!(f, "preemption turned off at {place}"),
            Kind::Interrupts => write!(f, "interrupts turned off at {place}"),
        }
    }
}

/// One thing that is held, where it is kept.
pub(super) struct Record {
    /// 0 while it is being written.
    kind: AtomicU8,
    pub(super) key: AtomicUsize,
    class: AtomicU16,
    pub(super) level: AtomicU16,
    place: Place,
    pub(super) since_ns: AtomicU64,
    trace: SharedTrace,
}

impl Record {
    const fn empty() -> Self {
        Self {
            kind: AtomicU8::new(0),
            key: AtomicUsize::new(0),
            class: AtomicU16::new(0),
            level: AtomicU16::new(0),
            place: Place::none(),
            since_ns: AtomicU64::new(0),
            trace: SharedTrace::empty(),
        }
    }

    /// Whether it is a lock.
    pub(super) fn is_lock(&self) -> bool {
        self.key.load(Ordering::Relaxed) != 0 && self.kind.load(Ordering::Acquire) != 0
    }

    /// The lock's class.
    pub(super) fn class(&self) -> ClassId {
        ClassId::from_index(self.class.load(Ordering::Relaxed).into())
    }

    pub(super) fn load(&self) -> Option<Hold> {
        let kind = match self.kind.load(Ordering::Acquire) {
            1 => Kind::Spin,
            2 => Kind::Preempt,
            3 => Kind::Interrupts,
            4 => Kind::Sleeping,
            _ => return None,
        };
        Some(Hold {
            kind,
            key: self.key.load(Ordering::Relaxed),
            class: self.class(),
            level: self.level.load(Ordering::Relaxed),
            place: self.place.load(),
            since_ns: self.since_ns.load(Ordering::Relaxed),
            trace: self.trace.load(),
        })
    }

    fn store(&self, hold: &Hold) {
        self.kind.store(0, Ordering::Relaxed);
        self.key.store(hold.key, Ordering::Relaxed);
        self.class.store(hold.class.index() as u16, Ordering::Relaxed);
        self.level.store(hold.level, Ordering::Relaxed);
        self.place.store(hold.place);
        self.since_ns.store(hold.since_ns, Ordering::Relaxed);
        // A guard's is empty, and is not shown; copying it would be most of the cost.
        if hold.key != 0 {
            self.trace.store(hold.trace);
        }
        self.kind.store(hold.kind as u8, Ordering::Release);
    }

    fn is(&self, kind: Kind, key: usize) -> bool {
        self.kind.load(Ordering::Relaxed) == kind as u8 && self.key.load(Ordering::Relaxed) == key
    }
}

/// Records, the last one taken on top. Only its owner changes it.
pub(super) struct Stack<const N: usize> {
    depth: AtomicUsize,
    records: [Record; N],
}

impl<const N: usize> Stack<N> {
    pub(super) const fn new() -> Self {
        Self { depth: AtomicUsize::new(0), records: [const { Record::empty() }; N] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 0
    }

    pub(super) fn at(&self, index: usize) -> Option<&Record> {
        self.used().get(index)
    }

    fn used(&self) -> &[Record] {
        self.records.get(..self.depth.load(Ordering::Relaxed)).unwrap_or(&self.records)
    }

    /// False if there is no room: then it is not recorded.
    pub(super) fn push(&self, hold: &Hold) -> bool {
        let depth = self.depth.load(Ordering::Relaxed);
        let Some(record) = self.records.get(depth) else {
            return false;
        };
        // The room is taken first: an NMI uses the next record.
        record.kind.store(0, Ordering::Relaxed);
        self.depth.store(depth + 1, Ordering::Release);
        record.store(hold);
        true
    }

    /// Where the topmost record about `key` stands.
    pub(super) fn position(&self, kind: Kind, key: usize) -> Option<usize> {
        self.used().iter().rposition(|record| record.is(kind, key))
    }

    /// Takes a record away, wherever it stands.
    pub(super) fn remove(&self, index: usize) {
        let used = self.used();
        for pair in used.get(index..).unwrap_or(&[]).windows(2) {
            if let Some(hold) = pair[1].load() {
                pair[0].store(&hold);
            }
        }
        self.depth.store(used.len().saturating_sub(1), Ordering::Release);
    }

    /// The records, the last one first.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.used().iter().rev()
    }

    /// What is held, the last one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Hold> {
        self.records().filter_map(Record::load)
    }

    pub(super) fn find(&self, key: usize) -> Option<Hold> {
        self.used().iter().rev().find(|record| record.key.load(Ordering::Relaxed) == key)?.load()
    }

    pub(super) fn clear(&self) {
        self.depth.store(0, Ordering::Release);
    }
}

/// The locks that one task holds and may sleep with. Empty in release
/// builds.
pub struct HeldLocks(pub(super) Stack<TASK_DEPTH>);

impl HeldLocks {
    /// Nothing is held.
    #[must_use]
    pub const fn new() -> Self {
        Self(Stack::new())
    }

    /// What is held, the last one first.
    pub fn iter(&self) -> impl Iterator<Item = Hold> {
        self.0.iter()
    }
}

impl Default for HeldLocks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HeldLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A record for `key`, taken now.
pub(super) fn hold_now(
    kind: Kind,
    key: usize,
    (class, level): (ClassId, u16),
    place: &'static Location<'static>,
    trace: Trace,
) -> Hold {
    Hold { kind, key, class, level, place: Some(place), since_ns: time::now_ns(), trace }
}
