//! The rules about locks, checked before a CPU begins to wait for one:
//!
//! - **Order.** Whoever waits for a lock of class B while holding one of class A adds the
//!   order A → B to a graph of classes. An order that would close a circle is an inversion:
//!   some day two CPUs wait for each other.
//! - **Interrupts.** A class that is taken in interrupt handlers and also with interrupts on
//!   deadlocks when the interrupt comes to the CPU that holds it. So does a class A of the
//!   first kind and B of the second, if B is waited for while A is held.
//! - **Same class.** Two locks of one class need levels, the higher one taken last.
//!
//! The graph never shrinks; an order or use that is reported is not added to it, so that
//! the next time reports it again.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use arrayvec::ArrayVec;

use super::class::{Bit, CLASSES, ClassId, Place, Seen, all, count};
use super::held::{Hold, Stack};
use super::report::Problem;
use super::trace::{Here, SharedTrace};
use super::watch;

/// Orders that there is room for.
const EDGES: usize = 1024;
/// Orders of a circle that a report tells.
pub(super) const CHAIN: usize = 6;
const WORDS: usize = CLASSES / 64;

/// How a class was taken: bit and index of [`super::class::Class::seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// Waited for in an interrupt handler.
    InInterrupt = 0,
    /// Taken with interrupts on.
    InterruptsOn = 1,
}

impl Usage {
    fn bit(self) -> u8 {
        1 << self as u8
    }

    fn other(self) -> Self {
        match self {
            Self::InInterrupt => Self::InterruptsOn,
            Self::InterruptsOn => Self::InInterrupt,
        }
    }

    /// Where `class` was first taken so.
    pub(super) fn seen(self, class: ClassId) -> &'static Seen {
        &class.class().seen[self as usize]
    }

    fn of(self, class: ClassId) -> bool {
        class.class().usage.load(Ordering::Acquire) & self.bit() != 0
    }
}

/// An order, with where both locks were taken when it was first seen. Written once.
pub(super) struct Edge {
    from: AtomicU16,
    to: AtomicU16,
    pub(super) held_at: Place,
    pub(super) held_trace: SharedTrace,
    pub(super) wanted_at: Place,
    pub(super) wanted_trace: SharedTrace,
}

impl Edge {
    const fn unused() -> Self {
        Self {
            from: AtomicU16::new(0),
            to: AtomicU16::new(0),
            held_at: Place::none(),
            held_trace: SharedTrace::empty(),
            wanted_at: Place::none(),
            wanted_trace: SharedTrace::empty(),
        }
    }

    pub(super) fn from(&self) -> ClassId {
        ClassId::from_index(self.from.load(Ordering::Relaxed).into())
    }

    pub(super) fn to(&self) -> ClassId {
        ClassId::from_index(self.to.load(Ordering::Relaxed).into())
    }
}

static SEEN_ORDERS: [Edge; EDGES] = [const { Edge::unused() }; EDGES];
static EDGE_COUNT: AtomicUsize = AtomicUsize::new(0);
/// Row A has bit B if A → B has been seen.
static AFTER: [[AtomicU64; WORDS]; CLASSES] =
    [const { [const { AtomicU64::new(0) }; WORDS] }; CLASSES];
static GRAPH: Bit = Bit::new();
/// Cleared when a table is full.
static ON: AtomicBool = AtomicBool::new(true);

/// A set of classes.
#[derive(Clone, Copy, Default)]
struct Set([u64; WORDS]);

impl Set {
    fn has(&self, class: ClassId) -> bool {
        self.0[class.index() / 64] >> (class.index() % 64) & 1 != 0
    }

    /// True if it was not there.
    fn add(&mut self, class: ClassId) -> bool {
        let new = !self.has(class);
        self.0[class.index() / 64] |= 1 << (class.index() % 64);
        new
    }
}

fn is_edge(from: ClassId, to: ClassId) -> bool {
    AFTER[from.index()][to.index() / 64].load(Ordering::Acquire) >> (to.index() % 64) & 1 != 0
}

/// Stops this check: from now on half of the graph would be missing.
pub(super) fn switch_off() {
    ON.store(false, Ordering::Relaxed);
}

/// Whether orders are checked.
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The first class for which `wanted` holds, of `start` and all that stand after it
/// (`forward`) or before it in the graph; with the way there. Under `GRAPH`.
fn search(start: ClassId, forward: bool, wanted: impl Fn(ClassId) -> bool) -> Option<Way> {
    let mut reached = Set::default();
    let mut queue = ArrayVec::<(ClassId, u16), CLASSES>::new();
    reached.add(start);
    queue.push((start, 0));
    let mut next = 0;
    while let Some(&(class, _)) = queue.get(next) {
        if wanted(class) {
            let mut way = Way::new();
            let mut at = next;
            while at != 0 && !way.is_full() {
                way.push(queue[at].0);
                at = queue[at].1.into();
            }
            let _ = way.try_push(start); // a way that is cut is told as far as it goes
            way.reverse();
            return Some(way);
        }
        for other in all() {
            let edge = if forward { is_edge(class, other) } else { is_edge(other, class) };
            // Each class is added once, so there is room for all.
            if edge && reached.add(other) {
                queue.push((other, next as u16));
            }
        }
        next += 1;
    }
    None
}

/// Classes from one to another.
type Way = ArrayVec<ClassId, CHAIN>;

/// The record of the order `from` → `to`.
pub(super) fn edge(from: ClassId, to: ClassId) -> Option<&'static Edge> {
    let known = SEEN_ORDERS.get(..EDGE_COUNT.load(Ordering::Acquire)).unwrap_or(&[]);
    known.iter().find(|edge| edge.from() == from && edge.to() == to)
}

/// What is wanted, where, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) class: ClassId,
    pub(super) key: usize,
    pub(super) level: u16,
    pub(super) place: &'static core::panic::Location<'static>,
    pub(super) here: Here,
}

/// Checks that `wanted` may be waited for while `held` is held, and adds to the graph.
///
/// # Errors
/// The rule that is broken.
pub(super) fn check_order<const N: usize>(held: &Stack<N>, wanted: &Wanted) -> Result<(), Problem> {
    if !is_on() || !wanted.class.is_some() {
        return Ok(());
    }
    for record in held.records().filter(|record| record.is_lock()) {
        if record.key.load(Ordering::Relaxed) == wanted.key {
            return Ok(()); // about to wait for itself, which the lock reports
        }
        let class = record.class();
        let known = if class == wanted.class {
            wanted.level > record.level.load(Ordering::Relaxed)
        } else {
            !class.is_some() || is_edge(class, wanted.class)
        };
        if !known && let Some(hold) = record.load() {
            check_new(hold, wanted)?;
        }
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn check_new(hold: Hold, wanted: &Wanted) -> Result<(), Problem> {
    if hold.class == wanted.class {
        return Err(Problem::same_class(hold, wanted));
    }
    // Without the graph (in an NMI) the order is checked the next time.
    GRAPH.with(|| add_edge(hold, wanted)).unwrap_or(Ok(()))
}

/// Under `GRAPH`.
fn add_edge(hold: Hold, wanted: &Wanted) -> Result<(), Problem> {
    let (from, to) = (hold.class, wanted.class);
    if is_edge(from, to) {
        return Ok(());
    }
    if let Some(way) = search(to, true, |class| class == from) {
        return Err(Problem::inversion(hold, wanted, way));
    }
    if let (Some(before), Some(after)) = (
        search(from, false, |class| Usage::InInterrupt.of(class)),
        search(to, true, |class| Usage::InterruptsOn.of(class)),
    ) && let (Some(&unsafe_in), Some(&taken_on)) = (before.last(), after.last())
    {
        return Err(Problem::irq_order(unsafe_in, taken_on, hold, wanted));
    }
    let index = EDGE_COUNT.load(Ordering::Relaxed);
    let Some(edge) = SEEN_ORDERS.get(index) else {
        watch::table_is_full(watch::Table::Orders);
        return Ok(());
    };
    edge.from.store(from.index() as u16, Ordering::Relaxed);
    edge.to.store(to.index() as u16, Ordering::Relaxed);
    edge.held_at.store(hold.place);
    edge.held_trace.store(hold.trace);
    edge.wanted_at.store(Some(wanted.place));
    edge.wanted_trace.store(wanted.here.trace());
    EDGE_COUNT.store(index + 1, Ordering::Release);
    AFTER[from.index()][to.index() / 64].fetch_or(1 << (to.index() % 64), Ordering::Release);
    Ok(())
}

/// Checks and records that `wanted` is taken as `usage` says.
///
/// # Errors
/// The class, or one that is bound to it by an order, is used the other way too.
pub(super) fn check_usage(wanted: &Wanted, usage: Usage) -> Result<(), Problem> {
    if !is_on() || !wanted.class.is_some() || usage.of(wanted.class) {
        return Ok(());
    }
    GRAPH.with(|| add_usage(wanted, usage)).unwrap_or(Ok(()))
}

/// Under `GRAPH`.
fn add_usage(wanted: &Wanted, usage: Usage) -> Result<(), Problem> {
    if usage.of(wanted.class) {
        return Ok(());
    }
    // A class of handlers must not stand before one that is taken with interrupts on.
    let forward = usage == Usage::InInterrupt;
    if let Some(way) = search(wanted.class, forward, |class| usage.other().of(class))
        && let Some(&other) = way.last()
    {
        return Err(Problem::irq_usage(wanted, usage, other));
    }
    usage.seen(wanted.class).store(Some(wanted.place), wanted.here.trace());
    wanted.class.class().usage.fetch_or(usage.bit(), Ordering::Release);
    Ok(())
}

/// Classes, orders between them, and what there is room for.
pub fn counts() -> [(usize, usize); 2] {
    [(count() - 1, CLASSES - 1), (EDGE_COUNT.load(Ordering::Relaxed), EDGES)]
}
