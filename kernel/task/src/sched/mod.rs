//! The scheduler: one run queue per CPU ([`queue`]), round robin with a time slice, and
//! the switch from task to task ([`switch`]).

pub(crate) mod queue;
mod switch;

pub(crate) use queue::{block_current, unblock_current, wake};
pub(crate) use switch::{assert_may_sleep, end_current, finish_switch};
pub use switch::{become_idle, cpu_time_ns, init, schedule, yield_now};
