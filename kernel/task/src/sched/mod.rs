//! The scheduler: one run queue per CPU ([`queue`]), the order in it ([`policy`]), the switch
//! from task to task ([`switch`]), which CPU a task runs on ([`balance`]); what the CPUs' time goes
//! to ([`times`]) and how much is to do ([`load`]).

pub(crate) mod balance;
pub(crate) mod load;
pub(crate) mod policy;
pub(crate) mod queue;
mod switch;
#[cfg(not(test))]
mod tests;
mod times;

pub(crate) use balance::wake;
pub use load::{LOAD_SHIFT, blocked, load_averages, running};
pub use policy::Policy;
pub use queue::SLICE_NS;
pub(crate) use queue::{block_current, unblock_current};
pub(crate) use switch::{adopt_idle, end_current, finish_switch, might_sleep};
pub use switch::{become_idle, cpu_time_ns, init, schedule, yield_now};
pub use times::{CpuTimes, cpu_times};
