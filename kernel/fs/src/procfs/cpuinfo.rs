//! `/proc/cpuinfo`: the CPUs that are online, as CPUID tells of the one that is asked; they are
//! of one kind.

use abi::Result;
use arch::cpu::features::brand;
use arch::cpu::identity::identity;
use base::{smp, time};

use super::cpu_flags;
use crate::pseudo::Text;

/// The clock's rate and the address of the APIC are the kernel's own; Linux's `bogomips` is twice
/// the rate where the TSC's rate is known, and so it is here.
pub(super) fn show(to: &mut Text) -> Result<()> {
    let id = identity();
    let (name, len) = brand();
    let name = name.get(..len).unwrap_or_default().trim_ascii();
    let khz = time::tsc_rate() / 1000;
    let online = smp::online();
    for cpu in online.iter() {
        to.write(format_args!("processor\t: {cpu}\nvendor_id\t: "))?;
        to.push(&id.vendor)?;
        to.write(format_args!("\ncpu family\t: {}\nmodel\t\t: {}\n", id.family, id.model))?;
        to.push(b"model name\t: ")?;
        to.push(if name.is_empty() { b"unknown" } else { name })?;
        to.write(format_args!("\nstepping\t: {}\n", id.stepping))?;
        to.write(format_args!("cpu MHz\t\t: {}.{:03}\n", khz / 1000, khz % 1000))?;
        if id.cache_kib > 0 {
            to.write(format_args!("cache size\t: {} KB\n", id.cache_kib))?;
        }
        let (cores, apic) = (online.len(), smp::apic_id(cpu).unwrap_or(cpu));
        to.write(format_args!(
            "physical id\t: 0\nsiblings\t: {cores}\ncore id\t\t: {cpu}\ncpu cores\t: {cores}\n\
             apicid\t\t: {apic}\ninitial apicid\t: {apic}\n\
             fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: {}\nwp\t\t: yes\nflags\t\t:",
            id.highest_leaf
        ))?;
        for flag in cpu_flags::names(&id.words) {
            to.write(format_args!(" {flag}"))?;
        }
        let (bogomips, rest) = (khz / 500, khz % 500 / 5);
        let [physical, linear] = id.address_bits;
        to.write(format_args!(
            "\nbugs\t\t:\nbogomips\t: {bogomips}.{rest:02}\nclflush size\t: {line}\n\
             cache_alignment\t: {line}\n\
             address sizes\t: {physical} bits physical, {linear} bits virtual\n\
             power management:\n\n",
            line = id.line_bytes
        ))?;
    }
    Ok(())
}
