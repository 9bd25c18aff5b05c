//! Starting the other CPUs: INIT, STARTUP, and what each does before it is idle (Intel SDM
//! volume 3, section 9.4.4).

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch::cpu::{Features, features, interrupts, local, tables};
use arch::irqchip::lapic;
use base::{smp, time};
use memory::kernel_space::KernelStack;
use memory::kernel_space::ap::StartPage;
use spin::Once;

use crate::sched;
use crate::task::Task;
use crate::timer;

/// Nanoseconds that a CPU gets between INIT and STARTUP, and after the first STARTUP.
const INIT_NS: u64 = 10_000_000;
const STARTUP_NS: u64 = 200_000;
/// Nanoseconds after which a CPU counts as one that does not come.
const PATIENCE_NS: u64 = 1_000_000_000;

/// The idle task of the CPU that is starting.
static STARTING: base::sync::IrqSpinLock<Option<Arc<Task>>> =
    base::sync::IrqSpinLock::new("starting CPU", None);
/// Number of the last CPU that has begun to run; 0 before any has.
static BEGUN: AtomicU32 = AtomicU32::new(0);
static FEATURES: Once<Features> = Once::new();

/// Starts the CPUs with these APIC ids, one after the other, as far as there is room for
/// their numbers; the boot CPU's own id is passed over. Returns how many CPUs run then. A CPU
/// that does not come up is reported and left out.
pub fn start(apic_ids: impl Iterator<Item = u32>) -> u32 {
    let page = match StartPage::prepare() {
        Ok(page) => page,
        Err(error) => {
            log::error!("smp: no page to start CPUs with: {error}");
            return smp::online().len();
        }
    };
    FEATURES.call_once(features);
    let me = lapic::id();
    let mut next = 1;
    for apic_id in apic_ids.filter(|&id| id != me) {
        if next as usize >= local::MAX_CPUS {
            log::warn!("smp: more CPUs than {}: the rest stay out", local::MAX_CPUS);
            break;
        }
        match start_one(&page, next, apic_id) {
            Ok(()) => next += 1,
            Err(error) => {
                log::error!("smp: CPU with APIC id {apic_id} {error}; it is left out");
                // Its number is taken: its area may be in use yet.
                next += 1;
            }
        }
    }
    smp::online().len()
}

/// Starts CPU number `cpu`.
fn start_one(page: &StartPage, cpu: u32, apic_id: u32) -> Result<(), &'static str> {
    const NO_MEMORY: &str = "has no memory for its stack and variables";
    memory::prepare_cpu_area(cpu).map_err(|_| NO_MEMORY)?;
    let stack = KernelStack::allocate().map_err(|_| NO_MEMORY)?;
    let top = stack.top().as_u64();
    let idle = Task::new(&format!("idle/{cpu}"), Some(stack));
    *STARTING.lock() = Some(idle.clone());
    // SAFETY: the CPU before has come up, and so left the page, or was sent INIT, which
    // holds it. The stack is the idle task's, which is kept below if the CPU does not come.
    let vector = unsafe { page.fill(top, run, cpu.into()) };

    const NOT_SENT: &str = "cannot be reached: the local APIC does not send";
    lapic::send_init(apic_id).map_err(|_| NOT_SENT)?;
    let begin = time::now_ns();
    while time::now_ns().saturating_sub(begin) < INIT_NS {
        interrupts::spin_hint();
    }
    check_clock();
    for _ in 0..2 {
        lapic::send_startup(apic_id, vector).map_err(|_| NOT_SENT)?;
        if comes_up(cpu, STARTUP_NS) {
            break;
        }
    }
    if !comes_up(cpu, PATIENCE_NS) {
        let _ = lapic::send_init(apic_id); // it is left out anyway
        core::mem::forget(idle);
        return Err("did not start within a second");
    }
    // It has begun; the rest is its own code, and short.
    let begin = time::now_ns();
    while !smp::online().contains(cpu) {
        if time::now_ns().saturating_sub(begin) > PATIENCE_NS {
            let _ = lapic::send_init(apic_id); // it is left out anyway
            core::mem::forget(idle);
            return Err("began to run, but did not get ready within a second");
        }
        interrupts::spin_hint();
    }
    check_clock();
    Ok(())
}

fn comes_up(cpu: u32, ns: u64) -> bool {
    let begin = time::now_ns();
    while BEGUN.load(Ordering::Acquire) != cpu {
        if time::now_ns().saturating_sub(begin) > ns {
            return false;
        }
        interrupts::spin_hint();
    }
    true
}

/// First Rust code of CPU number `cpu`: on its idle task's stack, interrupts off, with the
/// kernel's page tables. The same steps as the boot CPU's in the kernel's boot story.
fn run(cpu: u64) -> ! {
    let cpu = cpu as u32;
    // SAFETY: `start_one` prepared the area for this CPU alone; nothing per-CPU was used.
    unsafe { local::adopt_area(cpu) };
    tables::load();
    arch::trap::load();
    if let Some(features) = FEATURES.get() {
        arch::cpu::init(features);
    }
    BEGUN.store(cpu, Ordering::Release);
    let idle = STARTING.lock().take();
    let Some(idle) = idle else { interrupts::halt_forever() };
    if lapic::join().is_err() {
        log::error!("smp: CPU {cpu} has no x2APIC mode, which the boot CPU uses");
        interrupts::halt_forever();
    }
    timer::init_secondary();
    base::irq::init_local_pins();
    sched::adopt_idle(idle);
    sched::queue::with_queue(sched::queue::RunQueue::set_alarm);
    check_clock();
    smp::set_online();
    sched::become_idle()
}

/// The clock of the CPU that looked at it last, in nanoseconds.
static LAST_LOOK: AtomicU64 = AtomicU64::new(0);

/// Looks at the clock. Called by the boot CPU, by the new one and by the boot CPU again, in
/// that order: says so if it goes backwards, for then the TSCs are not in step, and time jumps
/// when a task moves.
fn check_clock() {
    let now = time::now_ns();
    let last = LAST_LOOK.swap(now, Ordering::AcqRel);
    if now < last {
        let cpu = local::cpu_number();
        log::warn!("smp: the clock of CPU {cpu} is {} ns behind that of another", last - now);
    }
}
