//! The switch from one task to the next.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::boot::image_layout;
use arch::cpu::{context, interrupts, local, tables};
use base::preempt::{self, RESCHEDULE};
use base::{smp, time};
use memory::shootdown;

use super::balance::{self, set_idle, steal};
use super::policy::Policy;
use super::queue::{
    RunQueue, bury_current, with_queue, with_queue_in_scheduler, with_queue_of_task,
};
use crate::task::{State, Task, current};

/// Makes the running boot code a task, which later becomes the idle task, and takes over
/// preemption. Call once, on the boot CPU, after its per-CPU area is installed.
pub fn init() {
    match Task::new("idle/0", None) {
        Ok(task) => adopt_idle(task),
        Err(error) => panic!("no memory for the boot task: {error}"),
    }
    preempt::set_schedule_hook(preempt_current);
    smp::set_handler(smp::RESCHEDULE, balance::on_request);
}

/// Makes `task` the one that runs the caller, on this CPU, and its idle task.
pub(crate) fn adopt_idle(task: Arc<Task>) {
    interrupts::disable();
    task.cpu.store(local::cpu_number(), Ordering::Release);
    set_current(&task);
    with_queue(|queue| {
        queue.idle = Some(task.clone());
        queue.current = Some(task);
    });
}

fn set_current(task: &Arc<Task>) {
    let stack_top = task.stack_top().unwrap_or(image_layout().boot_stack.1).as_u64();
    // SAFETY: interrupts are off; the task is about to run, so the run queue keeps it,
    // with its stack and its pending word, until the next call here. Threads enter user
    // mode with an empty kernel stack.
    unsafe {
        local::set_current(Arc::as_ptr(task).cast(), stack_top, &raw const task.pending);
        tables::set_trap_stack(stack_top);
    }
}

/// Why the CPU is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The task calls the scheduler.
    Called,
    /// It wants others to run first.
    Yielded,
    /// The CPU was taken from it.
    Preempted,
}

/// Who runs next.
enum Choice {
    /// The same task.
    Stay,
    /// Another one.
    Switch(Arc<Task>, Arc<Task>),
    /// Nobody here wants to; another CPU may have too much.
    Nothing,
    /// Not this one, which may not run here; it is in no queue any more.
    Expelled(Arc<Task>),
}

/// Whether `old` goes on wanting the CPU. One that is preempted does, even if it has just
/// called itself blocked: it has not yet looked whether it must sleep.
fn wants_cpu(old: &Task, reason: Reason) -> bool {
    match old.state() {
        State::Runnable => true,
        State::Blocked => reason == Reason::Preempted,
        State::Dead => false,
    }
}

/// Puts `old`, which runs, back among those that wait.
fn put_back(queue: &mut RunQueue, old: &Arc<Task>, reason: Reason, slice_left: bool) {
    match old.policy() {
        // Real-time tasks lose their turn only by their own will or at the slice's end.
        Policy::Fifo { .. } => {
            old.keeps_turn.store(reason == Reason::Preempted, Ordering::Relaxed);
        }
        Policy::RoundRobin { .. } => {
            old.keeps_turn.store(reason == Reason::Preempted && slice_left, Ordering::Relaxed);
        }
        Policy::Fair { .. } if reason == Reason::Yielded => {
            if let Some(first) = queue.ready.front().get() {
                let behind = first.virtual_time.load(Ordering::Relaxed) + 1;
                old.virtual_time.fetch_max(behind, Ordering::Relaxed);
            }
        }
        Policy::Fair { .. } => {}
    }
    queue.insert(old.clone());
}

/// Takes the first one that waits out of the queue if it may not run here: it was told so
/// while it slept, or was being moved. One that still calls itself blocked may run, until it
/// is woken.
#[inline]
fn expel_first(queue: &mut RunQueue) -> Option<Arc<Task>> {
    let mut first = queue.ready.front_mut();
    let task = first.get()?;
    if task.affinity().contains(queue.cpu) || task.state() != State::Runnable {
        return None;
    }
    let task = first.remove()?;
    queue.change_load(-1);
    queue.depart(&task);
    Some(task)
}

/// Chooses who runs next; called at one place only. `look_elsewhere`: says so if it would be
/// the idle task.
#[inline]
fn choose(queue: &mut RunQueue, reason: Reason, look_elsewhere: bool) -> Choice {
    let Some(old) = queue.current.clone() else { return Choice::Stay };
    old.clear_pending(RESCHEDULE);
    let now = time::now_ns();
    queue.account(now);
    if let Some(stranger) = expel_first(queue) {
        return Choice::Expelled(stranger);
    }
    let is_idle = queue.is_idle(&old);
    let wants = wants_cpu(&old, reason) && !is_idle;
    // It may not run here any more. One that calls itself blocked stays until it is woken.
    let exiled = wants && old.state() == State::Runnable && !old.affinity().contains(queue.cpu);
    if queue.ready.is_empty() && (!wants || exiled) {
        if look_elsewhere {
            return Choice::Nothing;
        }
        set_idle(queue.cpu, true);
        if is_idle {
            return Choice::Stay;
        }
    }
    if queue.ready.is_empty() && wants && !exiled {
        queue.slice_start = now;
        return Choice::Stay;
    }
    if wants && !exiled {
        put_back(queue, &old, reason, now < queue.slice_start + super::queue::SLICE_NS);
    } else if !is_idle && !exiled {
        queue.change_load(-1);
    }
    let Some(next) = queue.ready.front_mut().remove().or_else(|| queue.idle.clone()) else {
        return Choice::Stay;
    };
    queue.slice_start = now;
    if is_idle {
        set_idle(queue.cpu, false);
    }
    let left = queue.current.replace(next.clone());
    queue.alarm_at_slice_end();
    if Arc::ptr_eq(&old, &next) {
        return Choice::Stay;
    }
    queue.count_switch(&old, wants);
    queue.left = left;
    Choice::Switch(old, next)
}

/// Lets another task run, if one wants to; otherwise returns at once. A task that has
/// blocked itself comes back when it is woken.
///
/// # Panics
/// If the caller is atomic (holds a spin lock): it would sleep with it.
pub fn schedule() {
    leave_cpu(Reason::Called);
}

/// Takes the CPU from the current task, which goes on later.
fn preempt_current() {
    leave_cpu(Reason::Preempted);
}

/// Says that the caller may sleep now, though it need not.
///
/// # Panics
/// If the caller is atomic.
pub(crate) fn might_sleep() {
    assert!(
        local::preempt_count() == 0,
        "sleeping while atomic, in the scheduler: {}",
        base::sync::Atomic::now()
    );
}

fn leave_cpu(reason: Reason) {
    might_sleep();
    let were_enabled = interrupts::save_and_disable();
    let mut look_elsewhere = true;
    loop {
        match with_queue_in_scheduler(|queue| choose(queue, reason, look_elsewhere)) {
            Choice::Stay => break,
            Choice::Switch(old, next) => {
                switch(old, next);
                break;
            }
            Choice::Nothing => {
                look_elsewhere = false;
                if let Some(task) = steal(2) {
                    with_queue(|queue| queue.arrive(task));
                }
            }
            Choice::Expelled(task) => balance::place(task),
        }
    }
    interrupts::restore(were_enabled);
}

#[inline]
fn switch(old: Arc<Task>, next: Arc<Task>) {
    if old.data.get().is_some()
        && let Some(fpu) = old.fpu.lock().as_mut()
    {
        fpu.save();
    }
    match next.data.get() {
        Some(data) => {
            if old.data.get().is_none() {
                shootdown::set_lazy(false);
            }
            let work = data.enter_address_space();
            if work != 0 {
                next.set_pending(work);
            }
            if let Some(fpu) = next.fpu.lock().as_ref() {
                fpu.restore();
            }
        }
        None if old.data.get().is_some() => shootdown::set_lazy(true),
        None => {}
    }
    set_current(&next);
    let save = old.saved_sp.as_ptr();
    let load = next.saved_sp.load(Ordering::Relaxed);
    // The run queue holds references to both (`left` and `current`); this stack may
    // never run again, so it must not hold any.
    drop((old, next));
    // SAFETY: interrupts are off. `load` was stored by the last switch away from the
    // task, which was complete before the task could be chosen (see `finish_switch`), or
    // by `spawn`, and is used now, once; `save` belongs to the old task, which `left`
    // keeps alive until `finish_switch`.
    unsafe { context::switch_stacks(save, load) };
    finish_switch();
}

/// First thing on the new stack: lets go of the task that was left, which may be woken,
/// moved and run elsewhere from now on. If it was dead, its stack goes with the last
/// reference. If it may not run on this CPU any more, sends it away.
#[inline(always)]
pub(crate) fn finish_switch() {
    let (left, exiled) = with_queue(|queue| {
        let Some(left) = queue.left.take() else { return (None, false) };
        // While it was `left` nobody could send it away.
        let exiled = left.state() == State::Runnable
            && (!left.run_link.is_linked() || !left.affinity().contains(queue.cpu))
            && !queue.is_idle(&left);
        if exiled {
            let _ = queue.remove(&left); // `left` is another reference
            queue.change_load(-1);
            queue.depart(&left);
        }
        (Some(left), exiled)
    });
    if let Some(left) = left.filter(|_| exiled) {
        balance::place(left);
    }
}

/// Nanoseconds that the current task has spent on a CPU.
pub fn cpu_time_ns() -> u64 {
    current().map_or(0, |task| task.cpu_time_ns())
}

impl Task {
    /// Nanoseconds that the task has spent on a CPU.
    pub fn cpu_time_ns(&self) -> u64 {
        let _ = with_queue_of_task(self, |queue| {
            if queue.is_current(self) {
                queue.account(time::now_ns());
            }
        });
        self.cpu_ns.load(Ordering::Relaxed)
    }
}

/// Lets other tasks run first.
pub fn yield_now() {
    leave_cpu(Reason::Yielded);
}

/// Marks the current task dead and leaves it for good.
pub(crate) fn end_current() -> ! {
    interrupts::disable();
    if let Some(task) = current() {
        // Not to be saved to, nor kept.
        *task.fpu.lock() = None;
        bury_current(&task);
    }
    schedule();
    unreachable!("a dead task was scheduled");
}

/// The end of what a CPU starts with: it becomes the task that runs when nothing else can.
pub fn become_idle() -> ! {
    loop {
        interrupts::disable();
        schedule();
        if with_queue(|queue| queue.ready.is_empty()) {
            // A wake-up from an interrupt marks the idle task for rescheduling, and the
            // end of that interrupt switches.
            interrupts::enable_and_halt();
        } else {
            interrupts::enable();
        }
    }
}
