//! The CPUs that run, and what one asks another to do.
//!
//! A request is a bit in the other CPU's [`REQUESTS`] word and an interrupt that makes it
//! look. Requests that others wait for ([`FLUSH`]) are also served while a CPU waits for a
//! spin lock or for an answer ([`serve_in_wait`]), so that CPUs with interrupts off do not
//! wait for each other for ever; those must be harmless inside any critical section and
//! take no lock.

use core::sync::atomic::{AtomicU32, Ordering};

use arch::cpu::local::MAX_CPUS;
use arch::cpu::{interrupts, local};
use arch::irqchip::lapic;
use spin::Once;

use crate::cpu_set::{AtomicCpuSet, CpuSet};
use crate::irq::{self, IrqError};
use crate::percpu::PerCpu;
use crate::preempt;

/// Vector of the interrupt that makes a CPU look at its requests.
pub const REQUEST_VECTOR: u8 = 0xf1;

/// Request: translations have changed; see `memory::shootdown`.
pub const FLUSH: u32 = 1 << 0;
/// Request: the scheduler is to look at its run queue.
pub const RESCHEDULE: u32 = 1 << 1;

/// Number of kinds of request.
const KINDS: usize = 2;

static HANDLERS: [Once<fn()>; KINDS] = [const { Once::new() }; KINDS];

static ONLINE: AtomicCpuSet = AtomicCpuSet::new();
static APIC_IDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

crate::percpu! {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
}

/// Takes the request interrupt and counts the boot CPU among the online ones. Call once,
/// on the boot CPU, after its local APIC is initialised.
///
/// # Errors
/// Somebody has the vector.
pub fn init() -> Result<(), IrqError> {
    irq::claim_local(REQUEST_VECTOR, "CPU requests", serve)?;
    set_online();
    Ok(())
}

/// Counts this CPU among those that take requests. Its local APIC must be initialised.
pub fn set_online() {
    let stay = preempt::disable();
    let cpu = local::cpu_number();
    APIC_IDS[cpu as usize].store(lapic::id(), Ordering::Release);
    ONLINE.insert(cpu);
    drop(stay);
}

/// The CPUs that run.
pub fn online() -> CpuSet {
    ONLINE.load()
}

/// APIC id of an online CPU.
pub fn apic_id(cpu: u32) -> Option<u32> {
    online().contains(cpu).then(|| APIC_IDS[cpu as usize].load(Ordering::Acquire))
}

/// Registers what a CPU does about requests of one kind (one bit): called with interrupts
/// off.
pub fn set_handler(kind: u32, handler: fn()) {
    HANDLERS[kind.trailing_zeros() as usize].call_once(|| handler);
}

/// The request word of a CPU, of one that has an area.
fn requests(cpu: u32) -> Option<&'static AtomicU32> {
    PerCpu::of(&REQUESTS, cpu)
}

/// Asks `cpu` for what `kind` stands for. Asking twice before it has looked is asking
/// once. A CPU may ask itself.
pub fn request(cpu: u32, kind: u32) {
    let (Some(word), Some(apic_id)) = (requests(cpu), apic_id(cpu)) else { return };
    // Somebody else's interrupt is on its way if other bits are set already.
    if word.fetch_or(kind, Ordering::SeqCst) == 0
        && let Err(error) = lapic::send_ipi(apic_id, REQUEST_VECTOR)
    {
        // Whoever waits for the answer would wait for ever.
        panic!("CPU {cpu} cannot be interrupted: {error}");
    }
}

/// Does what others have asked this CPU for: called by the request interrupt.
fn serve() {
    serve_kinds(u32::MAX);
}

/// Does of what others have asked this CPU for that which they wait for. To be called by
/// loops that wait for another CPU, whatever they hold.
pub fn serve_in_wait() {
    serve_kinds(FLUSH);
}

fn serve_kinds(kinds: u32) {
    let stay = preempt::disable();
    let word = REQUESTS.get(&stay);
    if word.load(Ordering::Relaxed) & kinds == 0 {
        return;
    }
    let were_enabled = interrupts::save_and_disable();
    let asked = word.fetch_and(!kinds, Ordering::SeqCst) & kinds;
    for (kind, handler) in HANDLERS.iter().enumerate() {
        if asked & (1 << kind) != 0
            && let Some(handler) = handler.get()
        {
            handler();
        }
    }
    interrupts::restore(were_enabled);
}
