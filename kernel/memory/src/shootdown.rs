//! TLB shootdown: makes CPUs forget translations that have changed.
//!
//! The order is: change the tables, then call [`kernel_range`] or [`user_range`], then
//! free the frames. A CPU that may hold old translations gets a request (`base::smp`) and
//! answers when it has forgotten them; the caller waits, and serves requests itself
//! meanwhile. So a shootdown may be called with interrupts off and under spin locks.
//!
//! Which CPUs that are: all for the kernel half; for a user address space those in its
//! [`LoadedOn`], the CPUs that may have its root in CR3. A CPU stays in that set when it
//! goes on to a kernel task (the root stays loaded, lazily) or to another address space;
//! it leaves the set when the next request finds it so, and is asked no more.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

use arch::cpu::local::MAX_CPUS;
use arch::cpu::{control, interrupts, local};
use arch::paging::{PAGE_SIZE, PhysAddr, VirtAddr, flush_all, flush_user, invalidate_page};
use base::cpu_set::{AtomicCpuSet, CpuSet};
use base::sync::discipline::irq_off;
use base::{preempt, smp, time, watchdog};

use crate::kernel_space;

/// More pages than this, and the whole TLB is flushed.
const MAX_PAGES: u64 = 32;

/// The CPUs that may have an address space's root in CR3.
#[derive(Debug, Default)]
pub(crate) struct LoadedOn(AtomicCpuSet);

impl LoadedOn {
    pub(crate) const fn new() -> Self {
        Self(AtomicCpuSet::new())
    }

    /// Loads `root` on this CPU, of which `self` tells where it is loaded.
    ///
    /// # Safety
    /// As [`control::load_page_table`]; `self` must live until [`forget`] for it returned.
    pub(crate) unsafe fn load(&self, root: PhysAddr) {
        // No request in between: it would find another root, and take this CPU out again.
        let were_enabled = interrupts::save_and_disable();
        if control::page_table_root() != root {
            self.0.insert(local::cpu_number());
            // SAFETY: the caller's argument.
            unsafe { control::load_page_table(root) };
        }
        interrupts::restore(were_enabled);
    }
}

/// What one CPU asks the others to forget. Written by that CPU while nobody waits for
/// answers, read by those in `waiting`.
struct Request {
    start: AtomicU64,
    pages: AtomicU64,
    /// Root of the address space; 0 for the kernel half.
    root: AtomicU64,
    /// The root is about to be freed: no CPU may keep it loaded.
    leave: AtomicBool,
    loaded_on: AtomicPtr<LoadedOn>,
    /// CPUs that have not answered yet.
    waiting: AtomicCpuSet,
}

static REQUESTS: [Request; MAX_CPUS] = [const {
    Request {
        start: AtomicU64::new(0),
        pages: AtomicU64::new(0),
        root: AtomicU64::new(0),
        leave: AtomicBool::new(false),
        loaded_on: AtomicPtr::new(core::ptr::null_mut()),
        waiting: AtomicCpuSet::new(),
    }
}; MAX_CPUS];

base::percpu! {
    /// The CPUs whose requests this CPU has to look at.
    static INBOX: AtomicCpuSet = AtomicCpuSet::new();
    /// No user thread runs here: a user root that is loaded is not needed.
    static LAZY: AtomicBool = AtomicBool::new(true);
}

static SHOOTDOWNS: AtomicU64 = AtomicU64::new(0);

/// Shootdowns so far that had to ask another CPU.
pub fn count() -> u64 {
    SHOOTDOWNS.load(Ordering::Relaxed)
}

/// Takes over the requests. Call once, before other CPUs start.
pub fn init() {
    smp::set_handler(smp::FLUSH, serve);
}

/// Tells whether this CPU runs a user thread from now on: for the scheduler.
pub fn set_lazy(lazy: bool) {
    let stay = preempt::disable();
    LAZY.get(&stay).store(lazy, Ordering::Relaxed);
}

fn forget_here(start: u64, pages: u64) {
    if pages > MAX_PAGES {
        return if VirtAddr::new(start).is_user() { flush_user() } else { flush_all() };
    }
    for page in 0..pages {
        invalidate_page(VirtAddr::new(start + page * PAGE_SIZE));
    }
}

/// Answers the requests of other CPUs. Interrupts off.
fn serve() {
    let stay = preempt::disable();
    let me = local::cpu_number();
    for cpu in INBOX.get(&stay).take().iter() {
        let request = &REQUESTS[cpu as usize];
        let (start, pages) =
            (request.start.load(Ordering::Relaxed), request.pages.load(Ordering::Relaxed));
        let root = request.root.load(Ordering::Relaxed);
        // SAFETY: null, or what the asking CPU stored, which waits for the answer below
        // and keeps it alive so long.
        let loaded_on = unsafe { request.loaded_on.load(Ordering::Relaxed).as_ref() };
        match loaded_on {
            None => forget_here(start, pages),
            Some(loaded_on) if control::page_table_root().as_u64() != root => {
                loaded_on.0.remove(me);
            }
            Some(loaded_on)
                if request.leave.load(Ordering::Relaxed)
                    || LAZY.get(&stay).load(Ordering::Relaxed) =>
            {
                loaded_on.0.remove(me);
                kernel_space::leave_user_half();
            }
            Some(_) => forget_here(start, pages),
        }
        request.waiting.remove(me);
    }
}

/// Fills this CPU's request, sends it to `targets` and waits for all answers. Preemption
/// must be off.
fn ask(
    targets: CpuSet,
    (start, pages): (VirtAddr, u64),
    user: Option<(PhysAddr, &LoadedOn, bool)>,
) {
    if targets.is_empty() {
        return;
    }
    // Until the answers are there the request is taken: no interrupt may come in between
    // and fill it anew.
    let _alone = irq_off();
    SHOOTDOWNS.fetch_add(1, Ordering::Relaxed);
    let me = local::cpu_number();
    let request = &REQUESTS[me as usize];
    request.start.store(start.as_u64(), Ordering::Relaxed);
    request.pages.store(pages, Ordering::Relaxed);
    let (root, loaded_on, leave) = match user {
        Some((root, loaded_on, leave)) => (root.as_u64(), core::ptr::from_ref(loaded_on), leave),
        None => (0, core::ptr::null(), false),
    };
    request.root.store(root, Ordering::Relaxed);
    request.leave.store(leave, Ordering::Relaxed);
    request.loaded_on.store(loaded_on.cast_mut(), Ordering::Relaxed);
    request.waiting.store(targets);
    for cpu in targets.iter() {
        if let Some(inbox) = base::percpu::PerCpu::of(&INBOX, cpu) {
            inbox.insert(me);
            smp::request(cpu, smp::FLUSH);
        }
    }
    let begin = time::now_ns();
    loop {
        let waiting = request.waiting.load();
        if waiting.is_empty() {
            return;
        }
        if time::now_ns().saturating_sub(begin) > watchdog::patience_ns() {
            panic!("TLB shootdown: CPU {waiting} does not answer");
        }
        smp::serve_in_wait();
        interrupts::spin_hint();
    }
}

/// Makes the change of the tables seen before this CPU looks at a set of CPUs. One that is not
/// in the set yet enters it before it walks the tables (`LoadedOn::load`), or forgets all that
/// it knows after it has entered ([`forget_all_here`]), and so does not meet what they were.
fn tables_before_sets() {
    fence(Ordering::SeqCst);
}

/// Makes this CPU forget all translations: to be called by one that has just gone online,
/// which nobody asked before.
pub fn forget_all_here() {
    flush_all();
}

/// Makes every CPU forget `pages` pages of the kernel half from `start` on.
pub(crate) fn kernel_range(start: VirtAddr, pages: u64) {
    let _stay = preempt::disable();
    tables_before_sets();
    let others = smp::online().without(CpuSet::one(local::cpu_number()));
    forget_here(start.as_u64(), pages);
    ask(others, (start, pages), None);
}

/// Makes every CPU forget `pages` pages from `start` on of the address space with `root`.
pub(crate) fn user_range(root: PhysAddr, loaded_on: &LoadedOn, start: VirtAddr, pages: u64) {
    let _stay = preempt::disable();
    tables_before_sets();
    let others = loaded_on.0.load().without(CpuSet::one(local::cpu_number()));
    if control::page_table_root() == root {
        forget_here(start.as_u64(), pages);
    }
    ask(others, (start, pages), Some((root, loaded_on, false)));
}

/// Makes every CPU that has `root` loaded load the kernel's tables instead: the root is
/// about to be freed. No thread may run on it any more.
pub(crate) fn forget(root: PhysAddr, loaded_on: &LoadedOn) {
    let _stay = preempt::disable();
    let others = loaded_on.0.load().without(CpuSet::one(local::cpu_number()));
    if control::page_table_root() == root {
        kernel_space::leave_user_half();
    }
    ask(others, (VirtAddr::new(0), 0), Some((root, loaded_on, true)));
}
