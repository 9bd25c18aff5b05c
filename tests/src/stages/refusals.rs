//! What cannot be booted, or not wholly, and what is said then.

use std::path::PathBuf;

use crate::iso::edited;
use crate::machine::{BOOT, Config, Machine, SHORT, boot};
use crate::place::Mode::{Debug, Release};
use crate::place::{image, initramfs, scratch};
use crate::runner::{Job, Outcome};

const SYMBOLS: &[u8] = b".basalt.symbols";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (what, cpu, message) in [
        ("a 32-bit CPU", "qemu32", "Basalt: this CPU has no long mode; a 64-bit CPU is needed"),
        (
            "a CPU without long mode",
            "max,-lm",
            "Basalt: this CPU has no long mode; a 64-bit CPU is needed",
        ),
        ("a CPU without NX", "max,-nx", "Basalt: this CPU has no no-execute bit (NX)"),
    ] {
        for mode in [Debug, Release] {
            jobs.push(Job::one(format!("refusal {} of {what}", mode.name()), move || {
                let config = Config { extra: format!("-cpu {cpu}"), ..Config::new(mode, "exit 0") };
                Machine::start(&config)?.expect(message, BOOT).map(|_| ())
            }));
        }
    }
    jobs.push(Job::one("refusal of another loader", other_loader));
    // What stands before the damage is there, and hello is one of the first files.
    const NONE: &str = "exec: /bin/hello: No such file or directory";
    const FOUND: &str = "exec: /bin/hello (process 1) exited with status 0";
    for (name, contents, said, hello) in [
        ("garbage", Contents::Garbage, "initramfs: no cpio header at 0x0 but \"This i\"", NONE),
        ("truncated", Contents::Truncated, " are left; the files before it are there", FOUND),
        ("with a damaged header", Contents::Damaged, " but \"070709\"; the files before it", NONE),
        ("empty", Contents::Empty, "there are no files", NONE),
    ] {
        jobs.push(Job::one(format!("initramfs {name}: said, and the shell runs"), move || {
            let path =
                contents.write(&scratch(&format!("initramfs-{}", name.replace(' ', "-"))))?;
            let config =
                Config { initramfs: Some(path), ..Config::new(Debug, "exec /bin/hello; exit 7") };
            boot(&config, 7, &[said, hello])
        }));
    }
    jobs.push(Job::one("initramfs left out by GRUB: said, and the shell runs", no_module));
    jobs.push(Job::one("initramfs missing on the medium: GRUB says so", missing_file));
    jobs.push(Job::one("initramfs too large for the memory", too_large));
    jobs.push(Job::one("symbols missing: said, and backtraces are numbers", || {
        let image = edited_image("basalt-without-symbols", |bytes| {
            let at = find(bytes, SYMBOLS)?;
            bytes.get_mut(at..at + SYMBOLS.len())?.copy_from_slice(b".nothing.at.all");
            Some(())
        })?;
        let said = "the image has no symbol table; backtraces are numbers";
        without_symbols(image, said)
    }));
    jobs.push(Job::one("symbols damaged: said, and backtraces are numbers", || {
        let image = edited_image("basalt-damaged-symbols", |bytes| {
            let (start, len) = symbol_section(bytes)?;
            bytes.get_mut(start..start + len)?.fill(0xa5);
            Some(())
        })?;
        without_symbols(image, "the symbol table cannot be used: ")
    }));
    jobs
}

/// A loader that speaks Multiboot 1, which QEMU is with `-kernel`, and the kernel's own
/// bytes with a header for it in the gap behind the ELF header. It loads the boot segment
/// (whose place in the file is 0x1000 and in memory 0x200000) and enters where GRUB does.
fn other_loader() -> Outcome {
    const HEADER: usize = 0x800;
    const FLAGS: u32 = 1 << 16; // the addresses are in the header
    const MAGIC: u32 = 0x1bad_b002;
    let kernel = edited_image("basalt-multiboot-1", |bytes| {
        let entry = u32::try_from(u64_at(bytes, 24)?).ok()?;
        if bytes.get(HEADER..HEADER + 32)?.iter().any(|&byte| byte != 0) {
            return None;
        }
        let load = 0x20_0000 - 0x1000;
        let end = load + 0x1_0000;
        let checksum = 0u32.wrapping_sub(MAGIC).wrapping_sub(FLAGS);
        let words = [MAGIC, FLAGS, checksum, load + HEADER as u32, load, end, end, entry];
        for (word, slot) in words.iter().zip(bytes.get_mut(HEADER..)?.chunks_exact_mut(4)) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        Some(())
    })?;
    let extra = format!("-kernel {}", kernel.display());
    let config = Config { extra, ..Config::new(Debug, "") };
    let mut machine = Machine::start_without_iso(&config, &[])?;
    machine.expect("Basalt: not started by a Multiboot2 loader (magic number wrong)", SHORT)?;
    Ok(())
}

/// What an initramfs may be instead of one.
#[derive(Clone, Copy)]
enum Contents {
    Garbage,
    Truncated,
    Damaged,
    Empty,
}

impl Contents {
    fn write(self, path: &std::path::Path) -> Result<PathBuf, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut bytes = std::fs::read(initramfs()).map_err(failed)?;
        match self {
            Self::Garbage => bytes = b"This is no archive at all.\n".repeat(1000),
            Self::Truncated => bytes.truncate(bytes.len() / 2),
            Self::Damaged => {
                // The magic number of the second entry.
                let second = find(bytes.get(6..).unwrap_or(&[]), b"070701").ok_or("no cpio")? + 6;
                if let Some(digit) = bytes.get_mut(second + 5) {
                    *digit = b'9';
                }
            }
            Self::Empty => bytes.clear(),
        }
        std::fs::write(path, bytes).map_err(failed)?;
        Ok(path.into())
    }
}

fn no_module() -> Outcome {
    let config = Config::new(Debug, "exec /bin/hello; exit 7");
    let edit = |menu: &str| {
        menu.replace(
            "if module2 --nounzip /boot/initramfs.cpio initramfs; then",
            "if [ 1 = 1 ]; then",
        )
    };
    let iso = edited(&config, "no-module", edit, str::to_owned)?;
    let said = "the loader brought no initramfs: there are no files";
    boot(&Config { iso: Some(iso), ..config }, 7, &[said, "/bin/hello: No such file"])
}

fn missing_file() -> Outcome {
    let config = Config::new(Release, "exit 7");
    let edit = |menu: &str| menu.replace("/boot/initramfs.cpio", "/boot/nothing.cpio");
    let iso = edited(&config, "no-file", edit, str::to_owned)?;
    let mut machine = Machine::start(&Config { iso: Some(iso), ..config })?;
    machine.expect("file `/boot/nothing.cpio' not found", BOOT)?;
    machine.expect("Basalt cannot be started; the lines above say why", SHORT)?;
    Ok(())
}

/// 80 MiB for a machine of 64.
fn too_large() -> Outcome {
    let path = scratch("initramfs-too-large");
    let file = std::fs::File::create(&path).and_then(|file| file.set_len(80 << 20));
    file.map_err(|error| format!("{}: {error}", path.display()))?;
    let config = Config { mem: "64M", initramfs: Some(path), ..Config::new(Debug, "exit 7") };
    let mut machine = Machine::start(&config)?;
    machine.expect("Basalt cannot be started; the lines above say why", BOOT)?;
    machine.expect_written(&["out of memory"])
}

/// Boots an image whose symbols are of no use: all works but the names.
fn without_symbols(image: PathBuf, said: &str) -> Outcome {
    let cmdline = "exec /bin/hello; crash null";
    let config = Config { image: Some(image), ..Config::new(Debug, cmdline) };
    let mut machine = Machine::start(&config)?;
    machine.expect_status(101)?;
    machine.expect_written(&[
        said,
        "exec: /bin/hello (process 1) exited with status 0",
        "page fault (#PF, vector 14): kernel read of 0x0",
        "backtrace:\n  0xffffffff80",
    ])?;
    if machine.text().contains("crash::null") {
        return Err(machine.failure("there are names without symbols"));
    }
    Ok(())
}

/// A copy of the debug image, changed.
fn edited_image(name: &str, edit: impl FnOnce(&mut [u8]) -> Option<()>) -> Result<PathBuf, String> {
    let path = scratch(name);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = std::fs::read(image(Debug)).map_err(failed)?;
    edit(&mut bytes).ok_or("the image is not as this test expects it")?;
    std::fs::write(&path, bytes).map_err(failed)?;
    Ok(path)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

/// Place and length of the symbols in the file: of the section header (64 bytes each, ELF
/// specification, figure 4-8) with that name.
fn symbol_section(bytes: &[u8]) -> Option<(usize, usize)> {
    let headers = u64_at(bytes, 40)? as usize;
    let (count, names) = (u16_at(bytes, 60)?, u16_at(bytes, 62)?);
    let names = u64_at(bytes, headers + names * 64 + 24)? as usize;
    (0..count).find_map(|index| {
        let header = headers + index * 64;
        let name = names + u32_at(bytes, header)?;
        (bytes.get(name..)?.starts_with(SYMBOLS)).then_some(())?;
        Some((u64_at(bytes, header + 24)? as usize, u64_at(bytes, header + 32)? as usize))
    })
}
