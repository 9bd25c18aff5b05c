//! Disks: the same contract, whatever drives them. Partitions, reading and writing, compared with
//! the image from outside; errors; disks that are slow; drivers that leave.

use std::io::Write;
use std::time::Duration;

use crate::disk_image::{Image, SECTOR};
use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{Debug, Release};
use crate::place::{self, Mode, scratch};
use crate::runner::Job;

/// Longest time to write and read back a disk.
const CHECK: Duration = Duration::from_secs(240);

/// A way to attach a disk.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// What its first disk is called, and its partition 1.
    disk: &'static str,
    part: &'static str,
    /// A device for the drive `drive`, as number `index` of its kind.
    device: fn(drive: &str, index: usize) -> String,
    /// It can have blocks of 4096 bytes, and be read-only.
    large_blocks: bool,
    read_only: bool,
}

const VIRTIO: Kind = Kind {
    name: "virtio",
    disk: "vda",
    part: "vda1",
    device: |drive, _| format!("-device virtio-blk-pci,drive={drive}"),
    large_blocks: true,
    read_only: true,
};
const NVME: Kind = Kind {
    name: "nvme",
    disk: "nvme0n1",
    part: "nvme0n1p1",
    device: |drive, index| format!("-device nvme,serial=basalt{index},drive={drive}"),
    large_blocks: true,
    read_only: false,
};
const AHCI: Kind = Kind {
    name: "ahci",
    disk: "sda",
    part: "sda1",
    // The machine's own controller has a CD drive at its third port.
    device: |drive, index| format!("-device ide-hd,drive={drive},bus=ide.{index}"),
    large_blocks: false,
    read_only: false,
};
const KINDS: [Kind; 3] = [VIRTIO, NVME, AHCI];

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for kind in KINDS {
        let name = kind.name;
        for (how, config) in [
            ("BIOS, 1 CPU", Config { smp: 1, ..Config::new(Debug, "") }),
            ("UEFI, 4 CPUs", Config { smp: 4, uefi: true, ..Config::new(Release, "") }),
        ] {
            jobs.push(Job::one(format!("disks: {name}, {how}: partitions of a GPT"), move || {
                gpt(kind, &config, 512)
            }));
        }
        if kind.large_blocks {
            jobs.push(Job::one(format!("disks: {name}: blocks of 4096 bytes"), move || {
                gpt(kind, &Config::new(Debug, ""), 4096)
            }));
        }
        if kind.read_only {
            jobs.push(Job::one(
                format!("disks: {name}: a disk that cannot be written"),
                move || read_only(kind),
            ));
        }
        jobs.push(Job::one(format!("disks: {name}: logical partitions"), move || logical(kind)));
        jobs.push(Job::one(
            format!("disks: {name}: every sector of 256 MiB, by 4 tasks"),
            move || check(kind, &Config { smp: 4, ..Config::new(Release, "") }, 256),
        ));
        jobs.push(Job::one(format!("disks: {name}: every sector of 32 MiB, 1 CPU"), move || {
            check(kind, &Config { smp: 1, ..Config::new(Debug, "") }, 32)
        }));
        jobs.push(Job::one(format!("disks: {name}: I/O errors reach the caller"), move || {
            errors(kind)
        }));
        jobs.push(Job::one(format!("disks: {name}: one that does not answer"), move || {
            silent(kind)
        }));
        jobs.push(Job::one(
            format!("disks: {name}: the driver leaves and comes back"),
            move || leave(kind),
        ));
    }
    jobs.push(Job::one("disks: a controller that does not answer any more", cut_off));
    jobs.push(Job::one("disks: more than there are interrupts for", || {
        let disk = "-device virtio-blk-pci,drive=d";
        let mut extra = String::from("-device pcie-pci-bridge,id=b0 -device pcie-pci-bridge,id=b1");
        for index in 0..46 {
            let bus = format!("b{},addr={:x}", index / 23, 1 + index % 23);
            extra += &format!(
                " -drive if=none,id=d{index},driver=null-co,size=1M {disk}{index},bus={bus}"
            );
        }
        let config = Config { smp: 4, extra, ..Config::new(Debug, "") };
        // All have some, and so has the serial line: it is typed on.
        let mut machine = Machine::start(&config)?;
        machine.expect_prompt()?;
        expect(&mut machine, "block list", &["vda ", "vdz ", "vdat "])
    }));
    jobs.push(Job::one("disks: four of each kind", four_of_each));
    jobs.push(Job::one("disks: nvme: a zoned namespace is refused", zoned));
    jobs.push(Job::one("disks: none", || {
        let config = Config::new(Debug, "block list; block read vda 0; exit");
        boot(&config, 1, &["no block devices", "there is no block device vda"])
    }));
    jobs
}

/// A zoned namespace is no disk; the ordinary one beside it is.
fn zoned() -> Result<(), String> {
    let (zoned, plain) = (Image::new("zoned", 4)?, Image::new("beside-zoned", 4)?);
    plain.put(0, b"an ordinary namespace")?;
    let extra = format!(
        "-drive if=none,id=zoned,format=raw,file={} -drive if=none,id=plain,format=raw,file={} \
         -device nvme,id=controller,serial=basalt \
         -device nvme-ns,drive=zoned,bus=controller,nsid=1,zoned=true,zoned.zone_size=1M \
         -device nvme-ns,drive=plain,bus=controller,nsid=2",
        zoned.option(),
        plain.option()
    );
    let config = Config { extra, ..Config::new(Debug, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    machine.expect_written(&["nvme0n1: namespaces of command set 0x2 are not supported"])?;
    expect(&mut machine, "block read nvme0n1 0", &["there is no block device nvme0n1"])?;
    expect(&mut machine, "block read nvme0n2 0", &["|an ordinary name"])?;
    machine.type_line("exit 0")?;
    machine.expect_status(0)
}

/// A machine with a disk of a kind; `options` are of the drive and of the device.
fn with_disk(
    kind: Kind,
    config: &Config,
    file: &str,
    options: (&str, &str),
) -> Result<Machine, String> {
    let (of_drive, of_device) = options;
    let device = (kind.device)("disk", 0);
    let drive = format!("-drive if=none,id=disk,format=raw,file={file}{of_drive}");
    let extra = format!("{} {drive} {device}{of_device}", config.extra);
    let mut machine = Machine::start(&Config { extra, ..config.clone() })?;
    machine.expect_prompt()?;
    Ok(machine)
}

/// # Errors
/// If the command does not write each of the texts.
fn expect(machine: &mut Machine, command: &str, texts: &[&str]) -> Result<(), String> {
    let output = machine.command(command)?;
    match texts.iter().find(|text| !output.contains(**text)) {
        Some(missing) => Err(machine.failure(&format!("`{command}` does not say `{missing}`"))),
        None => Ok(()),
    }
}

/// Partitions of a GPT are read and written where they are.
fn gpt(kind: Kind, config: &Config, block: u64) -> Result<(), String> {
    let image = Image::new(&format!("gpt-{}-{block}-{}", kind.name, config.smp), 16)?;
    image.gpt(block, &[(64, 127, "first"), (128, 200, "second")])?;
    let start = 64 * block;
    image.put(start + 3 * SECTOR, b"found in the partition")?;
    let blocks = format!(",logical_block_size={block},physical_block_size={block}");
    let blocks = if block == SECTOR { "" } else { &blocks };
    let mut machine = with_disk(kind, config, &image.option(), ("", blocks))?;
    let (disk, part) = (kind.disk, kind.part);
    let place = format!("{:>10} sectors from {:<10} Linux, first", 64 * block / 512, start / 512);
    expect(&mut machine, "block list", &["16 MiB       32768 sectors", &place, "Linux, second"])?;
    expect(&mut machine, &format!("block read {part} 3"), &["|found in the par|", "00000800\n"])?;
    let uuid = "01010101-0101-0101-0101-010101010101";
    let said = format!("blocks       {block} bytes logical");
    expect(&mut machine, &format!("block id {part}"), &["label        first", uuid, &said])?;
    expect(
        &mut machine,
        &format!("block write {part} 9 0xa5; block read {part} 9"),
        &["a5 a5 a5"],
    )?;
    let end = 64 * block / SECTOR;
    let beyond = format!("{part}: sector {end} is beyond the end: it has {end} sectors");
    expect(&mut machine, &format!("block write {part} {end} 1"), &[&beyond])?;
    expect(&mut machine, &format!("block read {part} {} 2", end - 1), &[&beyond])?;
    let refused = format!("block: {disk} has partitions: {part}, ");
    expect(&mut machine, &format!("block overwrite {disk}"), &[&refused])?;
    expect(&mut machine, "devices", &[&format!("{disk}  class block"), &format!("{part}  class")])?;
    machine.type_line("exit 0")?;
    machine.expect_status(0)?;
    let written = image.get(start + 8 * SECTOR, 3 * SECTOR as usize)?;
    let (before, rest) = written.split_at(SECTOR as usize);
    let (sector, after) = rest.split_at(SECTOR as usize);
    let is = |bytes: &[u8], value| bytes.iter().all(|&byte| byte == value);
    if is(before, 0) && is(sector, 0xa5) && is(after, 0) {
        Ok(())
    } else {
        Err("the image does not hold what was written".into())
    }
}

/// A chain of logical partitions, and a table that is changed while the kernel runs.
fn logical(kind: Kind) -> Result<(), String> {
    let image = Image::new(&format!("mbr-{}", kind.name), 16)?;
    image.record(512, 0, &[(0x83, 1, 99), (0x05, 100, 900), (0x82, 50, 100)])?;
    image.record(512, 100, &[(0x83, 10, 90), (0x05, 100, 100)])?;
    image.record(512, 200, &[(0x0c, 10, 20), (0x05, 100, 100)])?;
    let config = Config::new(Debug, "");
    let mut machine = with_disk(kind, &config, &image.option(), ("", ""))?;
    let disk = kind.disk;
    machine.expect_written(&[
        &format!("{disk}: partition 3 is not used: it overlaps partition 1"),
        &format!("{disk}: the chain of logical partitions comes back to block 200"),
    ])?;
    let logical = kind.part.replace('1', "5");
    // The name of an NVMe disk has a 1 in it, too.
    let logical = if kind.name == "nvme" { "nvme0n1p5" } else { &logical };
    let place = "90 sectors from 110        Linux";
    expect(&mut machine, "block list", &[logical, place, "W95 FAT32 (LBA)"])?;
    // The last byte of the record's signature goes: there is no table any more.
    expect(&mut machine, &format!("block write {disk} 0 0; block rescan {disk}"), &[": 0\n"])?;
    let output = machine.command("block list")?;
    if output.contains("Linux") {
        return Err(machine.failure("partitions are there that are in no table"));
    }
    Ok(())
}

fn read_only(kind: Kind) -> Result<(), String> {
    let image = Image::new(&format!("ro-{}", kind.name), 1)?;
    image.put(0, b"as it was")?;
    let config = Config::new(Debug, "");
    let mut machine = with_disk(kind, &config, &image.option(), (",readonly=on", ""))?;
    let disk = kind.disk;
    expect(&mut machine, "block list", &["read-only"])?;
    expect(&mut machine, &format!("block read {disk} 0"), &["|as it was......"])?;
    let refused = format!("{disk}: the device is read-only");
    expect(&mut machine, &format!("block write {disk} 0 7"), &[&refused])?;
    machine.type_line("exit 0")?;
    machine.expect_status(0)?;
    if image.get(0, 9)? == b"as it was" { Ok(()) } else { Err("it was written".into()) }
}

/// Overwrites a disk and reads it back, in the kernel and from outside.
fn check(kind: Kind, config: &Config, mib: u64) -> Result<(), String> {
    let image = Image::new(&format!("check-{}-{mib}", kind.name), mib)?;
    let mut machine = with_disk(kind, config, &image.option(), ("", ""))?;
    machine.begin(&format!("block overwrite {} 4", kind.disk), "")?;
    let output = machine.finish(CHECK)?;
    let read_back = format!("read back: {} bytes", mib << 20);
    if !output.contains(&read_back) {
        return Err(machine.failure("not all was read back"));
    }
    let seed = output.lines().find_map(|line| line.strip_prefix("pattern 0x"));
    let seed = seed.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    expect(&mut machine, &format!("block id {}", kind.disk), &["errors       0\n"])?;
    machine.type_line("exit 0")?;
    machine.expect_status(0)?;
    image.expect_pattern(seed.ok_or("no pattern")?)
}

/// Sectors that cannot be read or written.
fn errors(kind: Kind) -> Result<(), String> {
    let image = Image::new(&format!("errors-{}", kind.name), 8)?;
    let rules = place::scratch(&format!("errors-{}.conf", kind.name));
    let rule = |event: &str, sector: u32| {
        format!("[inject-error]\nevent = \"{event}\"\nerrno = \"5\"\nsector = \"{sector}\"\n\n")
    };
    let text = rule("read_aio", 1000) + &rule("write_aio", 2000);
    std::fs::write(&rules, text).map_err(|error| format!("{rules:?}: {error}"))?;
    let file = format!("blkdebug:{}:{}", rules.display(), image.option());
    let config = Config { smp: 4, ..Config::new(Debug, "") };
    let report = if kind.name == "nvme" { "" } else { ",rerror=report,werror=report" };
    let mut machine = with_disk(kind, &config, &file, ("", report))?;
    let disk = kind.disk;
    let failed = format!("block: {disk}: I/O error\n");
    let again = format!("block read {disk} 1000");
    expect(&mut machine, &format!("{again}; block write {disk} 2000 1"), &[&failed])?;
    // Many in flight: only what must fails, and all of it ends.
    machine.begin(&format!("block overwrite {disk} 4"), "")?;
    let output = machine.finish(CHECK)?;
    // Sector 2000 is in the first part.
    if !output.contains(&format!("block: {disk}: I/O error while writing sectors 0 to 2047\n")) {
        return Err(machine.failure("an error got lost"));
    }
    // The disk goes on, and so do other sectors.
    expect(&mut machine, &again, &[&failed])?;
    let good = format!("block write {disk} 999 0x77; block read {disk} 999");
    expect(&mut machine, &good, &["77 77 77"])?;
    let nothing_left = format!("{disk}  class block\n");
    expect(&mut machine, "devices", &[&nothing_left])?;
    let output = machine.command(&format!("block id {disk}"))?;
    if output.contains("errors       0\n") {
        return Err(machine.failure("no error was counted"));
    }
    let _ = std::fs::remove_file(&rules); // the next run makes the directory afresh
    Ok(())
}

/// A disk that stops to answer for a while: its requests fail in time, and it works again.
fn silent(kind: Kind) -> Result<(), String> {
    let image = Image::new(&format!("silent-{}", kind.name), 8)?;
    image.put(0, b"still here")?;
    let config = Config { smp: 4, ..Config::new(Debug, "") };
    // Some KiB at once, then a few each second.
    let slow = ",throttling.bps-total=4096";
    let mut machine = with_disk(kind, &config, &image.option(), (slow, ""))?;
    let disk = kind.disk;
    machine.command(&format!("block timeout {disk} 200"))?;
    let late = format!("{disk}: the device did not answer in time");
    let found = (0..8).any(|round| {
        let command = format!("block read {disk} {} 8", 8 * round);
        machine
            .begin(&command, "")
            .and_then(|()| machine.finish(CHECK))
            .is_ok_and(|output| output.contains(&late))
    });
    if !found {
        return Err(machine.failure("a disk that does not answer is waited for"));
    }
    machine.command(&format!("block timeout {disk} 30000"))?;
    machine.begin(&format!("block read {disk} 0"), "")?;
    let output = machine.finish(CHECK)?;
    if output.contains("|still here......|") { Ok(()) } else { Err(machine.failure("it is lost")) }
}

/// The registers of an AHCI controller read 0: what it is asked for then fails, nothing is taken
/// for done, and others that do not answer are still noticed.
fn cut_off() -> Result<(), String> {
    let (image, other) = (Image::new("cut-off", 8)?, Image::new("cut-off-other", 8)?);
    let monitor = scratch("cut-off-monitor");
    let extra = format!(
        "-device ahci,id=more,addr=7 -drive if=none,id=d0,format=raw,file={} \
         -device ide-hd,drive=d0,bus=more.0 \
         -drive if=none,id=d1,format=raw,throttling.bps-total=4096,file={} \
         -device virtio-blk-pci,drive=d1 -monitor unix:{},server=on,wait=off",
        image.option(),
        other.option(),
        monitor.display()
    );
    let mut machine = Machine::start(&Config { smp: 4, extra, ..Config::new(Debug, "") })?;
    machine.expect_prompt()?;
    machine.command("block timeout sda 500")?;
    machine.command("block timeout vda 200")?;
    // Configuration mechanism #1: the command register of 00:07.0, with the pin alone switched off.
    let said = |error: std::io::Error| format!("{}: {error}", monitor.display());
    let mut line = std::os::unix::net::UnixStream::connect(&monitor).map_err(said)?;
    line.write_all(b"o /w 0xcf8 0x80003804\no /h 0xcfc 0x400\n").map_err(said)?;
    machine.command("sleep 1")?;
    machine.begin("block read sda 100", "")?;
    let output = machine.finish(CHECK)?;
    if !output.contains("block: sda: ") || output.contains("00000000") {
        return Err(machine.failure("what nobody has read is shown"));
    }
    let late = "vda: the device did not answer in time";
    for round in 0..8 {
        machine.begin(&format!("block read vda {} 8", 8 * round), "")?;
        if machine.finish(CHECK)?.contains(late) {
            return Ok(());
        }
    }
    Err(machine.failure("nobody looks after the other disk any more"))
}

/// Drivers leave disks that are in use and take them again: a kernel test.
fn leave(kind: Kind) -> Result<(), String> {
    let image = Image::new(&format!("leave-{}", kind.name), 8)?;
    let config = Config { smp: 4, ..Config::new(Debug, "") };
    let mut machine = with_disk(kind, &config, &image.option(), ("", ""))?;
    machine.begin("test disk_tests", "")?;
    let output = machine.finish(CHECK)?;
    let passed = output.contains("1 passed, 0 failed");
    if !passed || output.matches(" sectors, ").count() < 1 {
        return Err(machine.failure("the driver does not leave or come back"));
    }
    expect(&mut machine, &format!("block read {} 0", kind.disk), &["00000200\n"])
}

/// A machine with twelve disks: each is its own.
fn four_of_each() -> Result<(), String> {
    let mut images = Vec::new();
    let mut extra = String::from("-device ahci,id=more");
    for kind in KINDS {
        for index in 0..4 {
            let image = Image::new(&format!("four-{}-{index}", kind.name), 1)?;
            image.put(0, format!("{} number {index}", kind.name).as_bytes())?;
            let (name, file) = (format!("{}{index}", kind.name), image.option());
            let device = match kind.name {
                "ahci" => format!("-device ide-hd,drive={name},bus=more.{index}"),
                _ => (kind.device)(&name, index),
            };
            extra += &format!(" -drive if=none,id={name},format=raw,file={file} {device}");
            images.push(image);
        }
    }
    let mode: Mode = Debug;
    let config = Config { smp: 4, extra, ..Config::new(mode, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    let disks = ["vda", "vdb", "vdc", "vdd", "nvme0n1", "nvme1n1", "nvme2n1", "nvme3n1"];
    for (index, disk) in disks.into_iter().chain(["sda", "sdb", "sdc", "sdd"]).enumerate() {
        let said = format!("|{} number {}", KINDS[index / 4].name, index % 4);
        expect(&mut machine, &format!("block read {disk} 0"), &[&said])?;
        machine.command(&format!("block write {disk} 1 {}", index + 1))?;
    }
    machine.type_line("exit 0")?;
    machine.expect_status(0)?;
    for (index, image) in images.iter().enumerate() {
        let sector = image.get(SECTOR, SECTOR as usize)?;
        if sector.iter().any(|&byte| usize::from(byte) != index + 1) {
            return Err(format!("{:?} was not written", image.path()));
        }
    }
    Ok(())
}
