//! [`Lock`]: a spin lock with a name, in two disciplines: [`SpinLock`] and
//! [`IrqSpinLock`].
//!
//! The lock remembers which CPU holds it and where it was taken. A CPU that waits for
//! itself, or for longer than [`PATIENCE_NS`], panics and names the lock and both
//! places.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use arch::cpu::{interrupts, local};

use super::discipline::{Discipline, IrqOff, PreemptOff};
use crate::time;

/// Nanoseconds that a CPU waits for a lock before it reports: far beyond any critical
/// section, and more than a busy host takes a virtual CPU away for.
pub const PATIENCE_NS: u64 = 20_000_000_000;

/// A lock that no interrupt handler takes.
pub type SpinLock<T> = Lock<T, PreemptOff>;
/// A lock that interrupt handlers take too.
pub type IrqSpinLock<T> = Lock<T, IrqOff>;

/// A spin lock around `T`.
pub struct Lock<T: ?Sized, D: Discipline> {
    name: &'static str,
    /// 0 when free, else the number of the holding CPU plus one.
    holder: AtomicU32,
    /// Where the holder took it.
    place: AtomicPtr<Location<'static>>,
    discipline: PhantomData<D>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out one guard at a time, on whatever CPU; so `T` moves between
// CPUs but is never shared.
unsafe impl<T: ?Sized + Send, D: Discipline> Sync for Lock<T, D> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: ?Sized + Send, D: Discipline> Send for Lock<T, D> {}

impl<T, D: Discipline> Lock<T, D> {
    /// A free lock. `name` is the lock's class, as reports show it.
    pub const fn new(name: &'static str, value: T) -> Self {
        Self {
            name,
            holder: AtomicU32::new(0),
            place: AtomicPtr::new(core::ptr::null_mut()),
            discipline: PhantomData,
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized, D: Discipline> Lock<T, D> {
    /// Takes the lock, spinning while another CPU holds it.
    ///
    /// # Panics
    /// If this CPU holds it already, or has waited for [`PATIENCE_NS`].
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> Guard<'_, T, D> {
        let discipline = D::enter();
        let me = local::cpu_number() + 1;
        if self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait(me);
        }
        self.guard(discipline)
    }

    /// Takes the lock if it is free.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T, D>> {
        let discipline = D::enter();
        let me = local::cpu_number() + 1;
        self.holder
            .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| self.guard(discipline))
    }

    #[track_caller]
    #[inline]
    fn guard(&self, discipline: D::Guard) -> Guard<'_, T, D> {
        let place: *const Location<'static> = Location::caller();
        self.place.store(place.cast_mut(), Ordering::Relaxed);
        Guard { lock: self, _discipline: discipline, not_send: PhantomData }
    }

    #[cold]
    #[track_caller]
    fn wait(&self, me: u32) {
        let start = time::now_ns();
        loop {
            let holder = self.holder.load(Ordering::Relaxed);
            if holder == me {
                self.report("is held by this CPU already", holder);
            }
            if holder == 0
                && self
                    .holder
                    .compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            if time::now_ns().saturating_sub(start) > PATIENCE_NS {
                self.report("has been held for too long", holder);
            }
            crate::smp::serve_in_wait();
            interrupts::spin_hint();
        }
    }

    #[cold]
    #[track_caller]
    fn report(&self, what: &str, holder: u32) -> ! {
        let place = self.place.load(Ordering::Relaxed);
        // SAFETY: only ever null or a `&'static Location`.
        let place = unsafe { place.as_ref() };
        let taken: &dyn fmt::Display = match &place {
            Some(place) => place,
            None => &"an unknown place",
        };
        panic!(
            "deadlock: spin lock '{}' {what}: taken by CPU {} at {taken}, wanted at {}",
            self.name,
            holder.wrapping_sub(1),
            Location::caller(),
        );
    }

    /// Whether somebody holds the lock now.
    pub fn is_locked(&self) -> bool {
        self.holder.load(Ordering::Relaxed) != 0
    }

    /// The lock's class name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Frees the lock whoever holds it.
    ///
    /// # Safety
    /// The holder never touches the value again, and the value may be left as it is:
    /// for a panic that must speak, and for a test thread that ended while holding it.
    pub unsafe fn force_unlock(&self) {
        self.holder.store(0, Ordering::Release);
    }
}

impl<T: ?Sized, D: Discipline> fmt::Debug for Lock<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("name", &self.name).field("locked", &self.is_locked()).finish()
    }
}

/// The right to the locked value. Frees the lock when dropped, on the same CPU.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct Guard<'a, T: ?Sized, D: Discipline> {
    lock: &'a Lock<T, D>,
    // Dropped after `drop` below has freed the lock.
    _discipline: D::Guard,
    not_send: PhantomData<*const ()>,
}

impl<T: ?Sized, D: Discipline> Deref for Guard<'_, T, D> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard exists once while the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized, D: Discipline> DerefMut for Guard<'_, T, D> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as `deref`, and `&mut self` keeps other borrows of the guard away.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized, D: Discipline> Drop for Guard<'_, T, D> {
    fn drop(&mut self) {
        self.lock.holder.store(0, Ordering::Release);
    }
}

impl<T: ?Sized + fmt::Debug, D: Discipline> fmt::Debug for Guard<'_, T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[macros::kernel_test]
fn a_lock_excludes_and_frees() {
    let lock = SpinLock::new("test lock", 1);
    let guard = lock.lock();
    assert!(lock.is_locked() && lock.try_lock().is_none());
    assert!(crate::preempt::in_atomic());
    drop(guard);
    *lock.lock() += 1;
    assert_eq!(*lock.lock(), 2);
    assert!(!crate::preempt::in_atomic());
}

#[macros::kernel_test]
fn an_irq_lock_keeps_interrupts_off() {
    let lock = IrqSpinLock::new("test irq lock", ());
    assert!(interrupts::enabled());
    let outer = lock.lock();
    let inner = IrqSpinLock::new("inner", ());
    drop(inner.lock());
    assert!(!interrupts::enabled(), "the inner guard must not enable them");
    drop(outer);
    assert!(interrupts::enabled());
}

#[macros::kernel_test(should_panic = "spin lock 'taken twice' is held by this CPU already")]
fn taking_a_lock_twice_is_reported() {
    let lock = SpinLock::new("taken twice", ());
    let _first = lock.lock();
    let _second = lock.lock();
}
