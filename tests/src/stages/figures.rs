//! The figures that the kernel is to keep: instructions to the prompt and to the end of
//! the first program, size of the image, memory in use. Counted under
//! `-icount shift=0,sleep=off`, where a nanosecond is an instruction.

use crate::machine::{Config, Machine};
use crate::place::Mode::Release;
use crate::place::image;
use crate::runner::{Job, Outcome};

/// Most instructions from the kernel's entry to the prompt.
const INSTRUCTIONS: u64 = 30_000_000;
/// Most bytes of the stripped image, the symbols in it.
const IMAGE: u64 = 2 << 20;
/// Most bytes in use at the prompt: of all RAM in the loader's map, what is not free.
const MEMORY: u64 = 8 << 20;

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
        Job::one("figures: bytes of the image", || {
            let path = image(Release);
            let size = std::fs::metadata(&path).map_err(|error| format!("{path:?}: {error}"))?;
            at_most("bytes of the stripped image with its symbols", size.len(), IMAGE)
        }),
        Job::one("figures: bytes in use at the prompt", memory),
    ]
}

/// Prints a figure and compares it.
fn at_most(what: &str, figure: u64, limit: u64) -> Outcome {
    println!("figure: {figure} {what} (at most {limit})");
    if figure <= limit { Ok(()) } else { Err(format!("{figure} {what}, more than {limit}")) }
}

/// One CPU, 512 MiB, BIOS, and a clock that counts instructions.
fn counted(cmdline: &str) -> Result<Machine, String> {
    let extra = "-icount shift=0,sleep=off".into();
    let mut machine =
        Machine::start(&Config { smp: 1, extra, ..Config::new(Release, cmdline) })?;
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
