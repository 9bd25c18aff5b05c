//! ext2 on disks of every kind: what the kernel writes e2fsck finds nothing wrong with, what the host
//! wrote the kernel reads, a full disk says so, and a power cut loses nothing that fsync returned
//! for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::machine::{Config, Machine};
use crate::place::Mode::{Debug, Release};
use crate::place::{extra, scratch, top};
use crate::runner::{Job, Outcome};

const LIMIT: Duration = Duration::from_secs(300);

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (block, device, mode, smp) in [
        (1024, "virtio-blk-pci,drive=d", Debug, 4),
        (2048, "nvme,drive=d,serial=1", Release, 1),
        (4096, "virtio-blk-pci,drive=d", Release, 4),
        (4096, "ide-hd,drive=d,bus=ide.0", Debug, 1),
    ] {
        let kind = device.split(['-', ',']).next().unwrap_or_default();
        let name = format!("ext2: blocks of {block}, {kind}, {}, {smp} CPUs", mode.name());
        jobs.push(Job::one(name, move || programs(block, device, mode, smp)));
    }
    jobs.push(Job::one("ext2: a tree of the host's is read and copied", tree));
    jobs.push(Job::one("ext2: a mapping larger than memory", || large(160, "64M", "4096")));
    jobs.push(Job::one("ext2: a mapping larger than the disk", || large(8, "2G", "1024")));
    jobs.push(Job::one("ext2: what is immutable or only added to", fixed));
    jobs.push(Job::one("ext2: mounted anew", remounted));
    jobs.push(Job::one("ext2: a disk as the root", root));
    jobs.push(Job::one("ext2: no disk for the root", no_root));
    jobs.push(Job::one("ext2: a full disk", full));
    for block in ["1024", "2048", "4096"] {
        let name = format!("ext2: a full disk with blocks of {block}");
        jobs.push(Job::one(name, move || no_room(block)));
    }
    jobs.push(Job::one("ext2: 64 MiB and 10,000 files", || many("512M", 64)));
    jobs.push(Job::one("ext2: a file larger than memory", || many("64M", 100)));
    jobs.push(Job::one("ext2: the power fails", power));
    for (block, kind) in [("1024", "virtio-blk-pci"), ("4096", "virtio-blk-pci"), ("4096", "nvme")]
    {
        let name =
            format!("ext2: the power fails while files are stored, blocks of {block}, {kind}");
        jobs.push(Job::one(name, move || power_of_stored(block, kind)));
    }
    jobs.push(Job::one("ext2: garbage is no file system", garbage));
    jobs.push(Job::one("ext2: damage is found while files are written", damaged));
    jobs
}

/// Runs a program of the host's.
fn host(program: &str, arguments: &[&str]) -> Result<(bool, String), String> {
    // mke2fs and its kin are where root's programs are.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text))
}

/// A new file system in a file.
fn make(name: &str, mib: u64, arguments: &[&str]) -> Result<PathBuf, String> {
    let image = scratch(&format!("ext2-{name}"));
    let file = std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20));
    file.map_err(|error| format!("{}: {error}", image.display()))?;
    let path = image.to_string_lossy().into_owned();
    let mut all = vec!["-q", "-F", "-t", "ext2"];
    all.extend(arguments);
    all.push(&path);
    match host("mke2fs", &all)? {
        (true, _) => Ok(image),
        (false, text) => Err(format!("mke2fs: {text}")),
    }
}

/// e2fsck finds nothing.
fn check(image: &Path) -> Outcome {
    match host("e2fsck", &["-f", "-n", &image.to_string_lossy()])? {
        (true, _) => Ok(()),
        (false, text) => Err(format!("e2fsck: {text}")),
    }
}

fn start(image: &Path, device: &str, config: &Config) -> Result<Machine, String> {
    let drive = format!("-drive if=none,id=d,format=raw,file={}", image.display());
    let extra = format!("{drive} -device {device} {}", config.extra);
    let mut machine = Machine::start(&Config { extra, ..config.clone() })?;
    machine.expect_prompt()?;
    quietly(&mut machine, "mkdir /mnt")?;
    Ok(machine)
}

/// Runs a command that is to say nothing.
fn quietly(machine: &mut Machine, command: &str) -> Outcome {
    machine.begin(command, "")?;
    let output = machine.finish(LIMIT)?;
    if output.trim().is_empty() { Ok(()) } else { Err(format!("`{command}` says\n{output}")) }
}

fn name_of(device: &str) -> &'static str {
    match device.split(',').next() {
        Some("nvme") => "nvme0n1",
        Some("ide-hd") => "sda",
        _ => "vda",
    }
}

/// Programs do all there is to do with files, several at once.
fn programs(block: u32, device: &str, mode: crate::place::Mode, smp: u32) -> Outcome {
    let name = format!("{block}-{}", name_of(device));
    let image = make(&name, 48, &["-b", &block.to_string()])?;
    let mut machine = start(&image, device, &Config { smp, ..Config::new(mode, "") })?;
    quietly(&mut machine, &format!("mount {} /mnt", name_of(device)))?;
    for command in [
        "exec files /mnt",
        "exec 3 files /mnt",
        "exec openfiles /mnt",
        "exec mapfiles /mnt",
        "exec 3 mapfiles /mnt",
        "exec crowd /mnt",
        "exec locks /mnt",
    ] {
        machine.begin(command, "")?;
        let output = machine.finish(LIMIT)?;
        if output.contains("FAIL") || !output.contains(", 0 failed\n") {
            return Err(machine.failure(&format!("`{command}` fails")));
        }
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)?;
    check_mapped(&image)
}

/// A mapping of 96 MiB on a disk of `mib` in a machine with `mem`: all that had room is there.
fn large(mib: u64, mem: &'static str, block: &str) -> Outcome {
    let image = make(&format!("large-{mib}"), mib, &["-b", block])?;
    let config = Config { smp: 2, mem, ..Config::new(Release, "") };
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
    quietly(&mut machine, "mount vda /mnt")?;
    machine.begin("exec mapfiles /mnt 96", "")?;
    let output = machine.finish(LIMIT)?;
    let has_room = output.contains("24576 of 24576 pages had room");
    if !output.contains(", 0 failed\n") || has_room != (mib > 96) {
        return Err(machine.failure("a large mapping loses something"));
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)
}

/// What `mapfiles` has left, as the host finds it.
fn check_mapped(image: &Path) -> Outcome {
    let copy = scratch("ext2-mapped");
    let request = format!("dump /mapped {}", copy.display());
    host("debugfs", &["-R", &request, &image.to_string_lossy()])?;
    let bytes = std::fs::read(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    let is_right =
        |(page, bytes): (usize, &[u8])| bytes.iter().all(|&b| usize::from(b) == page + 1);
    match bytes.len() == 64 * 4096 && bytes.chunks(4096).enumerate().all(is_right) {
        true => Ok(()),
        false => Err("what was written through mappings is not on the disk".into()),
    }
}

/// A tree that mke2fs has put in is read as it is, and its copy is the same to the host.
fn tree() -> Outcome {
    let source = scratch("ext2-tree-source");
    let failed = |error: std::io::Error| format!("{}: {error}", source.display());
    let mut seed = 12345u64;
    let mut random = |end: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % end
    };
    for number in 0..3000u32 {
        let directory = source.join(format!("d{}/e{}", number % 7, number % 31));
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let len = if number % 100 == 0 { random(600_000) } else { random(9000) };
        let bytes: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
        std::fs::write(directory.join(format!("f{number}")), bytes).map_err(failed)?;
    }
    let from = source.to_string_lossy().into_owned();
    let image = make("tree", 128, &["-b", "1024", "-N", "9000", "-d", &from])?;
    let config = Config { smp: 4, ..Config::new(Release, "") };
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
    for command in ["mount vda /mnt", "mkdir /mnt/copy"] {
        quietly(&mut machine, command)?;
    }
    for number in 0..7 {
        quietly(&mut machine, &format!("cp -r /mnt/d{number} /mnt/copy"))?;
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)?;
    let copy = scratch("ext2-tree-copy");
    std::fs::create_dir_all(&copy).map_err(failed)?;
    let request = format!("rdump /copy {}", copy.display());
    host("debugfs", &["-R", &request, &image.to_string_lossy()])?;
    let other = copy.join("copy");
    match host("diff", &["-r", &from, &other.to_string_lossy()])? {
        (true, _) => Ok(()),
        (false, text) => Err(format!(
            "the copy differs: {}",
            text.lines().take(9).collect::<Vec<_>>().join("\n")
        )),
    }
}

/// What the host has made immutable, or only to be added to, stays so.
fn fixed() -> Outcome {
    let source = scratch("ext2-fixed-source");
    let failed = |error: std::io::Error| format!("{}: {error}", source.display());
    for directory in ["still", "log"] {
        std::fs::create_dir_all(source.join(directory)).map_err(failed)?;
    }
    for file in ["immutable", "append", "still/name", "log/name"] {
        std::fs::write(source.join(file), "old\n").map_err(failed)?;
    }
    let image = make("fixed", 8, &["-d", &source.to_string_lossy()])?;
    let path = image.to_string_lossy().into_owned();
    for (name, flags) in [("immutable", 0x10), ("still", 0x10), ("append", 0x20), ("log", 0x20)] {
        let request = format!("set_inode_field /{name} flags {flags}");
        host("debugfs", &["-w", "-R", &request, &path])?;
    }
    let mut machine =
        start(&image, "virtio-blk-pci,drive=d", &Config { smp: 2, ..Config::new(Debug, "") })?;
    quietly(&mut machine, "mount vda /mnt")?;
    machine.begin("exec fixed /mnt", "")?;
    let output = machine.finish(LIMIT)?;
    if output.contains("FAIL") || !output.contains(", 0 failed\n") {
        return Err(machine.failure("what is fixed changes"));
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)?;
    let (_, text) = host("debugfs", &["-R", "cat /append", &path])?;
    let (_, still) = host("debugfs", &["-R", "cat /immutable", &path])?;
    match text.contains("old\nnew\n") && still.contains("old\n") && !still.contains("new") {
        true => Ok(()),
        false => Err(format!("the files have {text:?} and {still:?}")),
    }
}

/// Read-only and writable in turns. What is read-only is whole on the disk, though never unmounted.
fn remounted() -> Outcome {
    let image = make("remounted", 8, &[])?;
    let mut machine =
        start(&image, "virtio-blk-pci,drive=d", &Config { smp: 2, ..Config::new(Debug, "") })?;
    quietly(&mut machine, "mount -o nodev,noatime vda /mnt")?;
    quietly(&mut machine, "write-to-file /mnt/one first")?;
    quietly(&mut machine, "mount -o remount,ro /mnt")?;
    check(&image)?;
    let says = |machine: &mut Machine, command: &str, words: &str| match machine.command(command)? {
        output if output.contains(words) => Ok(()),
        output => Err(machine.failure(&format!("`{command}` says {output:?}, not `{words}`"))),
    };
    says(&mut machine, "write-to-file /mnt/two second", "Read-only file system")?;
    says(&mut machine, "mount", "vda on /mnt type ext2 (ro,nodev,noatime)")?;
    quietly(&mut machine, "mount -o remount,rw,relatime /mnt")?;
    says(&mut machine, "mount", "vda on /mnt type ext2 (rw,nodev,relatime)")?;
    quietly(&mut machine, "write-to-file /mnt/two second")?;
    quietly(&mut machine, "mount -o remount,ro /mnt")?;
    check(&image)?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)?;
    let (_, text) = host("debugfs", &["-R", "cat /two", &image.to_string_lossy()])?;
    if text.contains("second") { Ok(()) } else { Err(format!("the file has {text:?}")) }
}

/// The root is a disk that has what the initramfs has, and is whole when the machine has stopped.
fn root() -> Outcome {
    let source = scratch("ext2-root-source");
    let failed = |error: std::io::Error| format!("{}: {error}", source.display());
    for programs in [top().join("target/userspace/root"), extra()] {
        let all = programs.join(".");
        std::fs::create_dir_all(&source).map_err(failed)?;
        host("cp", &["-a", &all.to_string_lossy(), &source.to_string_lossy()])?;
    }
    for directory in ["proc", "dev", "tmp"] {
        std::fs::create_dir_all(source.join(directory)).map_err(failed)?;
    }
    std::fs::write(source.join("mark"), "on the disk\n").map_err(failed)?;
    let image = make("root", 64, &["-d", &source.to_string_lossy()])?;
    let extra = format!(
        "-drive if=none,id=d,format=raw,file={} -device virtio-blk-pci,drive=d",
        image.display()
    );
    let line = "root=/dev/vda rootflags=noatime cat /mark";
    let mut machine = Machine::start(&Config { smp: 2, extra, ..Config::new(Debug, line) })?;
    machine.expect("on the disk", LIMIT)?;
    machine.expect_prompt()?;
    for (command, words) in [
        ("mount", "/dev/vda on / type ext2 (rw,noatime)"),
        ("exec files /tmp", ", 0 failed"),
        ("df", "/dev/vda"),
        ("umount /", "busy"),
    ] {
        let output = machine.command(command)?;
        if !output.contains(words) {
            return Err(machine.failure(&format!("`{command}` says {output:?}, not `{words}`")));
        }
    }
    quietly(&mut machine, "write-to-file /new stays")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)?;
    let (_, text) = host("debugfs", &["-R", "cat /new", &image.to_string_lossy()])?;
    if text.contains("stays") { Ok(()) } else { Err(format!("the file has {text:?}")) }
}

/// Without the disk the initramfs is the root, and the log says so.
fn no_root() -> Outcome {
    let mut machine = Machine::start(&Config::new(Debug, "root=/dev/vda9 exec hello"))?;
    machine.expect("root=/dev/vda9: No such device; the root is the initramfs", LIMIT)?;
    machine.expect("Hello from user space", LIMIT)?;
    machine.expect_prompt()?;
    machine.type_line("exit")?;
    machine.expect_status(0)
}

/// What has no room says so, and what had room is whole.
fn full() -> Outcome {
    let image = make("full", 4, &["-b", "1024", "-m", "0"])?;
    let config = Config { smp: 2, ..Config::new(Debug, "") };
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
    quietly(&mut machine, "mount vda /mnt")?;
    quietly(&mut machine, "cp /bin/hello /mnt/kept")?;
    let mut said = String::new();
    for number in 0..100 {
        machine.begin(&format!("cp /bin/files /mnt/more{number}"), "")?;
        said = machine.finish(LIMIT)?;
        if said.contains("No space left on device") {
            break;
        }
    }
    if !said.contains("No space left on device") {
        return Err(machine.failure("a disk of 4 MiB is never full"));
    }
    quietly(&mut machine, "rm -f /mnt/more0 /mnt/more1")?;
    quietly(&mut machine, "cp /bin/hello /mnt/again")?;
    quietly(&mut machine, "umount /mnt")?;
    quietly(&mut machine, "mount vda /mnt")?;
    for name in ["kept", "again"] {
        let output = machine.command(&format!("exec /mnt/{name} one"))?;
        if !output.contains("Hello from user space") {
            return Err(machine.failure(&format!("{name} is not whole")));
        }
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)
}

/// The machine ends at some moment: e2fsck mends what is left, and what was stored is there.
fn power() -> Outcome {
    for round in 0..3u32 {
        let image = make(&format!("power-{round}"), 32, &["-b", "4096"])?;
        let config = Config { smp: 4, ..Config::new(Debug, "") };
        let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
        quietly(&mut machine, "mount vda /mnt")?;
        quietly(&mut machine, "write-to-file /mnt/stored these words")?;
        quietly(&mut machine, "sync")?;
        machine.begin("exec 2 files /mnt", "")?;
        std::thread::sleep(Duration::from_millis(1500 + 1700 * u64::from(round)));
        drop(machine); // kills it
        host("e2fsck", &["-f", "-y", &image.to_string_lossy()])?;
        check(&image)?;
        let (_, text) = host("debugfs", &["-R", "cat /stored", &image.to_string_lossy()])?;
        if !text.contains("these words") {
            return Err(format!("what was stored is lost, round {round}: {text}"));
        }
    }
    Ok(())
}

/// A large file, and 10,000 small ones.
fn many(mem: &'static str, mib: u32) -> Outcome {
    let image = make(&format!("many-{mib}"), 192, &["-b", "4096", "-N", "20000"])?;
    let config = Config { smp: 1, mem, ..Config::new(Release, "") };
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
    quietly(&mut machine, "mount vda /mnt")?;
    machine.begin(&format!("exec files_speed /mnt {mib}"), "")?;
    if !machine.finish(LIMIT)?.contains(", 0 failed\n") {
        return Err(machine.failure("a call fails"));
    }
    quietly(&mut machine, "umount /mnt")?;
    machine.type_line("exit")?;
    machine.expect_status(0)?;
    check(&image)
}

/// More room than there is, and all that there is.
fn no_room(block: &str) -> Outcome {
    let image = make(&format!("no-room-{block}"), 24, &["-b", block])?;
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &Config::new(Release, ""))?;
    for command in ["exec full /mnt", "exec full /mnt again"] {
        quietly(&mut machine, "mount vda /mnt")?;
        machine.begin(command, "")?;
        if !machine.finish(LIMIT)?.contains(", 0 failed\n") {
            return Err(machine.failure(&format!("`{command}` fails")));
        }
        quietly(&mut machine, "umount /mnt")?;
        check(&image)?;
    }
    machine.type_line("exit")?;
    machine.expect_status(0)
}

/// The machine ends while programs store files: what fsync had returned for is there. Behind that
/// a file has what was written, or zeros: its size may be on the disk before its last blocks are.
fn power_of_stored(block: &str, kind: &str) -> Outcome {
    for round in 0..2u32 {
        let image = make(&format!("stored-{kind}-{block}-{round}"), 64, &["-b", block])?;
        let device = match kind {
            "nvme" => "nvme,drive=d,serial=1",
            _ => "virtio-blk-pci,drive=d",
        };
        let mut machine = start(&image, device, &Config { smp: 4, ..Config::new(Release, "") })?;
        quietly(&mut machine, &format!("mount {} /mnt", name_of(device)))?;
        machine.begin("exec stored /mnt", "")?;
        machine.expect("A 0 ", LIMIT)?;
        std::thread::sleep(Duration::from_millis(2500 + 2700 * u64::from(round)));
        let said = machine.text();
        drop(machine); // kills it
        host("e2fsck", &["-f", "-y", &image.to_string_lossy()])?;
        check(&image)?;
        check_stored(&image, &said).map_err(|error| format!("round {round}: {error}"))?;
    }
    Ok(())
}

/// Compares what the program `stored` said with what is on the disk.
fn check_stored(image: &Path, said: &str) -> Outcome {
    let mut stored = std::collections::BTreeMap::new();
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [kind @ ("A" | "R"), writer, number] = words[..]
            && let Ok(number) = number.parse::<usize>()
        {
            stored.insert(format!("{}{writer}", kind.to_lowercase()), number);
        }
    }
    if stored.len() < 4 {
        return Err(format!("only {} files were stored", stored.len()));
    }
    let record = |number: usize| {
        let mut record = vec![b'a' + (number % 26) as u8; 200];
        record.splice(..8, format!("{number:08}").into_bytes());
        record.splice(199.., [b'\n']);
        record
    };
    for (name, number) in stored {
        let copy = image.with_extension(&name);
        let request = format!("dump /{name} {}", copy.display());
        host("debugfs", &["-R", &request, &image.to_string_lossy()])?;
        let bytes = std::fs::read(&copy).map_err(|error| format!("{name}: {error}"))?;
        let whole = if name.starts_with('a') {
            let wanted: Vec<u8> = (0..bytes.len().div_ceil(200)).flat_map(record).collect();
            let is_right =
                |at: usize, byte: u8| byte == wanted[at] || (at >= number * 200 && byte == 0);
            bytes.len() >= number * 200
                && bytes.iter().enumerate().all(|(at, byte)| is_right(at, *byte))
        } else {
            let version =
                bytes.get(..8).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            let is_whole = |version: usize| {
                version >= number
                    && bytes.len() == (version * 977 % 60 + 1) * 200
                    && bytes.chunks(200).all(|part| part == record(version))
            };
            version.is_some_and(is_whole)
        };
        if !whole {
            return Err(format!(
                "{name}, stored up to {number}, has {} bytes that are not so",
                bytes.len()
            ));
        }
    }
    Ok(())
}

/// A directory holds garbage, and the file system is to be read-only when that is found.
fn damaged() -> Outcome {
    let source = scratch("ext2-damaged-source");
    let failed = |error: std::io::Error| format!("{}: {error}", source.display());
    std::fs::create_dir_all(source.join("bad")).map_err(failed)?;
    std::fs::write(source.join("bad/name"), "text").map_err(failed)?;
    let image = make("damaged", 8, &["-b", "1024", "-d", &source.to_string_lossy()])?;
    let path = image.to_string_lossy().into_owned();
    host("tune2fs", &["-e", "remount-ro", &path])?;
    let (_, text) = host("debugfs", &["-R", "blocks /bad", &path])?;
    let block = text.split_whitespace().filter_map(|word| word.parse::<usize>().ok()).next();
    let block = block.ok_or_else(|| format!("debugfs says {text:?}"))?;
    let mut bytes = std::fs::read(&image).map_err(failed)?;
    let directory = bytes.get_mut(block * 1024..(block + 1) * 1024).ok_or("the image is short")?;
    directory.iter_mut().zip(0u8..=255).for_each(|(byte, value)| *byte = value | 1);
    std::fs::write(&image, &bytes).map_err(failed)?;
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &Config::new(Release, ""))?;
    quietly(&mut machine, "mount vda /mnt")?;
    let says = |machine: &mut Machine, command: &str, words: &str| match machine.command(command)? {
        output if output.contains(words) => Ok(()),
        output => Err(machine.failure(&format!("`{command}` says {output:?}, not `{words}`"))),
    };
    says(&mut machine, "exec damaged /mnt", ", 0 failed\n")?;
    says(&mut machine, "mount", "vda on /mnt type ext2 (ro,")?;
    // Something is lost.
    says(&mut machine, "umount /mnt", "not all could be stored")?;
    machine.type_line("exit 7")?;
    machine.expect_status(7)?;
    let (_, text) = host("debugfs", &["-R", "stat /stored", &path])?;
    if text.contains("Size: 5000") { Ok(()) } else { Err(format!("what was stored: {text}")) }
}

/// A disk of nothing, and one that is damaged where it matters.
fn garbage() -> Outcome {
    let image = make("garbage", 8, &["-b", "1024"])?;
    let failed = |error: std::io::Error| format!("{}: {error}", image.display());
    let mut bytes = std::fs::read(&image).map_err(failed)?;
    // The descriptors of groups.
    for (at, byte) in bytes.iter_mut().skip(2048).take(64).enumerate() {
        *byte = (at * 37) as u8;
    }
    std::fs::write(&image, &bytes).map_err(failed)?;
    let zeros = scratch("ext2-zeros");
    let file = std::fs::File::create(&zeros).and_then(|file| file.set_len(8 << 20));
    file.map_err(failed)?;
    let extra = format!(
        "-drive if=none,id=z,format=raw,file={} -device virtio-blk-pci,drive=z",
        zeros.display()
    );
    let config = Config { extra, ..Config::new(Debug, "") };
    let mut machine = start(&image, "virtio-blk-pci,drive=d", &config)?;
    for (disk, words) in
        [("vda", "Structure needs cleaning"), ("vdb", "no file system that is known")]
    {
        let output = machine.command(&format!("mount {disk} /mnt"))?;
        if !output.contains(words) {
            return Err(machine.failure(&format!("`mount {disk} /mnt` does not say `{words}`")));
        }
    }
    machine.type_line("exit 7")?;
    machine.expect_status(7)
}
