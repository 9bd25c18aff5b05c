//! Starting the other CPUs: INIT, STARTUP, and what each does before it is idle (Intel SDM
//! volume 3, section 9.4.4).

use alloc::format;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::cpu::{Features, features, interrupts, local, tables};
use arch::irqchip::lapic::{self, IpiError};
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
/// Seconds after which a CPU counts as one that does not come: an emulated CPU runs when
/// its host lets it.
const PATIENCE_S: u64 = 10;
const PATIENCE_NS: u64 = PATIENCE_S * 1_000_000_000;

/// The CPU that is starting and its idle task.
static STARTING: base::sync::IrqSpinLock<Option<(u32, Arc<Task>)>> =
    base::sync::IrqSpinLock::new("starting CPU", None);
/// Number of the last CPU that has begun to run; 0 before any has.
static BEGUN: AtomicU32 = AtomicU32::new(0);
static FEATURES: Once<Features> = Once::new();

/// Why a CPU is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StartError {
    /// No memory for its stack and variables.
    NoMemory,
    /// The messages that start it could not be sent.
    NotSent(IpiError),
    /// It does not run the kernel's code.
    NotStarted,
    /// It has begun, but does not come to the kernel's code.
    Stuck,
    /// It has begun, but does not get ready.
    NotReady,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory for its stack and variables"),
            Self::NotSent(error) => write!(f, "it cannot be reached: {error}"),
            Self::NotStarted => write!(f, "it did not start in {PATIENCE_S} s"),
            Self::Stuck => f.write_str("it hangs in its first instructions"),
            Self::NotReady => write!(f, "it began to run, but was not ready in {PATIENCE_S} s"),
        }
    }
}

/// Starts the CPUs with these APIC ids, one after the other, as far as there is room for
/// their numbers; the boot CPU's own id is passed over. Returns how many CPUs run then. A CPU
/// that does not come up is reported and left out.
pub fn start(apic_ids: impl Iterator<Item = u32>) -> u32 {
    let mut page = match StartPage::prepare() {
        Ok(page) => page,
        Err(error) => {
            log::error!("smp: no page to start CPUs with: {error}");
            return smp::online().len();
        }
    };
    FEATURES.call_once(features);
    let me = lapic::id();
    // A CPU that is left out keeps its number, for it may have an area.
    for (next, apic_id) in (1..).zip(apic_ids.filter(|&id| id != me)) {
        if next as usize >= local::MAX_CPUS {
            log::warn!("smp: more CPUs than {}: the rest stay out", local::MAX_CPUS);
            break;
        }
        let Err(error) = start_one(&mut page, next, apic_id) else { continue };
        log::error!("smp: CPU {next} with APIC id {apic_id} is left out: {error}");
        if error == StartError::Stuck {
            log::error!("smp: it has the page that CPUs start with: the rest stay out");
            core::mem::forget(page);
            break;
        }
    }
    if OUT_OF_STEP.load(Ordering::Acquire) {
        time::choice::distrust_tsc();
    }
    smp::online().len()
}

/// Starts CPU number `cpu`.
fn start_one(page: &mut StartPage, cpu: u32, apic_id: u32) -> Result<(), StartError> {
    memory::prepare_cpu_area(cpu).map_err(|_| StartError::NoMemory)?;
    let stack = KernelStack::allocate().map_err(|_| StartError::NoMemory)?;
    let top = stack.top().as_u64();
    let idle = Task::new(&format!("idle/{cpu}"), Some(stack));
    let idle = idle.map_err(|_| StartError::NoMemory)?;
    *STARTING.lock() = Some((cpu, idle.clone()));
    // SAFETY: the CPU before has left the page, or the page was withdrawn before it came: see
    // below. The stack is the idle task's, which is kept if a CPU may use it.
    let vector = unsafe { page.fill(top, run, cpu.into()) };
    let error = match bring_up(cpu, apic_id, vector) {
        // It may hold a lock: it is left alone, and counts when it gets ready.
        Err(StartError::NotReady) => StartError::NotReady,
        Err(error) if page.withdraw() => {
            *STARTING.lock() = None;
            let _ = lapic::send_init(apic_id); // it would not get far
            return Err(error);
        }
        Err(_) => StartError::Stuck,
        Ok(()) => return Ok(()),
    };
    core::mem::forget(idle);
    Err(error)
}

/// Sends a CPU what starts it, and waits until it is ready.
fn bring_up(cpu: u32, apic_id: u32, vector: u8) -> Result<(), StartError> {
    lapic::send_init(apic_id).map_err(StartError::NotSent)?;
    let begin = time::now_ns();
    while time::now_ns().saturating_sub(begin) < INIT_NS {
        interrupts::spin_hint();
    }
    check_clock();
    for _ in 0..2 {
        lapic::send_startup(apic_id, vector).map_err(StartError::NotSent)?;
        if comes_up(cpu, STARTUP_NS) {
            break;
        }
    }
    if !comes_up(cpu, PATIENCE_NS) {
        return Err(StartError::NotStarted);
    }
    // It has begun; the rest is its own code, and short.
    let begin = time::now_ns();
    while !smp::online().contains(cpu) {
        if time::now_ns().saturating_sub(begin) > PATIENCE_NS {
            return Err(StartError::NotReady);
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
    let idle = STARTING.lock().take_if(|(number, _)| *number == cpu);
    // The boot CPU has gone on to the next one.
    let Some((_, idle)) = idle else { interrupts::halt_forever() };
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
    // Nobody asked this CPU before, and others may have run for long if it came late.
    memory::shootdown::forget_all_here();
    sched::become_idle()
}

/// The clock of the CPU that looked at it last, in nanoseconds.
static LAST_LOOK: AtomicU64 = AtomicU64::new(0);
/// The clocks of two CPUs differ.
static OUT_OF_STEP: AtomicBool = AtomicBool::new(false);

/// Looks at the clock. Called by the boot CPU, by the new one and by the boot CPU again, in
/// that order: says so if it goes backwards, for then the TSCs are not in step, and time jumps
/// when a task moves.
fn check_clock() {
    let now = time::now_ns();
    let last = LAST_LOOK.swap(now, Ordering::AcqRel);
    if now < last {
        let cpu = local::cpu_number();
        log::warn!("smp: the clock of CPU {cpu} is {} ns behind that of another", last - now);
        OUT_OF_STEP.store(true, Ordering::Release);
    }
}

#[base::kernel_test]
fn the_clock_is_one_on_all_cpus() {
    let me = crate::current().expect("a test is a task");
    let mut last = time::now_ns();
    for cpu in (0..20).flat_map(|_| smp::online().iter()) {
        assert!(me.set_affinity(base::cpu_set::CpuSet::one(cpu)));
        crate::yield_now();
        let now = time::now_ns();
        assert_eq!(local::cpu_number(), cpu);
        assert!(now >= last, "the clock of CPU {cpu} is {} ns behind", last - now);
        last = now;
    }
}

#[base::kernel_test]
fn a_cpu_that_nobody_has_cannot_be_reached() {
    // In xAPIC mode no APIC has such an id; in x2APIC mode sending never fails.
    if lapic::mode() == lapic::Mode::XApic {
        let error = bring_up(1, 0x1_0000, 0).err();
        assert_eq!(error, Some(StartError::NotSent(IpiError::BadTarget)));
    }
}
