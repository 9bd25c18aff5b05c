//! The table of all processes, and who is whose child.
//!
//! A process is in the table from the moment it may run until it is reaped: by its parent's
//! wait4(2), or at its end if nobody will wait for it. The table's lock guards the numbers,
//! [`Process::parent`] and all [`Family`]s; it is taken before the lock of a family or of
//! signals. No process is dropped under it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::signal::{CLD_DUMPED, CLD_EXITED, CLD_KILLED};
use abi::{Errno, Signal};
use arch::paging::PAGE_SIZE;
use base::sync::IrqSpinLock;
use memory::OutOfMemory;
use memory::frames;
use memory::kernel_space::stack::STACK_BYTES;

use crate::outcome::Outcome;
use crate::process::Process;

/// Page tables that a small process has, in pages.
const TABLE_PAGES: usize = 8;
/// Fewest processes that there may be, however small the memory.
const FEW: usize = 32;
/// Highest number, and where numbers go on after it (Linux's limits for 64-bit machines).
pub(crate) const MAX_PID: u32 = 4 << 20;
const FIRST_AGAIN: u32 = 300;

/// A place in the table; without a process as long as it is being made.
struct Slot {
    pid: u32,
    /// [`Process::parent`], here too: an end looks through all for its children.
    parent: u32,
    process: Option<Arc<Process>>,
}

struct Table {
    /// By rising number.
    slots: Vec<Slot>,
    last: u32,
}

static TABLE: IrqSpinLock<Table> =
    IrqSpinLock::new("processes", Table { slots: Vec::new(), last: 0 });

/// What a process knows of its children.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// Children that have not been waited for: usual ones, and those that send their parent
    /// another signal than SIGCHLD ("clone" children, waitpid(2)).
    count: [usize; 2],
    /// Of them those that have ended, in that order. There is room for all.
    ended: Vec<Arc<Process>>,
    /// Nanoseconds on a CPU of all that were waited for, and theirs.
    pub(crate) cpu_ns: u64,
}

/// Most processes at a time: their kernel stacks and page tables are to take at most an
/// eighth of the memory, as Linux has it for its stacks.
pub fn max_processes() -> usize {
    let each = (STACK_BYTES / PAGE_SIZE) as usize + TABLE_PAGES;
    (frames::total() / 8 / each).clamp(FEW, MAX_PID as usize / 2)
}

impl Table {
    fn at(&self, pid: u32) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&pid, |slot| slot.pid)
    }

    fn find(&self, pid: u32) -> Option<&Arc<Process>> {
        self.slots.get(self.at(pid).ok()?)?.process.as_ref()
    }

    /// Takes a number out; the process is somebody else's, too.
    fn remove(&mut self, pid: u32) {
        if let Ok(at) = self.at(pid) {
            self.slots.remove(at);
        }
    }
}

/// Why there is no further process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are [`max_processes`].
    TooMany,
    /// No memory.
    OutOfMemory,
    /// The parent has a signal to look at first, which may be for its children, too.
    Signal,
}

impl From<OutOfMemory> for Refusal {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A number for a process that is being made; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved(u32);

impl Reserved {
    /// Takes the next free number.
    pub(crate) fn take() -> Result<Self, Refusal> {
        let most = max_processes();
        let mut table = TABLE.lock();
        if table.slots.len() >= most {
            return Err(Refusal::TooMany);
        }
        table.slots.try_reserve(1).map_err(|_| Refusal::OutOfMemory)?;
        let mut pid = table.last;
        loop {
            pid = if pid >= MAX_PID { FIRST_AGAIN } else { pid + 1 };
            // Fewer are in use than there are.
            if let Err(at) = table.at(pid) {
                table.slots.insert(at, Slot { pid, parent: 0, process: None });
                table.last = pid;
                return Ok(Self(pid));
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0
    }

    /// Puts the process into the table, as a child of its parent if it has one.
    ///
    /// # Errors
    /// `OutOfMemory`, or `Signal`.
    pub(crate) fn fill(
        self,
        process: &Arc<Process>,
        parent: Option<&Process>,
    ) -> Result<(), Refusal> {
        let mut table = TABLE.lock();
        if let Some(parent) = parent {
            // Whoever signals all processes one after the other has either come to the
            // parent, or will come to the child. See `share_with` for blocked signals.
            if parent.signals.has_deliverable() {
                drop(table); // before the number is given back
                return Err(Refusal::Signal);
            }
            let mut family = parent.family.lock();
            let waiting = family.ended.len();
            let room = family.count.iter().sum::<usize>() + 1 - waiting;
            if family.ended.try_reserve(room).is_err() {
                drop((family, table));
                return Err(Refusal::OutOfMemory);
            }
            *family.count_of(process) += 1;
            parent.signals.share_with(&process.signals);
        }
        if let Ok(at) = table.at(self.0)
            && let Some(slot) = table.slots.get_mut(at)
        {
            slot.parent = process.parent();
            slot.process = Some(process.clone());
        }
        core::mem::forget(self);
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        TABLE.lock().remove(self.0);
    }
}

impl Family {
    fn count_of(&mut self, child: &Process) -> &mut usize {
        let [usual, clones] = &mut self.count;
        if child.is_clone_child() { clones } else { usual }
    }
}

/// The number that was given last.
pub(crate) fn last_number() -> u32 {
    TABLE.lock().last
}

/// The process with that number; one that has ended is there until it is reaped.
pub fn find(pid: u32) -> Option<Arc<Process>> {
    TABLE.lock().find(pid).cloned()
}

/// All processes, by rising number: those that are there when their turn comes. No lock is
/// held in between.
pub fn processes() -> impl Iterator<Item = Arc<Process>> {
    processes_from(0)
}

/// As [`processes`], from number `pid` on.
pub(crate) fn processes_from(pid: u32) -> impl Iterator<Item = Arc<Process>> {
    let mut next = pid;
    core::iter::from_fn(move || {
        let table = TABLE.lock();
        let from = table.slots.partition_point(|slot| slot.pid < next);
        let slot = table.slots.iter().skip(from).find(|slot| slot.process.is_some())?;
        next = slot.pid + 1; // numbers end long before u32 does
        slot.process.clone()
    })
}

/// What SIGCHLD tells of an end: `si_code` and `si_status`.
fn child_code(outcome: &Outcome) -> (u32, i32) {
    match outcome {
        Outcome::Exited(status) => (CLD_EXITED, (*status).into()),
        Outcome::Killed { signal, .. } => {
            let status = outcome.wait_status();
            let code = if status & 0x80 != 0 { CLD_DUMPED } else { CLD_KILLED };
            (code, signal.number().into())
        }
    }
}

/// Ends `process`: its children become the kernel's, which reaps them at once when they end;
/// its parent is told, or if it has none or does not want to know, nobody will wait for it.
pub(crate) fn end(process: &Process, outcome: Outcome) {
    process.own_ns.store(task::cpu_time_ns(), Ordering::Relaxed);
    let system = task::with_current(|task| task.times_ns().1).unwrap_or(0);
    process.own_system_ns.store(system, Ordering::Relaxed);
    let mut parent = None;
    let mut zombie = false;
    // Held until the lock is free.
    let orphans = {
        let mut table = TABLE.lock();
        let family = core::mem::take(&mut *process.family.lock());
        if family.count != [0; 2] {
            for slot in table.slots.iter_mut().filter(|slot| slot.parent == process.pid()) {
                slot.parent = 0;
                if let Some(child) = &slot.process {
                    child.parent.store(0, Ordering::Relaxed);
                }
            }
        }
        for child in &family.ended {
            table.remove(child.pid());
        }
        process.children_ns.store(family.cpu_ns, Ordering::Relaxed);
        process.set_outcome(outcome);
        if let (Some(above), Some(own)) = (table.find(process.parent()), table.find(process.pid()))
        {
            let mut family = above.family.lock();
            if process.exit_signal == Some(Signal::SIGCHLD) && above.signals.reaps_children() {
                *family.count_of(process) -= 1;
            } else {
                family.ended.push(own.clone()); // there is room
                zombie = true;
            }
            drop(family);
            parent = Some(above.clone());
        }
        if !zombie {
            table.remove(process.pid());
        }
        family.ended
    };
    drop(orphans);
    process.ended.wake_all();
    if let Some(parent) = parent {
        if let Some(signal) = process.exit_signal {
            let (code, status) = child_code(&outcome);
            if signal == Signal::SIGCHLD {
                parent.signals.note_child(code, process.pid(), status);
            }
            parent.send(signal);
        }
        parent.child_ended.wake_all();
    }
}

/// Which children wait4(2) is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Children {
    /// This one alone.
    pub pid: Option<u32>,
    /// Usual children, and those that send another signal than SIGCHLD when they end.
    pub kinds: [bool; 2],
}

impl Children {
    fn includes(&self, child: &Process) -> bool {
        let [usual, clones] = self.kinds;
        let kind = if child.is_clone_child() { clones } else { usual };
        kind && self.pid.is_none_or(|pid| pid == child.pid())
    }
}

/// Takes the first of these children that has ended out of the table; `None` if all still
/// run.
///
/// # Errors
/// `ECHILD`: there are none.
pub(crate) fn reap(parent: &Process, which: Children) -> Result<Option<Arc<Process>>, Errno> {
    let mut table = TABLE.lock();
    let mut family = parent.family.lock();
    if let Some(at) = family.ended.iter().position(|child| which.includes(child)) {
        let child = family.ended.remove(at);
        *family.count_of(&child) -= 1;
        family.cpu_ns += child.cpu_ns();
        drop(family);
        table.remove(child.pid());
        return Ok(Some(child));
    }
    let runs = match which.pid {
        None => family.count.iter().zip(which.kinds).any(|(count, kind)| kind && *count > 0),
        Some(pid) => table
            .find(pid)
            .is_some_and(|child| child.parent() == parent.pid() && which.includes(child)),
    };
    if runs { Ok(None) } else { Err(Errno::ECHILD) }
}
