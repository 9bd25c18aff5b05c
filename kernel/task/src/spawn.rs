//! Starting and ending tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::cpu::fpu::FpuState;
use arch::cpu::{context, interrupts};
use arch::trap::{TrapFrame, return_to_user};
use memory::OutOfMemory;
use memory::kernel_space::KernelStack;

use crate::sched::{self, finish_switch};
use crate::task::{State, Task, ThreadData, current};

type Body = Box<dyn FnOnce() + Send>;

/// Starts `task`, whose stack is fresh, with a call of `entry(argument)`.
fn start(task: &Arc<Task>, top: u64, entry: extern "C" fn(usize) -> !, argument: usize) {
    // SAFETY: the stack that ends at `top` is fresh and the task's own.
    let sp = unsafe { context::prepare_stack(top, entry, argument) };
    task.saved_sp.store(sp, Ordering::Relaxed);
    task.set_state(State::Blocked);
    sched::wake(task);
}

/// Starts a task that runs `body`.
///
/// # Errors
/// [`OutOfMemory`] for its stack.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Arc<Task>, OutOfMemory> {
    let stack = KernelStack::allocate()?;
    let top = stack.top().as_u64();
    let task = Task::new(name, Some(stack));
    let body: Body = Box::new(body);
    // A thin pointer, so that it fits into one register.
    start(&task, top, run, Box::into_raw(Box::new(body)) as usize);
    Ok(task)
}

/// Starts the thread of a user program: a task with `data` that enters user mode with the
/// registers of `frame` (see [`return_to_user`]) and FPU registers in their initial state.
/// `before_start` sees the task before it can run.
///
/// # Errors
/// [`OutOfMemory`].
pub fn spawn_user(
    name: &str,
    data: Arc<dyn ThreadData>,
    frame: TrapFrame,
    before_start: impl FnOnce(&Arc<Task>),
) -> Result<Arc<Task>, OutOfMemory> {
    let stack = KernelStack::allocate()?;
    let fpu = FpuState::try_new().ok_or(OutOfMemory)?;
    let top = stack.top().as_u64();
    let task = Task::new(name, Some(stack));
    // The first switch to the task loads both.
    *task.fpu.lock() = Some(fpu);
    task.data.call_once(|| data);
    before_start(&task);
    start(&task, top, run_user, Box::into_raw(Box::new(frame)) as usize);
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

/// First Rust code of a user program's thread.
extern "C" fn run_user(argument: usize) -> ! {
    finish_switch();
    // SAFETY: `spawn_user` made the pointer from a box and this is its one use.
    let frame = *unsafe { Box::from_raw(argument as *mut TrapFrame) };
    // From here on the stack owns nothing, for it is left for good.
    return_to_user(frame)
}

/// Ends the current task. What its stack owns is not dropped.
pub fn exit() -> ! {
    if let Some(task) = current() {
        task.ended.store(true, Ordering::Release);
        task.joiners.wake_all();
    }
    sched::end_current()
}
