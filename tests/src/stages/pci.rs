//! PCI: functions behind bridges, their ranges, and their interrupts in every way that there
//! is. The kernel's own tests do the work, with QEMU's test device `edu` in many places and the
//! network card `e1000e`, which has MSI-X.

use std::time::Duration;

use crate::acpi::{table, with_table};
use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{self, Debug, Release};
use crate::runner::Job;

/// Longest time for the kernel tests of PCI.
const LIMIT: Duration = Duration::from_secs(200);

/// Several devices at every depth: on the root bus, with two functions, behind a root port,
/// behind a bridge and behind another one there; and one with a reset of its own.
const TREE: &str = "-device edu -device nvme,serial=test \
     -device edu,addr=10.0,multifunction=on -device edu,addr=10.1 \
     -device pci-bridge,id=outer,chassis_nr=1,addr=11 -device edu,bus=outer,addr=3 \
     -device pci-bridge,id=inner,chassis_nr=2,bus=outer,addr=4 \
     -device edu,bus=inner,addr=2 -device edu,bus=inner,addr=7";

/// What only a machine with PCI Express has.
const PORTS: &str = "-device pcie-root-port,id=express,chassis=3,addr=12 -device e1000e,bus=express \
     -device pcie-root-port,id=empty,chassis=4,addr=13";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let express = format!("{TREE} {PORTS}");
    let pc = format!("-machine pc {TREE} -device e1000e,addr=12");
    let express_lines: &[&str] = &[
        "0000:00:00.0  host bridge                      8086:29c0",
        "0000:00:10.1  unclassified device              1234:11e8",
        "    buses 01 to 02\n",
        "0000:01:04.0  PCI bridge                       1b36:0001",
        "0000:02:07.0  unclassified device              1234:11e8",
        "0000:03:00.0  Ethernet controller              8086:10d3",
        "    at 0x100: advanced error reporting (0x0001), version ",
    ];
    let pc_lines: &[&str] = &[
        "0000:00:01.0  ISA bridge                       8086:7000",
        "0000:00:12.0  Ethernet controller              8086:10d3",
        "0000:02:02.0  unclassified device              1234:11e8",
    ];
    // Behind nothing but bridges that firmware without ACPI sets up as well.
    let pair = format!("-machine acpi=off {TREE}");
    let mut jobs = Vec::new();
    for (what, mode, uefi, smp, extra, lines) in [
        ("q35, 4 CPUs", Debug, false, 4, &express, express_lines),
        ("q35, UEFI, 1 CPU", Release, true, 1, &express, &express_lines[..3]),
        ("q35 without x2APIC mode", Release, false, 2, &express, express_lines),
        ("pc, without an MCFG", Debug, false, 2, &pc, pc_lines),
        ("pc, without an MCFG, 4 CPUs", Release, false, 4, &pc, pc_lines),
        ("the 8259A pair, UEFI", Debug, true, 1, &pair, &[]),
    ] {
        let cpu = if what.contains("without x2APIC") { " -cpu max,-x2apic" } else { "" };
        let config = Config { uefi, smp, extra: format!("{extra}{cpu}"), ..Config::new(mode, "") };
        jobs.push(Job::one(format!("pci: {what}, {}", mode.name()), move || {
            kernel_tests(&config, lines).map(|_| ())
        }));
    }
    jobs.push(Job::one("pci: a second host bridge", second_host_bridge));
    jobs.push(Job::one("pci: the ports' reset register is reached, `reboot pci`", || {
        let config = Config::new(Debug, "reboot pci");
        boot(&Config { extra: "-machine pc".into(), ..config }, 0, &["pci: "])
    }));
    jobs.push(Job::one("pci: the ports' reset register is reached, `reboot acpi`", || {
        // QEMU's pc names no register; its q35 does, and has no ports in use without this.
        boot(&misled(0x9000_0000, "reboot acpi")?, 0, &["acpi: "])
    }));
    jobs.extend(broken_mcfgs());
    jobs.push(Job::one("pci: sysfs's attributes", || attributes(Debug)));
    jobs
}

/// Runs the kernel tests of PCI, and looks for these lines of `list-pci -v`.
fn kernel_tests(config: &Config, lines: &[&str]) -> Result<Machine, String> {
    let mut machine = Machine::start(config)?;
    machine.expect_prompt()?;
    machine.begin("test drivers::pci", "")?;
    let tests = machine.finish(LIMIT)?;
    if !tests.contains(" 0 failed\n") {
        return Err(machine.failure(&format!("kernel tests fail:\n{tests}")));
    }
    let listed = machine.command("list-pci -v")?;
    match lines.iter().find(|line| !listed.contains(**line)) {
        Some(missing) => Err(format!("no `{missing}` in\n{listed}")),
        None => Ok(machine),
    }
}

/// A root bus that nothing leads to: the firmware's AML names it.
fn second_host_bridge() -> Result<(), String> {
    let extra = "-device pxb-pcie,id=second,bus_nr=128 \
         -device pcie-root-port,id=express,bus=second,chassis=1 -device e1000e,bus=express";
    let config = Config { extra: extra.into(), smp: 4, ..Config::new(Debug, "") };
    let line = "0000:81:00.0  Ethernet controller              8086:10d3";
    let mut machine = kernel_tests(&config, &[line])?;
    let tree = machine.command("devices")?;
    let branch = "pci0000:80\n  0000:80:00.0  bus pci\n    0000:81:00.0  bus pci  driver test\n";
    if tree.contains(branch) { Ok(()) } else { Err(format!("no\n{branch}in\n{tree}")) }
}

/// A machine whose MCFG leads to `address`.
fn misled(address: u64, commands: &str) -> Result<Config, String> {
    let mut body = vec![0; 8];
    body.extend(address.to_le_bytes());
    body.extend([0, 0, 0, 255, 0, 0, 0, 0]); // segment, first and last bus
    let config = Config { extra: TREE.into(), ..Config::new(Debug, commands) };
    with_table(config, &format!("mcfg-{address:x}"), &table(b"MCFG", &body))
}

/// An MCFG that leads nowhere, or into RAM: the ports still lead to all functions.
fn broken_mcfgs() -> Vec<Job> {
    let tried = "pci: nothing answers where the MCFG says: the ports are tried";
    [("leads nowhere", 0x9000_0000u64), ("leads into RAM", 0x1000_0000)]
        .into_iter()
        .map(|(what, address)| {
            Job::one(format!("pci: an MCFG that {what}"), move || {
                let config = misled(address, "list-pci; test drivers::pci; exit")?;
                boot(&config, 0, &[tried, "0000:02:07.0  unclassified device", " 0 failed\n"])
            })
        })
        .collect()
}

/// What a function tells, as Linux tells it.
fn attributes(mode: Mode) -> Result<(), String> {
    let config = Config { extra: "-device edu,addr=10.0".into(), ..Config::new(mode, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    let tree = machine.command("devices -v")?;
    let begin = tree.find("0000:00:10.0").ok_or_else(|| format!("no edu in\n{tree}"))?;
    let function = &tree[begin..];
    for line in [
        "vendor = 0x1234",
        "device = 0x11e8",
        "class = 0x00ff00",
        "revision = 0x10",
        "subsystem_vendor = 0x1af4",
        "subsystem_device = 0x1100",
        "irq = 0",
        "modalias = pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00",
        "resource = 0x00000000",
    ] {
        if !function.contains(&format!("      {line}")) {
            return Err(format!("no `{line}` in\n{function}"));
        }
    }
    Ok(())
}
