//! Starting and ending tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::cpu::fpu::FpuState;
use arch::cpu::{context, interrupts};
use memory::OutOfMemory;
use memory::kernel_space::KernelStack;

use crate::sched::{self, finish_switch};
use crate::task::{State, Task, ThreadData, current};

type Body = Box<dyn FnOnce() + Send>;

/// Starts a task that runs `body`.
///
/// # Errors
/// [`OutOfMemory`] for its stack.
pub fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<Arc<Task>, OutOfMemory> {
    let stack = KernelStack::allocate()?;
    let top = stack.top().as_u64();
    let task = Task::new(name, Some(stack));
    let body: Body = Box::new(body);
    // A thin pointer, so that it fits into one register.
    let argument = Box::into_raw(Box::new(body)) as usize;
    // SAFETY: the stack is fresh and the task's own.
    let sp = unsafe { context::prepare_stack(top, run, argument) };
    task.saved_sp.store(sp, Ordering::Relaxed);
    task.set_state(State::Blocked);
    sched::wake(&task);
    Ok(task)
}

/// First Rust code of every task.
extern "C" fn run(argument: usize) -> ! {
    finish_switch();
    interrupts::enable();
    // SAFETY: `spawn` made the pointer from a box and this is its one use.
    let body = unsafe { Box::from_raw(argument as *mut Body) };
    body();
    exit()
}

/// Ends the current task. What its stack owns is not dropped.
pub fn exit() -> ! {
    if let Some(task) = current() {
        task.ended.store(true, Ordering::Release);
        task.joiners.wake_all();
    }
    sched::end_current()
}

/// Makes the current task a user program's thread: gives it `data` and FPU registers in
/// their initial state, and enters its address space. Once per task.
///
/// # Errors
/// [`OutOfMemory`].
pub fn adopt_user_side(data: Arc<dyn ThreadData>) -> Result<(), OutOfMemory> {
    let task = current().ok_or(OutOfMemory)?;
    let fpu = FpuState::try_new().ok_or(OutOfMemory)?;
    // No switch between the three: it would save registers that are not ours.
    let _off = base::sync::discipline::irq_off();
    fpu.restore();
    *task.fpu.lock() = Some(fpu);
    task.data.call_once(|| data).enter_address_space();
    Ok(())
}
