//! `/proc/stat`: what the CPUs' time went to, in ticks of a hundredth of a second, and counts of
//! interrupts, switches and tasks.

use abi::Result;
use base::{irq, smp, time};
use task::CpuTimes;

use crate::pseudo::Text;
use crate::status::Time;

/// Nanoseconds of a tick, as `AT_CLKTCK` has it.
const TICK_NS: u64 = 10_000_000;
/// Vectors, which stand here for Linux's interrupt numbers.
const VECTORS: core::ops::RangeInclusive<u8> = 0..=255;

/// The ten fields of a CPU. Nothing counts waiting for disks, interrupts or a host's theft.
fn line(to: &mut Text, times: &CpuTimes) -> Result<()> {
    let [user, nice, system, idle] =
        [times.user, times.nice, times.system, times.idle].map(|ns| ns / TICK_NS);
    to.write(format_args!("{user} {nice} {system} {idle} 0 0 0 0 0 0\n"))
}

pub(super) fn show(to: &mut Text) -> Result<()> {
    let online = smp::online();
    let mut all = CpuTimes::default();
    for times in online.iter().map(task::cpu_times) {
        all.user += times.user;
        all.nice += times.nice;
        all.system += times.system;
        all.idle += times.idle;
        all.switches += times.switches;
    }
    to.push(b"cpu  ")?;
    line(to, &all)?;
    for cpu in online.iter() {
        to.write(format_args!("cpu{cpu} "))?;
        line(to, &task::cpu_times(cpu))?;
    }
    let interrupts: u64 = online.iter().map(irq::all_of).sum();
    to.write(format_args!("intr {interrupts}"))?;
    for vector in VECTORS {
        let count: u64 = online.iter().map(|cpu| irq::count_of(vector, cpu)).sum();
        to.write(format_args!(" {count}"))?;
    }
    let up = time::now_ns() / 1_000_000_000;
    let started = Time::now().seconds.saturating_sub_unsigned(up);
    to.write(format_args!(
        "\nctxt {}\nbtime {started}\nprocesses {}\nprocs_running {}\nprocs_blocked {}\n",
        all.switches,
        task::tasks_made(),
        task::running(),
        task::blocked()
    ))
}
