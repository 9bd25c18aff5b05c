//! Starting and ending tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use arch::cpu::fpu::FpuState;
use arch::cpu::{context, interrupts};
use arch::trap::{TrapFrame, return_to_user};
use base::trap::leave_to_user;
use memory::OutOfMemory;
use memory::frames::Allowance;
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
    let task = Task::new(name, Some(stack))?;
    let body: Body = Box::new(body);
    // A thin pointer, so that it fits into one register.
    start(&task, top, run, Box::into_raw(Box::new(body)) as usize);
    Ok(task)
}

/// Starts the thread of a user program: a task with `data` that enters user mode with the
/// registers of `frame` (see [`return_to_user`]) and the FPU registers of `fpu`, or without
/// one in their initial state. `before_start` sees the task before it can run, and may
/// refuse.
///
/// # Errors
/// [`OutOfMemory`]; what `before_start` says. Nothing is left of the task then.
pub fn spawn_user<E: From<OutOfMemory>>(
    name: &str,
    data: Arc<dyn ThreadData>,
    frame: TrapFrame,
    fpu: Option<FpuState>,
    before_start: impl FnOnce(&Arc<Task>) -> Result<(), E>,
) -> Result<(), E> {
    // What cannot fail below.
    let _allowance = Allowance::take(2)?;
    let stack = KernelStack::allocate()?;
    let fpu = match fpu {
        Some(state) => state,
        None => FpuState::try_new().ok_or(OutOfMemory)?,
    };
    // The frame stands at the very top of the stack, so that it needs no memory of its own.
    let top = stack.top().as_u64() - size_of::<TrapFrame>() as u64;
    // SAFETY: the stack is fresh and ours alone; `top` is a multiple of 16, and the stack is
    // mapped up to its end.
    unsafe { (top as *mut TrapFrame).write(frame) };
    let task = Task::new(name, Some(stack))?;
    // The first switch to the task loads both.
    *task.fpu.lock() = Some(fpu);
    task.data.call_once(|| data);
    before_start(&task)?;
    start(&task, top, run_user, top as usize);
    Ok(())
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
    // SAFETY: `spawn_user` wrote it above everything that this stack has grown from.
    let mut frame = unsafe { (argument as *const TrapFrame).read() };
    // It may have been sent a signal already. Interrupts are off.
    leave_to_user(&mut frame);
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
