//! Per-CPU variables: [`percpu!`](crate::percpu!) declares one, [`PerCpu::get`] gives
//! this CPU's instance as long as preemption is off, [`PerCpu::of`] another CPU's.
//!
//! The variables stand in the linker section `.percpu`, the template that every CPU
//! copies (see [`arch::cpu::local`]). An interrupt handler on the same CPU may look at
//! the same instance, so the type must be `Sync`: atomics or locks.

use arch::cpu::local;

use crate::preempt::PreemptGuard;

/// A variable with one instance per CPU.
#[repr(transparent)]
#[derive(Debug)]
pub struct PerCpu<T>(T);

impl<T: Sync> PerCpu<T> {
    /// For [`percpu!`](crate::percpu!) alone: the value must stand in `.percpu`.
    #[doc(hidden)]
    pub const fn template(value: T) -> Self {
        Self(value)
    }

    /// This CPU's instance, for as long as the guard keeps the caller on this CPU.
    #[inline(always)]
    pub fn get<'a>(&'static self, _on_this_cpu: &'a PreemptGuard) -> &'a T {
        let instance = (&raw const self.0).wrapping_byte_add(local::offset());
        // SAFETY: `percpu!` put the template into `.percpu`, so template plus offset is
        // this CPU's instance: initialised by the copy, alive for ever, `Sync`.
        unsafe { &*instance }
    }

    /// The instance of CPU `cpu`, whichever CPU the caller runs on; `None` for a CPU that
    /// has no area. The boot CPU has one from `memory::install_boot_cpu_area` on.
    pub fn of(variable: &'static Self, cpu: u32) -> Option<&'static T> {
        let offset = local::offset_of_cpu(cpu)?;
        let instance = (&raw const variable.0).wrapping_byte_add(offset);
        // SAFETY: as `get`: an area that is known was filled from the template and lives
        // for ever; `T` is `Sync`.
        Some(unsafe { &*instance })
    }
}

/// Declares per-CPU variables: `percpu! { static NAME: Type = initial; }`. The initial
/// value is copied bit by bit for every CPU, so it must not own anything.
#[macro_export]
macro_rules! percpu {
    ($($(#[$meta:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)+) => {$(
        $(#[$meta])*
        #[unsafe(link_section = ".percpu")]
        $vis static $name: $crate::percpu::PerCpu<$type> =
            $crate::percpu::PerCpu::template($init);
    )+};
}

#[macros::kernel_test]
fn user_code_cannot_change_what_gs_means() {
    use arch::cpu::control::{Cr4, read_cr4};
    const FSGSBASE: u64 = 1 << 16;
    assert_eq!(read_cr4().bits() & FSGSBASE, 0);
    assert!(!arch::cpu::user_base::set_gs(local::offset() as u64));
    assert_eq!(read_cr4().contains(Cr4::MACHINE_CHECK), arch::cpu::features().machine_check);
}
