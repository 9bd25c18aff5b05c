//! What the firmware says of the machine, right and wrong: ACPI tables, interrupt lines,
//! clocks, switching off and resetting.

use std::time::{Duration, Instant};

use crate::acpi::{IO_APIC, cpu, io_apic, madt, table, timer_override, with_table, x2apic_cpu};
use crate::command::make;
use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{Debug, Release};
use crate::runner::Job;

/// QEMU's ways to have less than a PC has.
const NO_ACPI: &str = "-machine acpi=off";
const NO_HPET: &str = "-machine hpet=off";
const NO_HYPERVISOR: &str = "-cpu max,-hypervisor";

const RAN: &str = "exec: /bin/hello (process 1) exited with status 0";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = power();
    jobs.extend(clocks());
    jobs.extend(tables());
    jobs.push(Job::one("platform: interrupts by line and CPU, through the I/O APIC", || {
        let config = Config { smp: 4, ..Config::new(Debug, "") };
        interrupts(config, "     4  I/O APIC, edge").map(|_| ())
    }));
    jobs.push(Job::one("platform: without ACPI, by UEFI: one CPU and the 8259A pair", || {
        let config = Config { uefi: true, extra: NO_ACPI.into(), ..Config::new(Release, "") };
        let mut machine = interrupts(config, "     4  8259A")?;
        machine.type_line("poweroff")?;
        machine.expect_status(1)?;
        let reason = "the ACPI tables name no register for it.";
        machine.expect_written(&[&format!("It cannot be switched off: {reason}")])
    }));
    jobs
}

/// Switching off and resetting, in every way that there is.
fn power() -> Vec<Job> {
    let bios = |mode, extra: &str| Config { extra: extra.into(), ..Config::new(mode, "") };
    let uefi = |mode, extra: &str| Config { uefi: true, ..bios(mode, extra) };
    let mut jobs = Vec::new();
    for (what, config, cmdline, status, said) in [
        ("", bios(Debug, ""), "poweroff", 0, "Switching the machine off."),
        ("", bios(Release, ""), "nonsense; poweroff", 1, "nonsense: no such command"),
        (" UEFI", uefi(Release, ""), "poweroff", 0, "Switching the machine off."),
        ("", bios(Debug, ""), "reboot", 0, "acpi: "),
        ("", bios(Release, ""), "nonsense; reboot", 1, "acpi: "),
        (" UEFI", uefi(Debug, ""), "reboot", 0, "acpi: "),
        ("", bios(Debug, ""), "reboot acpi", 0, "acpi: "),
        ("", bios(Debug, ""), "reboot keyboard", 0, "keyboard: "),
        ("", bios(Debug, ""), "reboot pci", 0, "pci: "),
        ("", bios(Debug, ""), "reboot triple-fault", 0, "triple-fault: "),
        ("", bios(Debug, ""), "reboot quickly; exit 5", 5, "quickly is no way to reset"),
        // SeaBIOS's own tables of old: no reset register, and S5 in them.
        (" ACPI 1.0", bios(Debug, NO_ACPI), "poweroff", 0, "Switching the machine off."),
        (
            " ACPI 1.0",
            bios(Debug, NO_ACPI),
            "reboot acpi; echo it goes on; reboot",
            0,
            "acpi: the ACPI tables name no register for it\nreboot: the machine was not reset\n",
        ),
    ] {
        let name = format!("power{what}, {}: `{cmdline}` is {status}", config.mode.name());
        let config = Config { cmdline: cmdline.into(), ..config };
        jobs.push(Job::one(name, move || boot(&config, status, &[said])));
    }
    jobs.push(Job::one("power: `make run` ends with the status of `poweroff`", || {
        let run = ["--no-print-directory", "run", "UEFI=off", "CMDLINE=nonsense; poweroff"];
        make(&run, Duration::from_secs(600))?.expect_status(1)
    }));
    jobs
}

/// The one rule of choosing a clock, and that what is chosen keeps time.
fn clocks() -> Vec<Job> {
    let mut jobs = Vec::new();
    let both = format!("{NO_HPET} {NO_HYPERVISOR}");
    for (what, extra, clock, said) in [
        ("a TSC that a hypervisor keeps", "", "TSC\n", "on which two sources agree"),
        ("a TSC that may change", NO_HYPERVISOR, "HPET\n", "TSC by the HPET   2"),
        ("no HPET", NO_HPET, "TSC, unchecked\n", "no two sources agree about its rate"),
        ("neither", &both, "TSC, unchecked\n", "nothing says that its rate stays"),
    ] {
        let extra = extra.to_owned();
        jobs.push(Job::one(format!("clock: {what}"), move || {
            let config = Config { smp: 4, extra, ..Config::new(Debug, "") };
            let mut machine = Machine::start(&config)?;
            machine.expect_prompt()?;
            machine.command("timer")?;
            machine.expect_written(&[&format!("clock             {clock}"), said])?;
            let begin = Instant::now();
            machine.command("sleep 1")?;
            let took = begin.elapsed().as_secs_f64();
            if !(0.99..5.0).contains(&took) {
                return Err(machine.failure(&format!("a second took {took}")));
            }
            let tests = machine.command("test clock; test base::time; test timer")?;
            match tests.matches(" 0 failed\n").count() {
                3 => Ok(()),
                _ => Err(machine.failure("kernel tests of clocks fail")),
            }
        }));
    }
    jobs.push(Job::one("clock: nothing that tells time is said, and the run ends", || {
        let extra = "-machine hpet=off,pit=off".into();
        let said = "no clock: nothing tells the TSC's rate, and there is no HPET";
        boot(&Config { extra, ..Config::new(Debug, "exit 5") }, 101, &[said])
    }));
    jobs
}

/// Tables that are wrong: what is said, and what is used instead.
fn tables() -> Vec<Job> {
    let pair = "interrupts: through the 8259A pair";
    let (one, two) = ("smp: 1 CPU runs", "smp: 2 CPUs run");
    let good = || madt(&[cpu(0), cpu(1), io_apic(IO_APIC), timer_override()]);
    let mut bad_sum = good();
    bad_sum[9] ^= 0x55;
    let mut garbage = vec![0xa5; 64];
    garbage.extend(0..64);
    let mut jobs = Vec::new();
    for (what, table, said) in [
        ("as it should be", good(), vec!["interrupts: through the I/O APIC", two]),
        (
            "with an entry of length 0",
            madt(&[cpu(0), vec![0, 0], cpu(1), io_apic(IO_APIC)]),
            vec!["ACPI: the MADT's entry at 52 of 74 is broken; read up to there", pair, one],
        ),
        (
            "that ends in the middle of an entry",
            madt(&[cpu(0), cpu(1), io_apic(IO_APIC)[..7].to_vec()]),
            vec!["ACPI: the MADT's entry at 60 of 67 is broken; read up to there", pair, two],
        ),
        (
            "of garbage",
            crate::acpi::table(b"APIC", &garbage),
            vec!["ACPI: the MADT's entry at 44 of ", pair, one],
        ),
        (
            "without CPUs",
            madt(&[io_apic(IO_APIC), timer_override()]),
            vec!["ACPI: the MADT lists no CPU; this one alone is used", one],
        ),
        ("without an I/O APIC", madt(&[cpu(0), cpu(1)]), vec![pair, two]),
        (
            "with an I/O APIC where nothing is",
            madt(&[cpu(0), cpu(1), io_apic(0xfec1_0000)]),
            vec!["I/O APIC at 0xfec10000: nothing answers there", pair, two],
        ),
        (
            "with a wrong checksum",
            bad_sum,
            vec!["its checksum is wrong", pair, one, "MADT    none: one CPU"],
        ),
        (
            "that lists everything twice",
            madt(&[
                cpu(0),
                cpu(1),
                x2apic_cpu(1),
                cpu(1),
                io_apic(IO_APIC),
                io_apic(IO_APIC),
                timer_override(),
                timer_override(),
            ]),
            vec!["the same I/O APIC again", "the same ISA line again", two],
        ),
    ] {
        jobs.push(Job::one(format!("platform: a MADT {what}"), move || {
            let config = Config::new(Debug, "exec hello; print-acpi; irqs; exit 7");
            let name = format!("madt-{}", what.replace([' ', '/'], "-"));
            let config = with_table(config, &name, &table)?;
            let mut machine = Machine::start(&config)?;
            machine.expect_status(7)?;
            machine.expect_written(&said)?;
            machine.expect_written(&[RAN, "BASALT TEST"])
        }));
    }
    jobs.push(Job::one("platform: a second MADT of garbage, by UEFI", || {
        let file = crate::place::scratch("second-madt");
        let written = std::fs::write(&file, table(b"APIC", &[0xff; 99]));
        written.map_err(|error| format!("{}: {error}", file.display()))?;
        let extra = format!("-acpitable file={}", file.display());
        let config = Config::new(Debug, "exec hello; print-acpi; exit 7");
        let config = Config { uefi: true, extra, ..config };
        boot(&config, 7, &[two, RAN])
    }));
    jobs.push(Job::one("platform: firmware that cannot cope with x2APIC mode", || {
        // Host address width, and the flag.
        let table = table(b"DMAR", &[38, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let config = Config::new(Debug, "exec hello; irqs; exit 7");
        let said = "ACPI: the firmware asks not to use x2APIC mode";
        let said = [said, two, RAN, "local APICs: xAPIC mode"];
        boot(&with_table(config, "dmar", &table)?, 7, &said)
    }));
    jobs
}

/// The serial line's interrupts arrive, and `irqs` counts them at the line and its CPU.
fn interrupts(config: Config, line: &str) -> Result<Machine, String> {
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    let counts = |output: &str| -> Option<(Vec<u64>, u64)> {
        let row = output.lines().find(|row| row.contains(line))?;
        let (_, counts) = row.split_once("serial")?;
        let counts: Option<Vec<u64>> =
            counts.split_whitespace().map(|count| count.parse().ok()).collect();
        let mut counts = counts?;
        let all = counts.pop()?;
        Some((counts, all))
    };
    let missing = |output: &str| format!("no line `{line}` with counts in\n{output}");
    let output = machine.command("irqs")?;
    let (before, _) = counts(&output).ok_or_else(|| missing(&output))?;
    for _ in 0..20 {
        machine.command("echo a key is an interrupt")?;
    }
    let output = machine.command("irqs")?;
    let (each, all) = counts(&output).ok_or_else(|| missing(&output))?;
    let columns = if config.extra == NO_ACPI { 1 } else { config.smp as usize };
    // Whichever CPU the line interrupts.
    let sum = |counts: &[u64]| counts.iter().sum::<u64>();
    if each.len() != columns || sum(&each) != all || sum(&each) < sum(&before) + 20 {
        return Err(format!("20 lines were typed after {before:?}:\n{output}"));
    }
    let tests = machine.command("test irq; test io_apic; test level")?;
    if tests.matches(" 0 failed\n").count() + tests.matches("no test has").count() != 3 {
        return Err(format!("kernel tests of interrupts fail\n{tests}"));
    }
    machine.command("exec hello")?;
    Ok(machine)
}
