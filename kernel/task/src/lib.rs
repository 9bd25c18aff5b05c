//! Floor 4: threads of the kernel and everything that sleeps.
//!
//! [`Task`] is a kernel thread, [`spawn()`] starts one; [`sched`] decides which runs;
//! [`WaitQueue`] is where one sleeps until a condition holds, [`sleep`] until a time. On it
//! stand [`Mutex`] and [`RwLock`], locks that sleep, [`Semaphore`], [`Condvar`], [`channel()`]s
//! and the [`WorkQueue`], where interrupt handlers leave work. [`ktest`] runs the kernel
//! tests, each in a task of its own. A user program's thread is a task with [`ThreadData`]
//! (see `kernel/process`).
//!
//! Start-up: [`init`] makes the boot code a task (the idle task, later), then
//! [`timer::init`] starts the clock interrupt; [`smp::start`] starts the other CPUs, and
//! [`work::init`] the workers.
#![no_std]

extern crate alloc;

base::module!();

#[cfg(not(test))]
mod balance_tests;
mod channel;
mod condvar;
mod fpu;
pub mod ktest;
#[cfg(not(test))]
mod memory_tests;
mod mutex;
mod reason;
mod rwlock;
mod sched;
mod semaphore;
pub mod smp;
#[cfg(not(test))]
mod smp_tests;
mod spawn;
mod task;
#[cfg(not(test))]
mod test_tools;
pub mod timer;
#[cfg(not(test))]
mod torture_tests;
mod wait;
pub mod work;

pub use channel::{ChannelError, Receiver, SendError, Sender, channel};
pub use condvar::Condvar;
pub use fpu::{copy_fpu, load_fpu, reset_fpu, save_fpu};
pub use mutex::{Mutex, MutexGuard, held_mutexes, lock_nested, named_mutex};
pub use reason::WaitReason;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard, named_rwlock};
pub use sched::{
    CpuTimes, LOAD_SHIFT, Policy, SLICE_NS, become_idle, blocked, cpu_time_ns, cpu_times, init,
    load_averages, running, schedule, yield_now,
};
pub use semaphore::{Permit, Semaphore};
pub use spawn::{exit, spawn, spawn_user};
pub use task::{
    State, Task, TaskInfo, ThreadData, current, find, is_killed, page_fault, task_count, tasks,
    tasks_made, user_page_fault, with_current,
};
pub use wait::{WaitError, WaitOptions, WaitQueue, signal_pending, sleep, sleep_until};
pub use work::{Work, WorkQueue};
