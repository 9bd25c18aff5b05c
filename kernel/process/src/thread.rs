//! [`Thread`]: what makes a kernel task the thread of a user program.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arch::cpu::{local, user_base};
use base::preempt::SWITCHED;
use memory::user::UserSlice;
use task::{ThreadData, with_current};
use vm::{AddressSpace, Fault, FaultKind};

use crate::outcome::Outcome;
use crate::process::Process;
use crate::rseq::Rseq;
use crate::signal::ThreadSignals;
use crate::{oom, tree};

/// The user side of a task.
#[derive(Debug)]
pub struct Thread {
    /// The process that it belongs to.
    pub process: Arc<Process>,
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its signal mask and signal stack.
    pub signals: ThreadSignals,
    /// Its restartable sequence.
    pub rseq: Rseq,
    fs_base: AtomicU64,
    gs_base: AtomicU64,
    /// Another task ran since the thread last looked.
    was_switched: AtomicBool,
    /// Where the thread is to write its number before its first instruction; 0 for nowhere.
    tid_at: AtomicU64,
    /// How often it has tried again to get memory without having waited (`oom.rs`).
    pub(crate) hopes: AtomicU32,
}

impl Thread {
    /// The first thread of a process.
    pub(crate) fn new(process: Arc<Process>, space: Arc<AddressSpace>) -> Arc<Self> {
        Arc::new(Self {
            process,
            space,
            signals: ThreadSignals::new(),
            rseq: Rseq::new(),
            fs_base: AtomicU64::new(0),
            gs_base: AtomicU64::new(0),
            was_switched: AtomicBool::new(false),
            tid_at: AtomicU64::new(0),
            hopes: AtomicU32::new(0),
        })
    }

    /// The thread of a new child of the current one: as this one, in another address space.
    /// `fs_base` is the user's; at `tid_at`, unless that is 0, it writes its number.
    pub(crate) fn forked(
        &self,
        process: Arc<Process>,
        space: Arc<AddressSpace>,
        fs_base: Option<u64>,
        tid_at: u64,
    ) -> Arc<Self> {
        let own = self.fs_base.load(Ordering::Relaxed);
        Arc::new(Self {
            process,
            space,
            signals: ThreadSignals::with(self.signals.stack()),
            rseq: self.rseq.forked(),
            fs_base: AtomicU64::new(fs_base.unwrap_or(own)),
            gs_base: AtomicU64::new(self.gs_base.load(Ordering::Relaxed)),
            was_switched: AtomicBool::new(false),
            tid_at: AtomicU64::new(tid_at),
            hopes: AtomicU32::new(0),
        })
    }

    /// Writes the thread's number where it is to stand, the first time. If it cannot be
    /// written nobody is told, as on Linux.
    pub(crate) fn write_tid(&self) {
        let at = self.tid_at.load(Ordering::Relaxed);
        if at != 0 {
            self.tid_at.store(0, Ordering::Relaxed);
            let _ = UserSlice::write_value(at, &self.tid());
        }
    }

    /// Its number: that of the process, for there is one thread in each.
    pub fn tid(&self) -> u32 {
        self.process.pid()
    }

    /// Sets where FS points, the thread pointer. For the current thread. False if the
    /// address is not the user's.
    #[must_use]
    pub fn set_fs_base(&self, base: u64) -> bool {
        // The register first: a switch in between then restores what it had.
        let set = user_base::set_fs(base);
        if set {
            self.fs_base.store(base, Ordering::Relaxed);
            // Once more, if the switch came in between.
            let _ = user_base::set_fs(base);
        }
        set
    }

    /// Sets where GS points; see [`Thread::set_fs_base`].
    #[must_use]
    pub fn set_gs_base(&self, base: u64) -> bool {
        let set = user_base::set_gs(base);
        if set {
            self.gs_base.store(base, Ordering::Relaxed);
            let _ = user_base::set_gs(base);
        }
        set
    }

    /// Whether another task ran on the CPU since the last call of [`Thread::take_switched`].
    pub(crate) fn was_switched(&self) -> bool {
        self.was_switched.load(Ordering::Relaxed)
    }

    /// Whether another task ran on the CPU since the last call.
    pub(crate) fn take_switched(&self) -> bool {
        self.was_switched.swap(false, Ordering::Relaxed)
    }
}

impl ThreadData for Thread {
    fn enter_address_space(&self) -> u32 {
        self.space.enter();
        // Both were accepted once, so they are the user's.
        let _ = user_base::set_fs(self.fs_base.load(Ordering::Relaxed));
        let _ = user_base::set_gs(self.gs_base.load(Ordering::Relaxed));
        self.was_switched.store(true, Ordering::Relaxed);
        // A call that does not sleep, or sleeps and is done, goes back without another look.
        if self.rseq.is_told_another(local::cpu_number()) { SWITCHED } else { 0 }
    }

    fn page_fault(&self, fault: Fault) -> bool {
        let result = self.space.fault(fault);
        if self.rseq.is_registered() && self.was_switched() {
            with_current(|task| task.set_pending(SWITCHED));
        }
        match result {
            // If it is to end: a call fails with EFAULT, but the program does not get to see it.
            Err(FaultKind::OutOfMemory) => oom::wait_for_memory(self, fault.is_user()),
            result => result.is_ok(),
        }
    }
}

/// Calls `look` with the current thread; `None` in a kernel task.
pub fn with_thread<R>(look: impl FnOnce(&Thread) -> R) -> Option<R> {
    with_current(|task| task.data::<Thread>().map(look)).flatten()
}

/// Ends the current thread and with it its process. What the caller's stack owns is not
/// dropped, so it may not own anything.
pub fn exit(outcome: Outcome) -> ! {
    with_thread(|thread| {
        // All of it while the task is a task like others, that can be preempted.
        thread.process.descriptors.clear();
        thread.process.places.clear();
        thread.space.clear();
        tree::end(&thread.process, outcome);
    });
    task::exit()
}
