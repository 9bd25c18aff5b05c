//! Lock classes: all locks of one name. The table of them, found by name, with what is known
//! of each: its statistics, and in debug builds how it is used.
//!
//! A class gets its number when a lock of it is first checked (debug builds) or first
//! waited for. The table is never shortened; when it is full, further classes go without.

use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use arch::cpu::{interrupts, local};

use super::trace::{SharedTrace, Trace};

/// Classes that there is room for; number 0 stands for none.
pub(super) const CLASSES: usize = 256;
/// Slots of the hash table; a power of two.
const SLOTS: usize = 2 * CLASSES;

/// A place in the source that other CPUs may read.
pub(super) struct Place(AtomicPtr<Location<'static>>);

impl Place {
    pub(super) const fn none() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    pub(super) fn store(&self, place: Option<&'static Location<'static>>) {
        let place = place.map_or(core::ptr::null(), core::ptr::from_ref);
        self.0.store(place.cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Option<&'static Location<'static>> {
        // SAFETY: only ever null or from a `&'static Location`.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
}

/// Where something was first seen.
pub(super) struct Seen {
    pub(super) place: Place,
    pub(super) trace: SharedTrace,
}

impl Seen {
    const fn not() -> Self {
        Self { place: Place::none(), trace: SharedTrace::empty() }
    }

    pub(super) fn store(&self, place: Option<&'static Location<'static>>, trace: Trace) {
        self.place.store(place);
        self.trace.store(trace);
    }
}

/// What is known of a class.
pub(super) struct Class {
    name: AtomicPtr<u8>,
    name_bytes: AtomicUsize,
    /// Debug builds only: locks and successful attempts.
    pub(super) acquisitions: AtomicU64,
    pub(super) contended: AtomicU64,
    pub(super) wait_total: AtomicU64,
    pub(super) wait_longest: AtomicU64,
    /// Debug builds only.
    pub(super) hold_longest: AtomicU64,
    pub(super) hold_place: Place,
    /// Bits of [`super::order`]: how it was taken.
    pub(super) usage: AtomicU8,
    /// Where, for each bit.
    pub(super) seen: [Seen; 2],
    /// Whether a hold that was too long has been told, see [`super::watch`].
    pub(super) long_hold: AtomicU8,
    pub(super) long_hold_ns: AtomicU64,
    pub(super) long_hold_seen: Seen,
    /// Who freed it.
    pub(super) long_hold_freed: SharedTrace,
}

impl Class {
    const fn unused() -> Self {
        Self {
            name: AtomicPtr::new(core::ptr::null_mut()),
            name_bytes: AtomicUsize::new(0),
            acquisitions: AtomicU64::new(0),
            contended: AtomicU64::new(0),
            wait_total: AtomicU64::new(0),
            wait_longest: AtomicU64::new(0),
            hold_longest: AtomicU64::new(0),
            hold_place: Place::none(),
            usage: AtomicU8::new(0),
            seen: [const { Seen::not() }; 2],
            long_hold: AtomicU8::new(0),
            long_hold_ns: AtomicU64::new(0),
            long_hold_seen: Seen::not(),
            long_hold_freed: SharedTrace::empty(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        let bytes = self.name.load(Ordering::Relaxed);
        if bytes.is_null() {
            return "no name";
        }
        // SAFETY: both words come from one `&'static str`, and were stored before the
        // class's number was given out (released, and acquired by whoever has it).
        unsafe {
            let bytes = core::slice::from_raw_parts(bytes, self.name_bytes.load(Ordering::Relaxed));
            core::str::from_utf8_unchecked(bytes)
        }
    }
}

static TABLE: [Class; CLASSES] = [const { Class::unused() }; CLASSES];
static HASHED: [AtomicU16; SLOTS] = [const { AtomicU16::new(0) }; SLOTS];
/// Numbers given out, zero among them.
static COUNT: AtomicUsize = AtomicUsize::new(1);
static GROWING: Bit = Bit::new();

/// The number of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClassId(u16);

impl ClassId {
    pub(super) const NONE: Self = Self(0);

    /// The number of the class with this name, given out if there is none yet. `NONE` if
    /// there is no name, no room, or the table cannot be had (in an NMI).
    pub(super) fn of(name: &'static str) -> Self {
        if name.is_empty() {
            return Self::NONE;
        }
        find(name)
            .or_else(|| GROWING.with(|| find(name).or_else(|| add(name))).flatten())
            .unwrap_or(Self::NONE)
    }

    pub(super) fn from_index(index: usize) -> Self {
        Self(if index < CLASSES { index as u16 } else { 0 })
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }

    /// What is known of the class; of none, a record that nobody looks at.
    pub(super) fn class(self) -> &'static Class {
        &TABLE[self.index() % CLASSES]
    }

    pub(super) fn name(self) -> &'static str {
        self.class().name()
    }
}

/// All classes that have a number.
pub(super) fn all() -> impl Iterator<Item = ClassId> {
    (1..count()).map(ClassId::from_index)
}

/// One more than the highest number.
pub(super) fn count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// The slots in which a name may be, in order (FNV-1a, then one after another).
fn slots(name: &str) -> impl Iterator<Item = &'static AtomicU16> {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..SLOTS).map(move |step| &HASHED[(hash as usize + step) % SLOTS])
}

fn find(name: &str) -> Option<ClassId> {
    slots(name)
        .map(|slot| ClassId(slot.load(Ordering::Acquire)))
        .take_while(|id| id.is_some())
        .find(|id| id.name() == name)
}

/// Adds a class, under `GROWING`.
fn add(name: &'static str) -> Option<ClassId> {
    let index = COUNT.load(Ordering::Relaxed);
    if index >= CLASSES {
        super::watch::table_is_full(super::watch::Table::Classes);
        return None;
    }
    let id = ClassId(index as u16);
    id.class().name_bytes.store(name.len(), Ordering::Relaxed);
    id.class().name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
    COUNT.store(index + 1, Ordering::Release);
    // Half of the slots are always free.
    let slot = slots(name).find(|slot| slot.load(Ordering::Relaxed) == 0)?;
    slot.store(id.0, Ordering::Release);
    Some(id)
}

/// A lock for the checker's own tables. It is not checked, it keeps interrupts off, and it
/// gives up: in an NMI that came while this CPU holds it, and after a bounded wait.
pub(super) struct Bit(core::sync::atomic::AtomicU32);

impl Bit {
    /// Turns of the loop until it gives up; the tables are held for microseconds.
    const PATIENCE: u32 = 10_000_000;

    pub(super) const fn new() -> Self {
        Self(core::sync::atomic::AtomicU32::new(0))
    }

    /// Calls `work` under the lock; `None` if it cannot be had. `work` must not panic.
    pub(super) fn with<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let were_enabled = interrupts::save_and_disable();
        let me = local::cpu_number() + 1;
        let mut left = Self::PATIENCE;
        let taken = loop {
            match self.0.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break true,
                Err(holder) if holder == me || left == 0 => break false,
                Err(_) => left -= 1,
            }
            interrupts::spin_hint();
        };
        let result = taken.then(|| {
            let result = work();
            self.0.store(0, Ordering::Release);
            result
        });
        interrupts::restore(were_enabled);
        result
    }
}

/// A lock's name, and in debug builds the number of its class once that is known.
pub struct Tag {
    name: &'static str,
    #[cfg(debug_assertions)]
    class: AtomicU16,
}

impl Tag {
    /// Of a lock whose class is `name`. Locks with an empty name are not checked.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            #[cfg(debug_assertions)]
            class: AtomicU16::new(0),
        }
    }

    /// The class's name.
    #[inline(always)]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The class's number.
    #[cfg(debug_assertions)]
    pub(super) fn class(&self) -> ClassId {
        let known = ClassId(self.class.load(Ordering::Relaxed));
        if known.is_some() {
            // Published by the CPU that stored it here; the name may be read only after.
            core::sync::atomic::fence(Ordering::Acquire);
            return known;
        }
        let class = ClassId::of(self.name);
        self.class.store(class.0, Ordering::Release);
        class
    }

    /// The class's number. Not for the path without contention: looks the name up.
    #[cfg(not(debug_assertions))]
    pub(super) fn class(&self) -> ClassId {
        ClassId::of(self.name)
    }
}

#[macros::kernel_test]
fn a_class_is_found_by_the_text_of_its_name() {
    let text: &'static str = "test class, found";
    let other = ClassId::of(&"a test class, found"[2..]);
    assert!(other.is_some());
    assert_eq!(ClassId::of(text), other);
    assert_eq!(other.name(), text);
    assert_ne!(ClassId::of("test class, another"), other);
    assert_eq!(ClassId::of(""), ClassId::NONE);
}

#[macros::kernel_test]
fn the_checkers_own_lock_gives_up_rather_than_wait_for_itself() {
    let bit = Bit::new();
    assert_eq!(bit.with(|| bit.with(|| ())), Some(None));
    assert_eq!(bit.with(interrupts::enabled), Some(false));
    assert!(interrupts::enabled());
}
