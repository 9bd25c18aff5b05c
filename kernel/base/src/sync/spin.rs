//! [`Lock`]: a spin lock with a name, in two disciplines: [`SpinLock`] and
//! [`IrqSpinLock`].
//!
//! The lock remembers which CPU holds it and where it was taken. A CPU that waits for
//! itself, or for longer than [`patience_ns`], panics and names the lock and both
//! places. Debug builds also check the order of locks before waiting: see
//! [`super::checker`].

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use arch::cpu::{interrupts, local};

use super::checker::{self, Subject};
use super::class::Tag;
use super::discipline::{Discipline, IrqOff, PreemptOff};
use super::held::Hold;
use crate::percpu::PerCpu;
use crate::preempt::PreemptGuard;
use crate::time;
use crate::watchdog::patience_ns;

/// A lock that no interrupt handler takes.
pub type SpinLock<T> = Lock<T, PreemptOff>;
/// A lock that interrupt handlers take too.
pub type IrqSpinLock<T> = Lock<T, IrqOff>;

/// A spin lock around `T`.
pub struct Lock<T: ?Sized, D: Discipline> {
    tag: Tag,
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
            tag: Tag::new(name),
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
    /// If this CPU holds it already, or has waited for [`patience_ns`]. In debug builds also
    /// if it breaks the order of locks.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> Guard<'_, T, D> {
        self.lock_nested(0)
    }

    /// The value, for its owner alone: nobody else can have the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the lock while others of its class may be held, all of them with a lower
    /// `level`: for locks of one class that are always taken in one order.
    ///
    /// # Panics
    /// As [`Lock::lock`].
    #[track_caller]
    #[inline]
    pub fn lock_nested(&self, level: u16) -> Guard<'_, T, D> {
        self.lock_entered(D::enter(), level)
    }

    #[track_caller]
    #[inline(always)]
    fn lock_entered(&self, discipline: D::Guard, level: u16) -> Guard<'_, T, D> {
        checker::before(self.subject(level));
        let me = local::cpu_number() + 1;
        if self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait(me);
        }
        checker::taken(self.subject(level), true);
        self.guard(discipline)
    }

    /// Takes the lock if it is free.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T, D>> {
        self.try_lock_entered(D::enter())
    }

    #[track_caller]
    #[inline(always)]
    fn try_lock_entered(&self, discipline: D::Guard) -> Option<Guard<'_, T, D>> {
        let me = local::cpu_number() + 1;
        if self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return None;
        }
        checker::taken(self.subject(0), false);
        Some(self.guard(discipline))
    }

    #[inline(always)]
    fn subject(&self, level: u16) -> Subject<'_> {
        Subject { tag: &self.tag, key: self.key(), level }
    }

    /// What the checker knows this lock by.
    #[inline(always)]
    fn key(&self) -> usize {
        (&raw const self.tag).addr()
    }

    #[track_caller]
    #[inline]
    fn guard(&self, discipline: D::Guard) -> Guard<'_, T, D> {
        let place: *const Location<'static> = Location::caller();
        self.place.store(place.cast_mut(), Ordering::Relaxed);
        Guard { lock: self, discipline, not_send: PhantomData }
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
                return checker::waited(&self.tag, time::now_ns().saturating_sub(start));
            }
            if time::now_ns().saturating_sub(start) > patience_ns() {
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
        let cpu = holder.wrapping_sub(1);
        panic!(
            "deadlock: spin lock '{}' {what}: taken by CPU {cpu} at {taken}, wanted at {}{}",
            self.tag.name(),
            Location::caller(),
            HolderStack(checker::holder(cpu, self.key())),
        );
    }

    /// Whether somebody holds the lock now.
    pub fn is_locked(&self) -> bool {
        self.holder.load(Ordering::Relaxed) != 0
    }

    /// The lock's class name.
    pub fn name(&self) -> &'static str {
        self.tag.name()
    }

    /// Frees the lock whoever holds it.
    ///
    /// # Safety
    /// The holder never touches the value again, and the value may be left as it is:
    /// for a panic that must speak, and for a test thread that ended while holding it.
    pub unsafe fn force_unlock(&self) {
        checker::freeing(self.key());
        self.holder.store(0, Ordering::Release);
    }
}

impl<T: Send> IrqSpinLock<T> {
    /// Takes this CPU's instance of a per-CPU lock. While it is held the caller stays on the
    /// CPU.
    ///
    /// # Panics
    /// As [`Lock::lock`].
    #[track_caller]
    #[inline]
    pub fn lock_here(variable: &'static PerCpu<Self>) -> Guard<'static, T, IrqOff> {
        let discipline = IrqOff::enter();
        let stay: *const PreemptGuard = discipline.preempt();
        // SAFETY: preemption stays off as long as `discipline` lives, which moves into the
        // guard that is returned, and that keeps the borrow of the instance; the instance
        // itself lives for ever.
        let lock = variable.get(unsafe { &*stay });
        lock.lock_entered(discipline, 0)
    }

    /// As [`IrqSpinLock::lock_here`], if the lock is free.
    #[track_caller]
    #[inline]
    pub fn try_lock_here(variable: &'static PerCpu<Self>) -> Option<Guard<'static, T, IrqOff>> {
        let discipline = IrqOff::enter();
        let stay: *const PreemptGuard = discipline.preempt();
        // SAFETY: as in `lock_here`; without a guard, the instance is not looked at after
        // `discipline` has ended.
        let lock = variable.get(unsafe { &*stay });
        lock.try_lock_entered(discipline)
    }
}

impl<T: ?Sized, D: Discipline> fmt::Debug for Lock<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.name())
            .field("locked", &self.is_locked())
            .finish()
    }
}

/// The right to the locked value. Frees the lock when dropped, on the same CPU.
#[must_use = "the lock is freed when the guard is dropped"]
pub struct Guard<'a, T: ?Sized, D: Discipline> {
    lock: &'a Lock<T, D>,
    // Dropped after `drop` below has freed the lock.
    discipline: D::Guard,
    not_send: PhantomData<*const ()>,
}

impl<T: ?Sized> Guard<'_, T, IrqOff> {
    /// That preemption is off while the lock is held.
    #[inline(always)]
    pub fn preempt(&self) -> &PreemptGuard {
        self.discipline.preempt()
    }
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
    #[inline(always)]
    fn drop(&mut self) {
        checker::freeing(self.lock.key());
        self.lock.holder.store(0, Ordering::Release);
        checker::freed();
    }
}

/// Prints who took a lock, if that is known.
struct HolderStack(Option<Hold>);

impl fmt::Display for HolderStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(hold) = self.0 else { return Ok(()) };
        let ns = time::now_ns().saturating_sub(hold.since_ns);
        write!(f, "\n  taken {} ms ago by\n{}", ns / 1_000_000, hold.trace)
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
