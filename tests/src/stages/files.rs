//! Files of the kernel's own: procfs and sysfs from the shell, with a disk that comes and goes.

use crate::machine::{Config, Machine};
use crate::place::Mode::{Debug, Release};
use crate::runner::{Job, Outcome};

/// A VirtIO disk of 8 MiB of zeros, at a known place.
const DISK: &str = "-blockdev driver=null-co,node-name=zeros,size=8388608,read-zeroes=on \
     -device virtio-blk-pci,drive=zeros,addr=10";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = vec![
        Job::one("files: a module logs as its file says", log_level),
        Job::one("files: what is set in /proc/sys is so", settings),
        Job::one("files: an interrupt goes where its file says", affinity),
        Job::one("files: without a directory for it /proc is not mounted", no_proc),
    ];
    for (mode, uefi) in [(Debug, false), (Release, true)] {
        let name = format!("files: a disk in sysfs, and its driver by hand, {}", mode.name());
        jobs.push(Job::one(name, move || disk(&Config { uefi, ..Config::new(mode, "") })));
    }
    jobs
}

/// Runs a command, whose output is to have all these texts, in this order.
fn gives(machine: &mut Machine, command: &str, texts: &[&str]) -> Outcome {
    let output = machine.command(command)?;
    let mut rest = output.as_str();
    for text in texts {
        match rest.split_once(text) {
            Some((_, after)) => rest = after,
            None => return Err(format!("`{command}`: no {text:?} in its place in\n{output}")),
        }
    }
    Ok(())
}

/// Runs a command that is to say nothing.
fn quietly(machine: &mut Machine, command: &str) -> Outcome {
    let output = machine.command(command)?;
    if output.trim().is_empty() { Ok(()) } else { Err(format!("`{command}` says\n{output}")) }
}

/// Runs a command that may be logged, but is not to fail.
fn works(machine: &mut Machine, command: &str) -> Outcome {
    let output = machine.command(command)?;
    let name = command.split(' ').next().unwrap_or_default();
    let failed = output.contains(&format!("{name}: "));
    if failed { Err(format!("`{command}` says\n{output}")) } else { Ok(()) }
}

fn start(config: &Config) -> Result<Machine, String> {
    let mut machine = Machine::start(config)?;
    machine.expect_prompt()?;
    quietly(&mut machine, "mount sysfs")?;
    Ok(machine)
}

fn disk(config: &Config) -> Outcome {
    let mut machine = start(&Config { extra: DISK.into(), smp: 4, ..config.clone() })?;
    let machine = &mut machine;
    let place = "../devices/pci0000:00/0000:00:10.0/virtio0/vda\n";
    gives(machine, "ls /sys/block", &["vda -> ", place])?;
    gives(
        machine,
        "ls /sys/class/block /sys/dev/block",
        &["vda -> ../", place, ":0 -> ../", place],
    )?;
    gives(machine, "cat /sys/block/vda/size", &["16384\n"])?;
    gives(machine, "cat /sys/block/vda/uevent", &["DEVNAME=vda\nDEVTYPE=disk\n"])?;
    // The contents of what a link leads to, but with -l.
    gives(machine, "ls /sys/block/vda", &[" device -> ", " queue/\n", " size\n"])?;
    gives(machine, "ls -l /sys/block/vda", &["/sys/block/vda -> ", place])?;
    let queue = ["io_timeout", "logical_block_size", "nr_requests", "rotational"];
    gives(machine, "ls /sys/block/vda/queue", &queue)?;
    let (table, line) = ("major minor  #blocks  name\n\n", " 254        0       8192 vda\n");
    gives(machine, "cat /proc/partitions", &[table, line])?;
    gives(machine, "cat /proc/diskstats", &[" 254       0 vda "])?;
    gives(machine, "cat /sys/block/vda/queue/logical_block_size", &["512\n"])?;
    gives(machine, "cat /sys/block/vda/device/device", &["0x0002\n"])?;
    let timeout = "/sys/block/vda/queue/io_timeout";
    gives(machine, &format!("write-to-file {timeout} 0"), &["io_timeout: Invalid argument"])?;
    gives(machine, "block timeout vda 0", &["block: MS is at least 1"])?;
    quietly(machine, &format!("write-to-file {timeout} 1234"))?;
    gives(machine, "block timeout vda", &["1234 ms\n"])?;
    gives(machine, "block overwrite vda 0", &["block: TASKS is 1 to 32, not 0"])?;
    gives(
        machine,
        "cat /sys/bus/pci/devices/0000:00:10.0/uevent",
        &[
            "DRIVER=virtio-pci\nPCI_CLASS=10000\nPCI_ID=1AF4:",
            "PCI_SUBSYS_ID=1AF4:",
            "PCI_SLOT_NAME=0000:00:10.0\nMODALIAS=pci:v00001AF4d0000",
        ],
    )?;
    gives(machine, "cat /sys/kernel/mm/frames", &["\nheap-single-frames "])?;
    gives(
        machine,
        "ls /sys/bus/pci/devices/0000:00:10.0/",
        &["driver -> ../../../bus/pci/drivers/virtio-pci\n", "subsystem -> ../../../bus/pci\n"],
    )?;
    gives(machine, "cat /sys/bus/pci/devices/0000:00:10.0/vendor", &["0x1af4\n"])?;
    gives(
        machine,
        "write-to-file /sys/bus/pci/devices/0000:00:10.0/vendor 1",
        &["vendor: Permission denied"],
    )?;

    let driver = "/sys/bus/virtio/drivers/virtio-blk";
    works(machine, &format!("write-to-file {driver}/unbind virtio0"))?;
    gives(machine, &format!("ls {driver}"), &["bind\n", "unbind\n"])?;
    quietly(machine, "ls /sys/block")?;
    gives(machine, "cat /sys/block/vda/size", &["vda/size: No such file or directory"])?;
    gives(machine, &format!("write-to-file {driver}/unbind virtio0"), &["unbind: No such device"])?;
    works(machine, &format!("write-to-file {driver}/bind virtio0"))?;
    gives(machine, "cat /sys/block/vda/size", &["16384\n"])?;
    gives(
        machine,
        &format!("write-to-file {driver}/bind virtio0"),
        &["bind: Device or resource busy"],
    )?;
    gives(machine, "block read vda 0", &["00 00 00 00"])?;

    // The device below it goes as a whole, and what it carries with it.
    works(machine, "write-to-file /sys/bus/pci/drivers/virtio-pci/unbind 0000:00:10.0")?;
    quietly(machine, "ls /sys/bus/virtio/devices; ls /sys/block")?;
    gives(machine, "cat /sys/block/vda/size", &["No such file or directory"])?;
    works(machine, "write-to-file /sys/bus/pci/drivers/virtio-pci/bind 0000:00:10.0")?;
    gives(machine, "cat /sys/block/vda/size", &["16384\n"])?;
    gives(machine, "exec sysfs", &[", 0 failed\n"])
}

fn settings() -> Outcome {
    let mut machine = start(&Config { smp: 2, ..Config::new(Debug, "") })?;
    let machine = &mut machine;
    quietly(machine, "write-to-file /proc/sys/kernel/hostname lion")?;
    gives(machine, "cat /proc/sys/kernel/hostname", &["lion\n"])?;
    let drop = "/proc/sys/vm/drop_caches";
    gives(machine, &format!("write-to-file {drop} 4"), &["drop_caches: Invalid argument"])?;
    gives(machine, &format!("cat {drop}"), &["drop_caches: Input/output error"])?;
    for what in 1..=3 {
        quietly(machine, &format!("write-to-file {drop} {what}"))?;
    }
    let ratio = "/proc/sys/vm/dirty_ratio";
    gives(machine, &format!("write-to-file {ratio} 101"), &["dirty_ratio: Invalid argument"])?;
    quietly(machine, &format!("write-to-file {ratio} 7"))?;
    gives(machine, &format!("cat {ratio}"), &["7\n"])?;
    // What uname(2) tells is the same, and that all goes on.
    gives(machine, "exec proc_machine", &["ok hostname\n", ", 0 failed\n"])?;
    gives(machine, "exec proc", &[", 0 failed\n"])
}

fn log_level() -> Outcome {
    let mut machine = start(&Config::new(Debug, ""))?;
    let machine = &mut machine;
    let level = "/sys/module/basalt/parameters/log_level";
    works(machine, &format!("write-to-file {level} debug"))?;
    gives(machine, "log", &["basalt::shell: shell: log\n", "info\nbasalt: debug\n"])?;
    machine.command(&format!("write-to-file {level} default"))?;
    let output = machine.command("log")?;
    if output.contains("basalt") { Err(format!("after `default`:\n{output}")) } else { Ok(()) }
}

/// Each key that is typed is an interrupt of the serial line.
fn affinity() -> Outcome {
    let mut machine = start(&Config::new(Debug, ""))?;
    let machine = &mut machine;
    let irqs = machine.command("irqs")?;
    let line = irqs.lines().find(|line| line.contains(" serial "));
    let vector = line.and_then(|line| line.split_whitespace().next());
    let vector = vector.ok_or_else(|| format!("no serial line in\n{irqs}"))?;
    let path = format!("/sys/kernel/irq/{vector}");
    gives(machine, &format!("cat {path}/actions {path}/chip_name"), &["serial\n", "IO-APIC\n"])?;
    let cpu: usize = match machine.command(&format!("cat {path}/smp_affinity_list"))?.trim() {
        "0" => 0,
        "1" => 1,
        other => return Err(format!("it goes to {other}")),
    };
    let counts = |machine: &mut Machine| -> Result<[u64; 2], String> {
        let text = machine.command(&format!("cat {path}/per_cpu_count"))?;
        let numbers: Option<Vec<u64>> =
            text.trim().split(',').map(|number| number.parse().ok()).collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        numbers.ok_or_else(|| format!("not two numbers: {text}"))
    };
    let other = 1 - cpu;
    quietly(machine, &format!("write-to-file {path}/smp_affinity_list {other}"))?;
    let now = format!("{other}\n");
    gives(machine, &format!("cat {path}/effective_affinity_list"), &[&now])?;
    let (before, after) = (counts(machine)?, counts(machine)?);
    if after[cpu] != before[cpu] || after[other] <= before[other] {
        return Err(format!("to CPU {other}: {before:?}, then {after:?}"));
    }
    for bad in ["7", "x", ""] {
        gives(
            machine,
            &format!("write-to-file {path}/smp_affinity_list {bad}"),
            &["smp_affinity_list: Invalid argument"],
        )?;
    }
    Ok(())
}

/// An initramfs of nothing at all.
fn no_proc() -> Outcome {
    let archive = crate::place::scratch("empty.cpio");
    // A trailer alone (cpio(5), "New ASCII Format").
    let mut trailer = String::from("070701");
    for field in [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0] {
        trailer += &format!("{field:08x}");
    }
    trailer += "TRAILER!!!\0\0\0\0";
    std::fs::write(&archive, trailer).map_err(|error| format!("{}: {error}", archive.display()))?;
    let config = Config { initramfs: Some(archive), ..Config::new(Debug, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    machine.expect_written(&["/proc is not mounted: No such file or directory"])?;
    gives(&mut machine, "mount", &["rootfs on / type rootfs (rw,relatime)\n"])?;
    gives(&mut machine, "mount proc", &["mount: /proc: No such file or directory"])?;
    // Anything can be mounted over the root.
    quietly(&mut machine, "mount proc /")?;
    gives(&mut machine, "cat /filesystems", &["nodev\tproc\n", "nodev\tsysfs\n"])?;
    quietly(&mut machine, "umount /")?;
    quietly(&mut machine, "ls /")
}
