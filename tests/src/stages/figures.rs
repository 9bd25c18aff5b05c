//! The figures that the kernel is to keep: instructions to the prompt and to the end of
//! the first program, size of the image, memory in use, reads of a disk. Counted under
//! `-icount shift=0,sleep=off`, where a nanosecond is an instruction.

use crate::disk_image::Image;
use crate::machine::{Config, Machine};
use crate::place::Mode::Release;
use crate::place::image;
use crate::runner::{Job, Outcome};

/// Most instructions from the kernel's entry to the prompt. Most of it is no work: idle time counts
/// as well here, and the links of a SATA controller are waited for.
const INSTRUCTIONS: u64 = 80_000_000;
/// Most bytes of the stripped image: what is loaded to run. A large part is kernel tests.
const IMAGE: u64 = 4 << 20;
/// Most bytes of the table of symbols and lines beside it.
const SYMBOLS: u64 = 11 << 18;
/// What the table begins with.
const SYMBOLS_MAGIC: &[u8] = b"basaltst";
/// Most instructions of a kernel task that wakes another one, sleeps, and is woken by it.
const ROUND_TRIP: u64 = 1500;
/// Seconds that the CPUs are idle for, and most interrupts of one of them meanwhile.
const IDLE_SECONDS: u64 = 8;
const IDLE_INTERRUPTS: u64 = 5 * IDLE_SECONDS - 1;
/// Most bytes in use at the prompt: of all RAM in the loader's map, what is not free; half of it
/// is the image with its symbols.
const MEMORY: u64 = 14 << 20;

/// What `memory cost` prints, in instructions, and the most that each may be.
const MEMORY_COSTS: [(&str, u64); 11] = [
    // First touch of a page, with zeroing: alone, and in a sequence that is gone ahead of.
    ("fault", 860),
    ("fault_sequence", 700),
    ("read_fault", 450),
    ("write_after_read", 1300),
    ("cow_fault", 1400),
    ("touch_mib_large", 150_000),
    ("mmap_munmap", 1450),
    ("mmap_munmap_of_1000", 5000),
    ("mprotect_pair", 7700),
    ("brk_pair", 2000),
    ("fork", 60_000),
];

/// What `block cost` prints of a VirtIO disk: how a read of 4 KiB is made, and the most
/// instructions that it may be. QEMU's side is none of them.
const READ_COSTS: [(&str, u64); 3] = [
    ("a task that waits for each", 5200),
    ("1 in flight all the time", 3300),
    ("32 in flight all the time", 2900),
];

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    vec![
        Job::one("figures: instructions to the prompt", || {
            at_most("instructions to the prompt", instructions("timer; exit")?, INSTRUCTIONS)
        }),
        Job::one("figures: instructions to the end of the first program", || {
            let count = instructions("exec /bin/hello; timer; exit")?;
            at_most("instructions to the end of the first program", count, INSTRUCTIONS)
        }),
        Job::one("figures: bytes of the image", image_size),
        Job::one("figures: bytes in use at the prompt", memory),
        Job::one("figures: instructions of a round trip between two tasks", round_trip),
        Job::one("figures: interrupts of an idle CPU", idle_interrupts),
        Job::one("figures: instructions of faults and memory calls", memory_costs),
        Job::one("figures: instructions of a 4 KiB read of a VirtIO disk", read_costs),
    ]
}

/// Prints a figure and compares it.
fn at_most(what: &str, figure: u64, limit: u64) -> Outcome {
    println!("figure: {figure} {what} (at most {limit})");
    if figure <= limit { Ok(()) } else { Err(format!("{figure} {what}, more than {limit}")) }
}

/// The file is what is loaded, then the table, then a few bytes of section headers.
fn image_size() -> Outcome {
    let path = image(Release);
    let bytes = std::fs::read(&path).map_err(|error| format!("{path:?}: {error}"))?;
    // The kernel has the same eight bytes, to compare with; the table comes last.
    let table = bytes.windows(SYMBOLS_MAGIC.len()).rposition(|part| part == SYMBOLS_MAGIC);
    let table = table.ok_or("the image has no table of symbols")? as u64;
    at_most("bytes of the stripped image", table, IMAGE)?;
    at_most("bytes of its symbols and lines", bytes.len() as u64 - table, SYMBOLS)
}

/// One CPU, 512 MiB, BIOS, and a clock that counts instructions.
fn counted(cmdline: &str) -> Result<Machine, String> {
    counted_with("", cmdline)
}

/// The same with more devices.
fn counted_with(devices: &str, cmdline: &str) -> Result<Machine, String> {
    let extra = format!("-icount shift=0,sleep=off {devices}");
    // Programs at the same addresses have the same page tables.
    let cmdline = format!("aslr=off {cmdline}");
    let mut machine = Machine::start(&Config { smp: 1, extra, ..Config::new(Release, &cmdline) })?;
    machine.expect_status(0)?;
    Ok(machine)
}

/// The clock in the output of the first `timer`; it starts in the first Rust function.
fn instructions(cmdline: &str) -> Result<u64, String> {
    let machine = counted(cmdline)?;
    let text = machine.text();
    let seconds = text.split_once("up for ").and_then(|(_, rest)| rest.split_once(" s\n"));
    let parts = seconds.and_then(|(seconds, _)| seconds.trim().split_once('.'));
    // Six decimals: thousands of instructions.
    let count = parts.and_then(|(whole, fraction)| {
        let (whole, micros): (u64, u64) = (whole.parse().ok()?, fraction.parse().ok()?);
        (fraction.len() == 6).then_some((whole * 1_000_000 + micros) * 1000)
    });
    count.ok_or_else(|| machine.failure("`timer` does not say the time"))
}

/// The nanoseconds that `tasks cost` says, each an instruction.
fn round_trip() -> Outcome {
    let machine = counted("tasks cost; exit")?;
    let text = machine.text();
    let ns = text.split_once("a round trip to another task and back: ");
    let ns = ns.and_then(|(_, rest)| rest.split_once(" ns\n")?.0.parse().ok());
    let ns = ns.ok_or_else(|| machine.failure("`tasks cost` does not say the time"))?;
    at_most("instructions of a round trip between two tasks", ns, ROUND_TRIP)
}

/// The figures of `/bin/memory cost`, lines of `NAME VALUE ns`; all of them are compared.
fn memory_costs() -> Outcome {
    // With random layouts the number of page tables is another one each time.
    let machine = counted("aslr=off exec /bin/memory cost; exit")?;
    let text = machine.text();
    let mut outcome = Ok(());
    for (name, limit) in MEMORY_COSTS {
        let ns = text.lines().find_map(|line| {
            let value = line.trim().strip_prefix(name)?.strip_prefix(' ')?.strip_suffix(" ns")?;
            value.parse().ok()
        });
        let ns =
            ns.ok_or_else(|| machine.failure(&format!("`memory cost` does not say {name}")))?;
        outcome = outcome.and(at_most(&format!("instructions: {name}"), ns, limit));
    }
    outcome
}

/// The figures of `block cost`, lines of `4 KiB, HOW … ns, of which N are work`.
fn read_costs() -> Outcome {
    let disk = Image::new("figures-disk", 8)?;
    let file = disk.option();
    let devices =
        format!("-drive if=none,id=disk,format=raw,file={file} -device virtio-blk-pci,drive=disk");
    let machine = counted_with(&devices, "block cost vda; exit")?;
    let text = machine.text();
    let mut outcome = Ok(());
    for (how, limit) in READ_COSTS {
        let work = text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("4 KiB, ")?.strip_prefix(how)?;
            rest.split_once(", of which ")?.1.strip_suffix(" are work")?.trim().parse().ok()
        });
        let work = work.ok_or_else(|| machine.failure(&format!("`block cost` says no {how}")))?;
        let what = format!("instructions of a 4 KiB read of a VirtIO disk, {how}");
        outcome = outcome.and(at_most(&what, work, limit));
    }
    outcome
}

/// All interrupts of each CPU in the table that `irqs` prints.
fn interrupts(table: &str) -> Vec<u64> {
    let mut sums = Vec::new();
    let head = table.lines().next().unwrap_or("");
    let is_column = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_digit());
    let columns = head.split("CPU ").filter(is_column).count();
    for row in table.lines() {
        let numbers: Vec<u64> =
            row.split_whitespace().rev().map_while(|word| word.parse().ok()).collect();
        // From the right: the sum, then the CPUs, the last one first.
        let Some(cpus) = numbers.get(1..=columns) else { continue };
        sums.resize(columns, 0);
        cpus.iter().rev().zip(&mut sums).for_each(|(count, sum)| *sum += count);
    }
    sums
}

/// The CPUs have nothing to do but the watchdog; the shell's command sleeps.
fn idle_interrupts() -> Outcome {
    let mut machine = Machine::start(&Config { smp: 4, ..Config::new(Release, "") })?;
    machine.expect_prompt()?;
    // In one line: what is typed interrupts, too.
    let output = machine.command(&format!("irqs; sleep {IDLE_SECONDS}; irqs"))?;
    let head = output.lines().next().unwrap_or_default();
    let second = output.match_indices(head).nth(1).map_or(0, |(at, _)| at);
    let (before, after) = output.split_at(second);
    let (before, after) = (interrupts(before), interrupts(after));
    if before.len() != 4 || after.len() != 4 || before == after {
        return Err(machine.failure("`irqs` does not count"));
    }
    // One CPU gets the timer that ends the sleep.
    let idle = before.iter().zip(&after).map(|(before, after)| after - before).max();
    at_most("interrupts of a CPU in 8 idle seconds", idle.unwrap_or(0), IDLE_INTERRUPTS)
}

/// All RAM of the memory map less what is free: image, modules, tables, heap and what the
/// kernel cannot use.
fn memory() -> Outcome {
    let machine = counted("mem; boot-info; exit")?;
    let text = machine.text();
    let free = text.lines().find_map(|line| line.trim().strip_prefix("free "));
    let free = free.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let free = free.ok_or_else(|| machine.failure("`mem` does not say what is free"))? * 4096;
    let hexadecimal = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let usable: u64 = text
        .lines()
        .filter(|line| line.ends_with("  usable"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = (hexadecimal(words.next()?)?, hexadecimal(words.next()?)?);
            Some(end - start)
        })
        .sum();
    match usable.checked_sub(free) {
        Some(used) if free > 0 => at_most("bytes of RAM in use at the prompt", used, MEMORY),
        _ => Err(machine.failure("no memory map")),
    }
}
