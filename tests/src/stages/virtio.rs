//! VirtIO devices as QEMU makes them: all kinds, with what they may offer or lack, and none.
//!
//! Disks that the kernel's own tests may overwrite have a serial number that begins with
//! `scratch` (`kernel/drivers/src/scratch_tests.rs`).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{self, Debug, Release};
use crate::place::scratch;
use crate::runner::Job;

/// Longest time for kernel tests with disks.
const LIMIT: Duration = Duration::from_secs(300);
const MIB: u64 = 1 << 20;

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = kernel_tests();
    jobs.extend(variants());
    jobs.extend(refused());
    jobs.extend(disks());
    jobs.extend(consoles());
    jobs.extend(balloons());
    jobs
}

/// A file of `bytes` zeros, and the arguments for a drive called `drive` of it.
fn image(name: &str, drive: &str, bytes: u64) -> Result<(PathBuf, String), String> {
    let path = scratch(name);
    File::create(&path)
        .and_then(|file| file.set_len(bytes))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let arguments = format!("-drive if=none,id={drive},format=raw,file={}", path.display());
    Ok((path, arguments))
}

/// Runs kernel tests on a machine with more devices; all must pass, and say `said`.
fn run_tests(config: Config, tests: &str, said: &[&str]) -> Result<(), String> {
    let cmdline = format!("loglevel=info list-virtio; {tests}; exit");
    let mut machine = Machine::start(&Config { cmdline, ..config })?;
    let status = machine.wait(LIMIT)?;
    let text = machine.text();
    if status != 0 || text.matches(" 0 failed\n").count() != tests.matches("test ").count() {
        return Err(machine.failure(&format!("kernel tests fail, status {status}")));
    }
    machine.expect_written(said)
}

/// The kernel's tests with a device of each kind.
fn kernel_tests() -> Vec<Job> {
    [
        ("debug, BIOS, 1 CPU", Debug, false, 1),
        ("debug, UEFI, 4 CPUs", Debug, true, 4),
        ("release, UEFI, 1 CPU", Release, true, 1),
        ("release, BIOS, 4 CPUs", Release, false, 4),
    ]
    .into_iter()
    .map(|(what, mode, uefi, smp)| {
        Job::one(format!("virtio: kernel tests with every device, {what}"), move || {
            let name = format!("virtio-{}-{smp}", mode.name());
            let (_, first) = image(&format!("{name}-0"), "d0", 24 * MIB)?;
            let (_, second) = image(&format!("{name}-1"), "d1", 4 * MIB)?;
            let extra = format!(
                "{first} -device virtio-blk-pci,drive=d0,serial=scratch0 \
                 {second} -device virtio-blk-pci,drive=d1,serial=scratch1,num-queues=1 \
                 -device virtio-rng-pci -device virtio-balloon-pci -device virtio-serial-pci \
                 -chardev file,id=c0,path={} -device virtconsole,chardev=c0",
                scratch(&format!("{name}-console")).display()
            );
            let config = Config { uefi, smp, extra, ..Config::new(mode, "") };
            let said = ["driver: virtio-blk", "driver: virtio-rng", "driver: virtio-console"];
            run_tests(config, "test virtio; test scratch; test random", &said)
        })
    })
    .collect()
}

/// Disks with less than usual, and what they offer that is not taken.
fn variants() -> Vec<Job> {
    let two = "interrupts: MSI-X, 2 vectors";
    [
        ("packed rings offered", "packed=on", vec!["ring-packed", "taken: seg-max", two]),
        ("no event index", "event_idx=off", vec!["indirect-desc version-1\n"]),
        ("no indirect descriptors", "indirect_desc=off", vec!["event-idx version-1\n"]),
        ("short queues", "queue-size=4", vec!["size 4 of 4"]),
        (
            "short queues, neither index nor tables",
            "queue-size=4,event_idx=off,indirect_desc=off",
            vec!["size 4 of 4", "write-zeroes version-1\n"],
        ),
        ("long queues", "queue-size=1024", vec!["size 256 of 1024"]),
        ("one vector for all", "vectors=1", vec!["interrupts: MSI-X, 1 vector\n"]),
        ("the interrupt pin", "vectors=0", vec!["interrupts: INTx\n"]),
        ("no ioeventfd", "ioeventfd=off", vec![two]),
        ("no cache that is told", "config-wce=off", vec![two]),
        ("neither discard nor zeroes", "discard=off,write-zeroes=off", vec![two]),
        (
            "blocks of 4096 bytes",
            "logical_block_size=4096,physical_block_size=4096",
            vec!["blocks       4096 bytes logical, 4096 physical"],
        ),
        ("modern alone", "disable-legacy=on", vec![two]),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (what, options, said))| {
        Job::one(format!("virtio: a disk with {what}"), move || {
            let (_, drive) = image(&format!("virtio-variant-{number}"), "d0", 4 * MIB)?;
            let device = "-device virtio-blk-pci,drive=d0,serial=scratch,num-queues=1";
            let extra = format!("{drive} {device},{options}");
            let config = Config { smp: 2, extra, ..Config::new(Release, "") };
            run_tests(config, "block id vda; test scratch; test real_tests", &said)
        })
    })
    .collect()
}

/// Devices that cannot be driven, and a machine without any.
fn refused() -> Vec<Job> {
    let legacy = "the device has only the interface of before VirtIO 1.0";
    vec![
        Job::one("virtio: a disk of before VirtIO 1.0 is refused", move || {
            let (_, drive) = image("virtio-legacy", "d0", MIB)?;
            let extra = format!("{drive} -device virtio-blk-pci,drive=d0,disable-modern=on");
            let config =
                Config { extra, ..Config::new(Debug, "list-virtio; block id vda; exit 7") };
            let said =
                [&format!("driver virtio-pci: {legacy}"), "block: there is no block device vda"];
            boot(&config, 7, &said)
        }),
        Job::one("virtio: a disk with the shortest queue that there is", || {
            let (_, drive) = image("virtio-short", "d0", MIB)?;
            let device = "virtio-blk-pci,drive=d0,queue-size=4,seg-max-adjust=off,serial=scratch";
            let extra = format!("{drive} -device {device}");
            let config = Config { extra, ..Config::new(Debug, "test scratch; test real_; exit") };
            boot(&config, 0, &[" 3 passed, 0 failed\n"])
        }),
        Job::one("virtio: no device at all", || {
            let cmdline = "list-virtio; port; block list; test virtio; test scratch; exit";
            boot(&Config::new(Debug, cmdline), 0, &[" 0 failed\n"])
        }),
    ]
}

fn disks() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (what, mode, uefi, smp) in
        [("release, BIOS, 4 CPUs", Release, false, 4), ("release, UEFI, 1 CPU", Release, true, 1)]
    {
        jobs.push(Job::one(
            format!("virtio: every sector of 256 MiB by four tasks, {what}"),
            move || every_sector(mode, uefi, smp),
        ));
    }
    jobs.push(Job::one("virtio: four disks", four_disks));
    jobs.push(Job::one("virtio: a read-only disk is not written", read_only));
    jobs.push(Job::one("virtio: what is written is in the file", written));
    jobs.push(Job::one("virtio: an error of the disk is an I/O error", bad_sector));
    jobs.push(Job::one("virtio: a disk that grows", grown));
    jobs
}

fn every_sector(mode: Mode, uefi: bool, smp: u32) -> Result<(), String> {
    let (path, drive) = image(&format!("virtio-large-{smp}"), "d0", 256 * MIB)?;
    let extra = format!("{drive} -device virtio-blk-pci,drive=d0");
    let mut machine = Machine::start(&Config { uefi, smp, extra, ..Config::new(mode, "") })?;
    machine.expect_prompt()?;
    machine.begin("block overwrite vda 4", "")?;
    let output = machine.finish(LIMIT)?;
    machine.command("list-virtio")?;
    machine.type_line("exit 7")?;
    machine.expect_status(7)?;
    // It is no longer needed, and large.
    let _ = std::fs::remove_file(path);
    if output.contains("block:") { Err(machine.failure("the check fails")) } else { Ok(()) }
}

fn four_disks() -> Result<(), String> {
    let mut extra = String::new();
    for number in 0..4 {
        let size = (number + 1) * MIB;
        let (_, drive) = image(&format!("virtio-four-{number}"), &format!("d{number}"), size)?;
        let device = format!("virtio-blk-pci,drive=d{number},serial=scratch{number}");
        extra.push_str(&format!("{drive} -device {device} "));
    }
    let config = Config { smp: 4, extra, ..Config::new(Debug, "") };
    let said = [
        "vda: 2048 sectors, 1 MiB",
        "vdb: 4096 sectors, 2 MiB",
        "vdc: 6144 sectors, 3 MiB",
        "vdd: 8192 sectors, 4 MiB",
    ];
    run_tests(config, "block list; test scratch", &said)
}

fn read_only() -> Result<(), String> {
    let (path, _) = image("virtio-read-only", "d0", MIB)?;
    let drive = format!("-drive if=none,id=d0,format=raw,readonly=on,file={}", path.display());
    let extra = format!("{drive} -device virtio-blk-pci,drive=d0");
    let cmdline = "block write vda 3 0xa5; block read vda 3; block id vda; list-virtio; exit 7";
    let config = Config { extra, ..Config::new(Debug, cmdline) };
    boot(&config, 7, &["block: vda: the device is read-only", " ro "])?;
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err("the file was written".into()) }
}

fn written() -> Result<(), String> {
    let (path, drive) = image("virtio-written", "d0", MIB)?;
    let extra = format!("{drive} -device virtio-blk-pci,drive=d0,serial=a-serial-of-20-byte");
    let cmdline = "block write vda 3 0xa5; block flush vda; block id vda; exit 7";
    let config = Config { uefi: true, extra, ..Config::new(Debug, cmdline) };
    boot(&config, 7, &["serial       a-serial-of-20-byte\n"])?;
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let is_right = |(at, byte): (usize, &u8)| *byte == if at / 512 == 3 { 0xa5 } else { 0 };
    match bytes.iter().enumerate().position(|at| !is_right(at)) {
        None => Ok(()),
        Some(at) => Err(format!("byte {at:#x} of the file is wrong")),
    }
}

/// QEMU's blkdebug fails reads of one sector.
fn bad_sector() -> Result<(), String> {
    let (path, _) = image("virtio-bad", "d0", MIB)?;
    let rules = scratch("virtio-bad-rules");
    let rule =
        "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"100\"\nonce = \"off\"\n";
    std::fs::write(&rules, rule).map_err(|error| format!("{}: {error}", rules.display()))?;
    let extra = format!(
        "-drive if=none,id=d0,format=raw,file=blkdebug:{}:{},rerror=report \
         -device virtio-blk-pci,drive=d0",
        rules.display(),
        path.display()
    );
    let cmdline = "block read vda 99; block read vda 100; block read vda 101; exit 7";
    boot(&Config { extra, ..Config::new(Debug, cmdline) }, 7, &["block: vda: I/O error"])
}

/// The monitor makes a disk larger: an interrupt for its configuration tells of it.
fn grown() -> Result<(), String> {
    let (_, drive) = image("virtio-grown", "d0", MIB)?;
    let monitor = scratch("virtio-grown-monitor");
    let extra = format!(
        "{drive} -device virtio-blk-pci,drive=d0 -monitor unix:{},server=on,wait=off",
        monitor.display()
    );
    let mut machine = Machine::start(&Config { extra, ..Config::new(Debug, "") })?;
    machine.expect_prompt()?;
    let said = |error: std::io::Error| format!("{}: {error}", monitor.display());
    let mut monitor_line = std::os::unix::net::UnixStream::connect(&monitor).map_err(said)?;
    monitor_line.write_all(b"block_resize d0 3M\n").map_err(said)?;
    machine.expect("vda: 6144 sectors now", Duration::from_secs(20))?;
    machine.command("block read vda 6143")?;
    machine.type_line("exit")?;
    machine.expect_status(0)
}

/// Ports in both directions, to a socket of this process.
fn consoles() -> Vec<Job> {
    [
        ("a device with one port", "virtio-serial-pci,max_ports=1", "taken: indirect-desc"),
        ("a device with several ports", "virtio-serial-pci", "taken: multiport"),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (what, device, said))| {
        Job::one(format!("virtio: a second console, {what}"), move || {
            let socket = scratch(&format!("virtio-console-{number}"));
            let extra = format!(
                "-device {device} -chardev socket,id=c0,path={} -device virtconsole,chardev=c0",
                socket.display()
            );
            console(&socket, Config { extra, ..Config::new(Debug, "") }, said)
        })
    })
    .chain([Job::one("virtio: a port that has a name", || {
        let file = scratch("virtio-port");
        let extra = format!(
            "-device virtio-serial-pci -chardev file,id=c0,path={} \
             -device virtserialport,chardev=c0,name=org.basalt.test",
            file.display()
        );
        let cmdline = "sleep 1; port; port write org.basalt.test one line; exit";
        let config = Config { smp: 4, extra, ..Config::new(Release, cmdline) };
        boot(&config, 0, &["called org.basalt.test"])?;
        match std::fs::read_to_string(&file) {
            Ok(text) if text == "one line\n" => Ok(()),
            other => Err(format!("the file has {other:?}")),
        }
    })])
    .chain([Job::one("virtio: a port that nobody has opened yet", unopened)])
    .collect()
}

/// While nobody is connected nothing can be written; then what is written waits for somebody.
fn unopened() -> Result<(), String> {
    let socket = scratch("virtio-unopened");
    let extra = format!(
        "-device virtio-serial-pci -chardev socket,id=c0,path={},server=on,wait=off \
         -device virtserialport,chardev=c0,name=org.basalt.test",
        socket.display()
    );
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    let connect = || -> Result<_, String> {
        let host = UnixStream::connect(&socket).map_err(failed)?;
        host.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
        Ok(BufReader::new(host))
    };
    let mut machine = Machine::start(&Config { smp: 2, extra, ..Config::new(Debug, "") })?;
    machine.expect_prompt()?;
    machine.command("sleep 1")?;
    machine.begin("port write org.basalt.test nobody listens", "")?;
    let output = machine.finish(Duration::from_secs(60))?;
    if !output.contains("port: the host has not opened the port") {
        return Err(machine.failure("what nobody gets is written"));
    }
    machine.begin("port write org.basalt.test somebody comes", "")?;
    std::thread::sleep(Duration::from_secs(1));
    let mut host = connect()?;
    machine.finish(Duration::from_secs(30))?;
    machine.command("port write org.basalt.test and stays")?;
    for wanted in ["somebody comes\n", "and stays\n"] {
        let mut line = String::new();
        host.read_line(&mut line).map_err(failed)?;
        if line != wanted {
            return Err(machine.failure(&format!("the host reads {line:?}, not {wanted:?}")));
        }
    }
    drop(host);
    machine.command("sleep 1")?;
    let output = machine.command("port")?;
    if output.contains("open at the host") {
        return Err(machine.failure("the port does not know that the host has closed it"));
    }
    machine.type_line("exit 7")?;
    machine.expect_status(7)
}

fn console(socket: &std::path::Path, config: Config, taken: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let mut machine = Machine::start(&config)?;
    let (mut host, _) = listener.accept().map_err(failed)?;
    host.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    let mut lines = BufReader::new(host.try_clone().map_err(failed)?);
    machine.expect_prompt()?;
    for round in 0..20 {
        machine.command(&format!("port write hvc0 from the guest {round}"))?;
        let mut line = String::new();
        lines.read_line(&mut line).map_err(failed)?;
        if line != format!("from the guest {round}\n") {
            return Err(machine.failure(&format!("the host reads {line:?}")));
        }
        machine.begin("port read hvc0", "")?;
        writeln!(host, "from the host {round}").map_err(failed)?;
        let output = machine.finish(Duration::from_secs(30))?;
        if !output.contains(&format!("from the host {round}\n")) {
            return Err(machine.failure(&format!("the guest reads {output:?}")));
        }
    }
    // Much more than the buffers hold, in one line, while nobody reads but the device.
    machine.begin("port read hvc0", "")?;
    let long = "0123456789".repeat(5000);
    writeln!(host, "{long}").map_err(failed)?;
    let output = machine.finish(Duration::from_secs(60))?;
    if !output.replace(['\r', '\n'], "").contains(&long) {
        return Err(machine.failure("a long line does not arrive as it was sent"));
    }
    let output = machine.command("port read hvc0 1")?;
    if !output.contains("port: timed out") {
        return Err(machine.failure("there is nothing to read, and the wait has no end"));
    }
    machine.command("list-virtio; port")?;
    machine.expect_written(&[taken, "console hvc0"])?;
    machine.type_line("exit 7")?;
    machine.expect_status(7)
}

/// The monitor asks for memory and gives it back.
fn balloons() -> Vec<Job> {
    [("debug, BIOS", Debug, false), ("release, UEFI", Release, true)]
        .into_iter()
        .map(|(what, mode, uefi)| {
            Job::one(format!("virtio: a balloon follows the host, {what}"), move || {
                balloon(Config { uefi, ..Config::new(mode, "") })
            })
        })
        .collect()
}

fn balloon(config: Config) -> Result<(), String> {
    let monitor = scratch(&format!("virtio-balloon-{}", config.mode.name()));
    let extra = format!(
        "-device virtio-balloon-pci,deflate-on-oom=on -monitor unix:{},server=on,wait=off",
        monitor.display()
    );
    let mut machine = Machine::start(&Config { extra, ..config })?;
    machine.expect_prompt()?;
    let failed = |error: std::io::Error| format!("{}: {error}", monitor.display());
    let mut line = std::os::unix::net::UnixStream::connect(&monitor).map_err(failed)?;
    // 512 MiB less this many.
    for (rest, pages) in [(400, 112 * 256), (300, 212 * 256), (450, 62 * 256), (512, 0)] {
        writeln!(line, "balloon {rest}").map_err(failed)?;
        let wanted = format!("pages = {pages} of {pages}");
        let mut output = String::new();
        for _ in 0..50 {
            output = machine.command("devices -v")?;
            if output.contains(&wanted) {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        if !output.contains(&wanted) {
            return Err(machine.failure(&format!("the balloon does not come to `{wanted}`")));
        }
    }
    machine.command("mem check")?;
    machine.type_line("exit 7")?;
    machine.expect_status(7)
}
