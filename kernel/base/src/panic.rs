//! Panics: the report, what a panic inside a panic does, and the hook by which a kernel
//! test survives one.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use arch::cpu::{interrupts, local};
use arch::trap::TrapFrame;
use spin::Once;

use crate::backtrace::Backtrace;
use crate::{console, exit, irq, nmi, println};

/// What the floors above know about the thread that panics.
pub struct PanicHooks {
    /// Writes the name of the current task.
    pub current_task: fn(&mut dyn fmt::Write) -> fmt::Result,
    /// Called with the report (message and place) before anything is printed. If the
    /// current task is a kernel test that may fail alone, does not return; it may not
    /// print more than a line or two before.
    pub test_failed: fn(&dyn fmt::Display),
}

static HOOKS: Once<PanicHooks> = Once::new();

/// Number of the panicking CPU plus one; 0 while all is well.
static PANICKING: AtomicU32 = AtomicU32::new(0);

/// Registers the hooks.
pub fn set_hooks(hooks: PanicHooks) {
    HOOKS.call_once(|| hooks);
}

/// Whether a CPU is in a panic.
pub fn in_progress() -> bool {
    PANICKING.load(Ordering::Relaxed) != 0
}

/// The current task's name, for reports.
pub struct CurrentTask;

impl fmt::Display for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match HOOKS.get() {
            Some(hooks) => (hooks.current_task)(f),
            None => f.write_str("boot"),
        }
    }
}

/// Enters the panic state. A second panic of this CPU stops it with one line; another
/// CPU waits for ever so that the first report stays whole.
fn enter(message: &dyn fmt::Display) {
    interrupts::disable();
    let me = local::cpu_number() + 1;
    match PANICKING.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(first) if first == me => nested(message),
        Err(_) => interrupts::halt_forever(),
    }
    crate::sync::cpus::switch_off();
    console::break_lock();
}

/// A panic while the report of another was being made.
fn nested(message: &dyn fmt::Display) -> ! {
    static DEPTH: AtomicU32 = AtomicU32::new(0);
    if DEPTH.fetch_add(1, Ordering::Relaxed) > 0 {
        // The third one came from printing the line below: print nothing more.
        if exit::exits_on_panic() {
            exit::leave_qemu(exit::PANIC_STATUS);
        }
        interrupts::halt_forever();
    }
    // The first one may not have come to that.
    nmi::stop_others_silently();
    console::break_lock();
    println!("\n\x1b[1;31mpanic inside a panic\x1b[0m: {message}; stopped");
    finish()
}

fn finish() -> ! {
    if exit::exits_on_panic() {
        exit::exit(exit::PANIC_STATUS);
    }
    println!("The machine is stopped. In QEMU: ^A x ends it.");
    interrupts::halt_forever()
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    interrupts::disable();
    let report = Report(info);
    if !in_progress()
        && !irq::in_handler()
        && let Some(hooks) = HOOKS.get()
    {
        (hooks.test_failed)(&report);
    }
    enter(&report);
    println!("\n\x1b[1;31mkernel panic\x1b[0m: {report}");
    println!("on CPU {} in task {CurrentTask}", local::cpu_number());
    println!("backtrace:\n{}", Backtrace::here());
    nmi::stop_others();
    finish()
}

struct Report<'a>(&'a PanicInfo<'a>);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = EndsLine { f, ends: false };
        write!(lines, "{}", self.0.message())?;
        // After a message of many lines, such as those about locks, a line of its own.
        let before = if lines.ends { "  panicked" } else { "," };
        match self.0.location() {
            Some(place) => write!(f, "{before} at {place}"),
            None => Ok(()),
        }
    }
}

/// Notes whether what is written ends a line.
struct EndsLine<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    ends: bool,
}

impl Write for EndsLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(last) = text.as_bytes().last() {
            self.ends = *last == b'\n';
        }
        self.f.write_str(text)
    }
}

/// A CPU exception in kernel code that nothing handles: reports it and stops as a
/// panic does.
pub(crate) fn kernel_exception(what: &dyn fmt::Display, frame: &TrapFrame) -> ! {
    interrupts::disable();
    if !in_progress()
        && !irq::in_handler()
        && let Some(hooks) = HOOKS.get()
    {
        (hooks.test_failed)(what);
    }
    enter(what);
    println!("\n\x1b[1;31mkernel exception\x1b[0m: {what}");
    println!("on CPU {} in task {CurrentTask}", local::cpu_number());
    println!("{frame}");
    println!("backtrace:\n{}", Backtrace::of_trap(frame));
    nmi::stop_others();
    finish()
}
