//! Faults planted on purpose, for the shell's `crash` and the tests of the lock checker.
//! Their lock classes are their own, so that the graph of the others stays as it was.

use super::SpinLock;
use crate::crash;
use crate::irq::{self, Handled, IrqError, Vector};

/// Takes two locks in one order and then in the other. In a debug build that is reported;
/// here nobody is in the way, so that otherwise nothing happens.
pub fn inversion() {
    let one = SpinLock::new("planted, one", ());
    let other = SpinLock::new("planted, other", ());
    in_order(&one, &other);
    in_order(&other, &one);
}

#[inline(never)]
fn in_order(first: &SpinLock<()>, second: &SpinLock<()>) {
    let _first = first.lock();
    let _second = second.lock();
}

static UNSAFE: SpinLock<()> = SpinLock::new("planted, irq-unsafe", ());

/// Runs `handler` as the handler of an interrupt, now.
///
/// # Errors
/// [`IrqError::InUse`] if the vector is.
fn interrupt(handler: fn()) -> Result<(), IrqError> {
    let action = irq::action(move || {
        handler();
        Handled::Yes
    });
    let vector = Vector::claim(crash::VECTOR, "planted", action?)?;
    crash::interrupt();
    drop(vector);
    Ok(())
}

/// Takes a lock in an interrupt handler, and then with interrupts on. In a debug build that
/// is reported; the interrupt does not come again, so that otherwise nothing happens.
///
/// # Errors
/// [`IrqError::InUse`] if the vector for it is.
pub fn irq_unsafe() -> Result<(), IrqError> {
    interrupt(|| drop(UNSAFE.lock()))?;
    drop(UNSAFE.lock());
    Ok(())
}

#[cfg(debug_assertions)]
mod tests {
    use super::*;
    use crate::sync::{IrqSpinLock, statistics, watch};
    use crate::time;

    #[macros::kernel_test(
        should_panic = "lock order inversion: 'planted, one' is wanted at kernel/base/src/sync/planted.rs"
    )]
    fn an_inversion_is_reported() {
        inversion();
    }

    #[macros::kernel_test(
        should_panic = "before 'planted, other' was wanted while 'planted, one' was held"
    )]
    fn an_inversion_is_reported_again_with_both_orders() {
        inversion();
    }

    #[macros::kernel_test(should_panic = "inversion: 'test order, a' is wanted")]
    fn an_inversion_over_three_classes_is_reported() {
        let a = SpinLock::new("test order, a", ());
        let b = SpinLock::new("test order, b", ());
        let c = SpinLock::new("test order, c", ());
        in_order(&a, &b);
        in_order(&b, &c);
        in_order(&c, &a);
    }

    #[macros::kernel_test(
        should_panic = "irq-unsafe lock 'planted, irq-unsafe': taken with interrupts on"
    )]
    fn an_irq_unsafe_lock_is_reported() {
        irq_unsafe().expect("the vector is free");
    }

    #[macros::kernel_test(should_panic = "and 'test irq order, inner' with interrupts on")]
    fn an_irq_unsafe_order_is_reported() {
        static IN_HANDLER: IrqSpinLock<()> = IrqSpinLock::new("test irq order, outer", ());
        let inner = SpinLock::new("test irq order, inner", ());
        drop(inner.lock());
        interrupt(|| drop(IN_HANDLER.lock())).expect("the vector is free");
        // Another of the class, since it stays taken.
        let outer = IrqSpinLock::new("test irq order, outer", ());
        let _outer = outer.lock();
        let _inner = inner.lock();
    }

    #[macros::kernel_test(should_panic = "two locks of class 'test same class' without an order")]
    fn two_locks_of_a_class_need_an_order() {
        let locks = [const { SpinLock::new("test same class", ()) }; 2];
        in_order(&locks[0], &locks[1]);
    }

    #[macros::kernel_test]
    fn levels_are_an_order() {
        let locks = [const { IrqSpinLock::new("test levels", ()) }; 3];
        let _first = locks[0].lock();
        let _second = locks[1].lock_nested(1);
        let _third = locks[2].lock_nested(7);
    }

    #[macros::kernel_test]
    fn an_attempt_makes_no_order() {
        let a = SpinLock::new("test attempt, a", ());
        let b = SpinLock::new("test attempt, b", ());
        let held = a.lock();
        drop(b.try_lock().expect("nobody has it"));
        drop(held);
        in_order(&b, &a);
    }

    #[macros::kernel_test]
    fn locks_may_be_freed_in_any_order() {
        use crate::sync::cpus;
        let a = SpinLock::new("test any order, a", ());
        let b = SpinLock::new("test any order, b", ());
        let held = || {
            cpus::all()
                .filter_map(|(_, hold)| hold.name())
                .filter(|name| name.starts_with("test any order"))
                .count()
        };
        let (first, second) = (a.lock(), b.lock());
        assert_eq!(held(), 2);
        drop(first);
        assert!(cpus::all().any(|(_, hold)| hold.name() == Some("test any order, b")));
        assert_eq!(held(), 1);
        drop(second);
        assert_eq!(held(), 0);
    }

    #[macros::kernel_test]
    fn a_lock_held_for_too_long_is_told() {
        let limit = statistics::hold_limit();
        statistics::set_hold_limit(100_000_000);
        let lock = SpinLock::new("test held for too long", ());
        let guard = lock.lock();
        let end = time::now_ns() + statistics::hold_limit() + 2_000_000;
        while time::now_ns() < end {
            core::hint::spin_loop();
        }
        drop(guard);
        statistics::set_hold_limit(limit);
        // Not told before another lock was free of it, and told by now.
        assert!(watch::was_told("test held for too long"));
        let longest = statistics::all().find(|class| class.name == "test held for too long");
        assert!(longest.is_some_and(|class| class.hold_longest_ns > 100_000_000));
    }
}
