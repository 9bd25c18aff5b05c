//! The switch from one task to the next.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::boot::image_layout;
use arch::cpu::{context, interrupts, local, tables};
use base::preempt::{self, RESCHEDULE};
use base::time;

use super::queue::{RunQueue, bury_current, with_queue};
use crate::task::{State, Task, current};

/// Makes the running boot code a task, which later becomes the idle task, and takes over
/// preemption. Call once per CPU, after its per-CPU area is installed.
pub fn init() {
    let task = Task::new("idle", None);
    let stack_top = image_layout().boot_stack.1.as_u64();
    interrupts::disable();
    set_current(&task, stack_top);
    with_queue(|queue| {
        queue.idle = Some(task.clone());
        queue.current = Some(task);
    });
    preempt::set_schedule_hook(preempt_current);
}

fn set_current(task: &Arc<Task>, stack_top: u64) {
    // SAFETY: interrupts are off; the task is about to run, so the run queue keeps it,
    // with its stack and its pending word, until the next call here. Threads enter user
    // mode with an empty kernel stack.
    unsafe {
        local::set_current(Arc::as_ptr(task).cast(), stack_top, &raw const task.pending);
        tables::set_trap_stack(stack_top);
    }
}

/// Chooses who runs next; the old one goes to the end of the queue if it still can run.
/// One that is `preempted` can, even if it has just called itself blocked: it has not
/// yet looked whether it must sleep.
fn choose(queue: &mut RunQueue, preempted: bool) -> Option<(Arc<Task>, Arc<Task>)> {
    let old = queue.current.clone()?;
    old.clear_pending(RESCHEDULE);
    let runnable = match old.state() {
        State::Runnable => true,
        State::Blocked => preempted,
        State::Dead => false,
    };
    let now = time::now_ns();
    old.cpu_ns.fetch_add(now.saturating_sub(queue.slice_start), Ordering::Relaxed);
    queue.slice_start = now;
    if runnable && queue.ready.is_empty() {
        return None;
    }
    if runnable && !queue.is_idle(&old) {
        queue.ready.push_back(old.clone());
    }
    let next = queue.ready.pop_front().or_else(|| queue.idle.clone())?;
    queue.current = Some(next.clone());
    queue.left = Some(old.clone());
    queue.set_alarm();
    (!Arc::ptr_eq(&old, &next)).then_some((old, next))
}

/// Lets another task run, if one wants to; otherwise returns at once. A task that has
/// blocked itself comes back when it is woken.
///
/// # Panics
/// If the caller is atomic (holds a spin lock): it would sleep with it.
pub fn schedule() {
    leave_cpu(false);
}

/// Takes the CPU from the current task, which goes on later.
fn preempt_current() {
    leave_cpu(true);
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

fn leave_cpu(preempted: bool) {
    might_sleep();
    let were_enabled = interrupts::save_and_disable();
    if let Some((old, next)) = with_queue(|queue| choose(queue, preempted)) {
        switch(old, next);
    }
    interrupts::restore(were_enabled);
}

fn switch(old: Arc<Task>, next: Arc<Task>) {
    if let Some(fpu) = old.fpu.lock().as_mut() {
        fpu.save();
    }
    if let Some(data) = next.data.get() {
        data.enter_address_space();
    }
    if let Some(fpu) = next.fpu.lock().as_ref() {
        fpu.restore();
    }
    let stack_top = next.stack_top().map_or(image_layout().boot_stack.1, |top| top).as_u64();
    set_current(&next, stack_top);
    let save = old.saved_sp.as_ptr();
    let load = next.saved_sp.load(Ordering::Relaxed);
    // The run queue holds references to both (`left` and `current`); this stack may
    // never run again, so it must not hold any.
    drop((old, next));
    // SAFETY: interrupts are off. `load` was stored by the last switch away from the
    // task, or by `spawn`, and is used now, once; `save` belongs to the old task, which
    // `left` keeps alive until `finish_switch`.
    unsafe { context::switch_stacks(save, load) };
    finish_switch();
}

/// First thing on the new stack: lets go of the task that was left. If it was dead, its
/// stack goes with the last reference.
pub(crate) fn finish_switch() {
    let left = with_queue(|queue| queue.left.take());
    drop(left);
}

/// Nanoseconds that the current task has spent on a CPU.
pub fn cpu_time_ns() -> u64 {
    with_queue(|queue| {
        let Some(current) = &queue.current else { return 0 };
        let running = time::now_ns().saturating_sub(queue.slice_start);
        current.cpu_ns.load(Ordering::Relaxed) + running
    })
}

/// Lets other tasks run first.
pub fn yield_now() {
    schedule();
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

/// The boot code's end: it becomes the task that runs when nothing else can.
pub fn become_idle() -> ! {
    loop {
        interrupts::disable();
        if with_queue(|queue| queue.ready.is_empty()) {
            // A wake-up from an interrupt marks the idle task for rescheduling, and the
            // end of that interrupt switches.
            interrupts::enable_and_halt();
        } else {
            schedule();
            interrupts::enable();
        }
    }
}
