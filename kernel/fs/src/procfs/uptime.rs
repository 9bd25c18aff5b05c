//! `/proc/uptime`: seconds since the start, and the sum of those that the CPUs had nothing to
//! do, with two decimals.

use abi::Result;
use base::time;

use crate::pseudo::Text;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let up = time::now_ns();
    let is_idle = |task: &task::TaskInfo| task.name.starts_with("idle/");
    let idle: u64 = task::tasks().iter().filter(|task| is_idle(task)).map(|task| task.cpu_ns).sum();
    let [(up, up_part), (idle, idle_part)] =
        [up, idle].map(|ns| (ns / 1_000_000_000, ns / 10_000_000 % 100));
    to.write(format_args!("{up}.{up_part:02} {idle}.{idle_part:02}\n"))
}
