//! `/dev`: the nodes that are there, those of disks and partitions that come and go, and disks as
//! files.

use std::path::PathBuf;
use std::time::Duration;

use crate::machine::{Config, Machine};
use crate::place::Mode::{Debug, Release};
use crate::place::scratch;
use crate::runner::{Job, Outcome};

const LIMIT: Duration = Duration::from_secs(120);
const MIB: u64 = 1 << 20;

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = vec![
        Job::one("dev: nodes of what there is", nodes),
        Job::one("dev: what is mounted is not written to", mounted),
    ];
    for (device, name, mode, smp) in [
        ("virtio-blk-pci,drive=d", "vda", Debug, 4),
        ("nvme,drive=d,serial=1", "nvme0n1", Release, 1),
        ("ide-hd,drive=d,bus=ide.0", "sda", Release, 2),
    ] {
        jobs.push(Job::one(format!("dev: {name} is a file"), move || {
            disk(device, name, mode, smp)
        }));
    }
    jobs
}

/// A disk of zeros.
fn image(name: &str, bytes: u64) -> Result<PathBuf, String> {
    let image = scratch(&format!("dev-{name}"));
    let made = std::fs::File::create(&image).and_then(|file| file.set_len(bytes));
    made.map_err(|error| format!("{}: {error}", image.display()))?;
    Ok(image)
}

fn start(image: &std::path::Path, device: &str, config: Config) -> Result<Machine, String> {
    let extra = format!("-drive if=none,id=d,format=raw,file={} -device {device}", image.display());
    let mut machine = Machine::start(&Config { extra, ..config })?;
    machine.expect_prompt()?;
    Ok(machine)
}

/// Runs a command, whose output is to have all these texts.
fn gives(machine: &mut Machine, command: &str, texts: &[&str]) -> Outcome {
    machine.begin(command, "")?;
    let output = machine.finish(LIMIT)?;
    match texts.iter().find(|text| !output.contains(**text)) {
        Some(text) => Err(format!("`{command}`: no {text:?} in\n{output}")),
        None => Ok(()),
    }
}

fn nodes() -> Outcome {
    let image = image("nodes", 4 * MIB + 512)?;
    let mut machine = start(&image, "virtio-blk-pci,drive=d", Config::new(Debug, ""))?;
    let all = [
        " console",
        " fd -> /proc/self/fd",
        " full",
        " null",
        " random",
        " stderr -> ",
        " tty",
        " ttyS0",
        " urandom",
        " vda",
        " zero",
    ];
    gives(&mut machine, "ls -l /dev", &all)?;
    gives(&mut machine, "mount", &["devtmpfs on /dev type devtmpfs (rw,relatime)\n"])?;
    // There is one, wherever it is mounted, and the kernel's nodes do not depend on that.
    gives(&mut machine, "mkdir /tmp/dev; mount devtmpfs /tmp/dev; touch /dev/mark", &[""])?;
    gives(&mut machine, "ls /tmp/dev", &[" mark", " vda"])?;
    gives(&mut machine, "umount /tmp/dev /dev; ls /dev", &[""])?;
    gives(&mut machine, "mount devtmpfs; ls /dev", &[" mark", " null"])?;
    // Programs open them by these names.
    gives(&mut machine, "exec devices", &[", 0 failed\n"])?;
    machine.type_line("exit")?;
    machine.expect_status(0)
}

fn disk(device: &str, name: &str, mode: crate::place::Mode, smp: u32) -> Outcome {
    // The last page is not whole.
    let image = image(name, 4 * MIB + 3 * 512)?;
    let mut machine = start(&image, device, Config { smp, ..Config::new(mode, "") })?;
    for _ in 0..2 {
        gives(&mut machine, &format!("exec disk /dev/{name}"), &[", 0 failed\n"])?;
    }
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    let bytes = std::fs::read(&image).map_err(|error| error.to_string())?;
    let (place, text) = (MIB as usize, b"disk");
    let is_good = bytes.iter().enumerate().all(|(at, &byte)| {
        let expected = at.checked_sub(place).and_then(|at| text.get(at));
        byte == expected.copied().unwrap_or(0)
    });
    if is_good { Ok(()) } else { Err(format!("{} has other bytes", image.display())) }
}

fn mounted() -> Outcome {
    let image = image("mounted", 8 * MIB)?;
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let made = std::process::Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext2"])
        .arg(&image)
        .env("PATH", path)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("mke2fs fails".into());
    }
    let mut machine = start(&image, "virtio-blk-pci,drive=d", Config::new(Debug, ""))?;
    let busy = "Device or resource busy";
    gives(&mut machine, "mkdir /mnt; mount /dev/vda /mnt", &[""])?;
    gives(&mut machine, "write-to-file /dev/vda x", &[busy])?;
    gives(&mut machine, "exec disk /dev/vda", &["/dev/vda: Resource busy"])?; // musl's word
    gives(&mut machine, "cp /dev/vda /tmp/copy", &[""])?;
    gives(&mut machine, "stat /tmp/copy", &["8388608 bytes"])?;
    gives(
        &mut machine,
        "umount /mnt; write-to-file /dev/vda x; mount vda /mnt; ls /mnt",
        &["lost+found"],
    )?;
    machine.type_line("exit")?;
    machine.expect_status(0)
}
