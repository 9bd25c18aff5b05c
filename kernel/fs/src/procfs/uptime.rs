//! `/proc/uptime`: seconds since the start, and the sum of those that the CPUs had nothing to
//! do, with two decimals.

use abi::Result;
use base::{smp, time};

use crate::pseudo::Text;

pub(super) fn show(to: &mut Text) -> Result<()> {
    let up = time::now_ns();
    let idle: u64 = smp::online().iter().map(|cpu| task::cpu_times(cpu).idle).sum();
    let [(up, up_part), (idle, idle_part)] =
        [up, idle].map(|ns| (ns / 1_000_000_000, ns / 10_000_000 % 100));
    to.write(format_args!("{up}.{up_part:02} {idle}.{idle_part:02}\n"))
}
