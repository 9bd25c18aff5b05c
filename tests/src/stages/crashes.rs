//! Every way to crash the kernel: the report says what happened and where.

use std::time::{Duration, Instant};

use crate::machine::{Config, Machine, SHORT, boot};
use crate::place::Mode::{self, Debug, Release};
use crate::runner::Job;

/// A kind, what the report must hold, and the same for debug builds alone.
type Kind = (&'static str, &'static [&'static str], &'static [&'static str]);

const KINDS: [Kind; 26] = [
    (
        "null",
        &[
            "kernel exception: page fault (#PF, vector 14): kernel read of 0x0: not mapped (error code 0x0); a null pointer?",
            "base::crash::null",
            "at kernel/base/src/crash.rs:",
        ],
        &[],
    ),
    (
        "write-text",
        &[
            "page fault (#PF, vector 14): kernel write to 0xffffffff8",
            "the page does not allow it (error code 0x3)",
            "base::crash::write_text",
            "at kernel/base/src/crash.rs:",
        ],
        &[],
    ),
    (
        "exec-data",
        &[
            "page fault (#PF, vector 14): kernel execution of 0xffffffff8",
            "the page does not allow it (error code 0x11)",
            "base::crash::execute_data",
            "at kernel/base/src/crash.rs:",
        ],
        &[],
    ),
    (
        "gp",
        &[
            "general protection fault (#GP, vector 13): not about a selector (error code 0)",
            "base::crash::general_protection",
            "at kernel/base/src/crash.rs:",
        ],
        &[],
    ),
    ("divide", &["divide error (#DE, vector 0)", "base::crash::divide", "crash.rs:"], &[]),
    (
        "invalid-opcode",
        &["invalid opcode (#UD, vector 6)", "base::crash::invalid_opcode", "crash.rs:"],
        &[],
    ),
    ("breakpoint", &["breakpoint (#BP, vector 3)", "base::crash::breakpoint", "crash.rs:"], &[]),
    (
        "overflow",
        &[
            "kernel exception: kernel stack overflow in task 'shell' (task 1): double fault (#DF, vector 8)",
            "guard page hit at 0xffffd0",
            "commands::crash::descend",
            " times more",
        ],
        &["commands::crash::overflow"],
    ),
    (
        "big-frame",
        &[
            "kernel exception: kernel stack overflow in task 'shell' (task 1): double fault (#DF, vector 8)",
            "guard page hit at 0xffffd0",
            "base::crash::overflow_at_once",
        ],
        &[],
    ),
    (
        "panic",
        &[
            "kernel panic: asked for by the command `crash`, at kernel/main/src/shell/commands/crash.rs:",
        ],
        &[],
    ),
    (
        "double-panic",
        &[
            "kernel panic: the report of this panic ends in another one:",
            "panic inside a panic: ",
            "; stopped",
        ],
        &[],
    ),
    (
        "triple-panic",
        &[
            "kernel panic: the report of this panic ends in others: ",
            "panic inside a panic: asked for by the command `crash`: ",
        ],
        &[],
    ),
    (
        "interrupt",
        &[
            "kernel panic: asked for by the command `crash`, in an interrupt handler, at kernel/main/src/shell/commands/crash.rs:",
            "  --- interrupted ---",
            "base::crash::interrupt",
        ],
        &[],
    ),
    (
        "console",
        &[
            "kernel panic: asked for by the command `crash`, inside a report, at kernel/main/src/shell/commands/crash.rs:",
            "Unprintable as Display>::fmt",
        ],
        &[],
    ),
    (
        "index",
        &[
            "kernel panic: index out of bounds: the len is 3 but the index is 7, at kernel/main/src/shell/commands/crash.rs:",
        ],
        &[],
    ),
    (
        "lock-twice",
        &["deadlock: spin lock 'crash lock-twice' is held by this CPU already: taken by CPU "],
        &["wanted at kernel/main/src/shell/commands/crash.rs:"],
    ),
    (
        "deadlock",
        &[
            "WARN  base::watchdog: watchdog: CPU ",
            ", in task 'deadlock' (task ",
            "deadlock: spin lock 'crash deadlock' has been held for too long: taken by CPU ",
        ],
        &["wanted at kernel/main/src/shell/commands/crash.rs:"],
    ),
    (
        "hang",
        &[
            "watchdog: CPU ",
            " has not scheduled for 1 s\nCPU ",
            ", in task 'shell' (task 1):\n",
            "commands::crash::hang",
        ],
        &[],
    ),
    (
        "sleep-atomic",
        &["kernel panic: sleeping while atomic"],
        &["'crash sleep-atomic' taken at kernel/main/src/shell/commands/crash.rs:"],
    ),
    (
        "inversion",
        &[],
        &[
            "kernel panic: lock order inversion: 'planted, one' is wanted at kernel/base/src/sync/planted.rs:",
            "before 'planted, other' was wanted while 'planted, one' was held",
            "'planted, other' wanted at kernel/base/src/sync/planted.rs:",
            "base::sync::planted::in_order (kernel/base/src/sync/planted.rs:",
            "\n  panicked at kernel/base/src/sync/planted.rs:",
        ],
    ),
    (
        "irq-unsafe",
        &[],
        &[
            "kernel panic: irq-unsafe lock 'planted, irq-unsafe': taken with interrupts on at kernel/base/src/sync/planted.rs:",
            "and before in an interrupt handler at kernel/base/src/sync/planted.rs:",
            "base::irq::dispatch (kernel/base/src/irq.rs:",
        ],
    ),
    (
        "double-free",
        &[
            "kernel panic: double free of the frame at 0x",
            "by memory::crash::double_free (kernel/memory/src/crash.rs:",
        ],
        // Both who freed it.
        &[": freed by memory::crash::double_free (", ", and again by memory::crash::double_free ("],
    ),
    (
        "use-after-free",
        &[],
        &[
            "kernel panic: use after free: the frame at 0x",
            " was written to while it was free, 0xdeadf4ee5aadf4ee",
            " at byte 0x120: freed by memory::crash::use_after_free (kernel/memory/src/crash.rs:",
        ],
    ),
    (
        "heap-double-free",
        &[],
        &[
            "kernel panic: double free of the heap object at 0x",
            ", 128 bytes: freed by memory::crash::heap_double_free (kernel/memory/src/crash.rs:",
            ", and again by memory::crash::heap_double_free (kernel/memory/src/crash.rs:",
        ],
    ),
    (
        "heap-use-after-free",
        &[],
        &[
            "kernel panic: use after free: the heap object at 0x",
            " bytes, was written to while it was free, 0xdeadf4eede5af4ee",
            " at byte 0x30: freed by memory::crash::heap_use_after_free (kernel/memory/src/crash.rs:",
        ],
    ),
    ("out-of-memory", &["kernel panic: ", "alloc", "1125899906842624"], &[]),
];

/// What only the checks of debug builds see: of locks, and poison.
const CHECKED: [&str; 5] =
    ["inversion", "irq-unsafe", "use-after-free", "heap-double-free", "heap-use-after-free"];

/// What every exception's report has beside its name.
const REGISTERS: [&str; 4] = ["\nrax ", "\nrip ffffffff80", "  rflags 0x", "cs 0x10"];
/// What every backtrace ends with: from the command to where the task began.
const BACKTRACE: [&str; 4] = [
    "\nbacktrace:\n",
    "basalt::shell::commands::crash::crash",
    "                        at kernel/main/src/shell/mod.rs:",
    "stack_start",
];

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for mode in [Debug, Release] {
        for kind in KINDS {
            let name = format!("crash {} {}", mode.name(), kind.0);
            jobs.push(Job::one(name, move || crash(mode, kind)));
        }
    }
    for name in ["panic", "double-panic", "triple-panic"] {
        jobs.push(Job::one(format!("crash {name} stops all CPUs"), move || stops_all(name)));
    }
    jobs.push(Job::one("crash: every kind is tested", every_kind));
    jobs
}

fn crash(mode: Mode, (name, texts, debug): Kind) -> Result<(), String> {
    if mode == Release && CHECKED.contains(&name) {
        let text = format!("{name} did not crash the kernel");
        return boot(&Config::new(mode, &format!("crash {name}; exit 3")), 3, &[&text]);
    }
    // The watchdog looks at once a second, not after ten.
    let cmdline = format!("watchdog=1 crash {name}; exit 77");
    let mut machine = Machine::start(&Config::new(mode, &cmdline))?;
    if name == "hang" {
        // It hangs, and another CPU says where.
        machine.expect(texts.last().unwrap_or(&""), crate::machine::BOOT)?;
        return machine.expect_written(texts);
    }
    machine.expect_status(101)?;
    machine.expect_written(texts)?;
    if mode == Debug {
        machine.expect_written(debug)?;
    }
    if machine.text().contains("kernel exception: ") {
        machine.expect_written(&REGISTERS)?;
    }
    // The first panic's report had not come to its place and backtrace.
    if !matches!(name, "double-panic" | "triple-panic") {
        machine.expect_written(&["\non CPU ", " in task 'shell' (task 1)\n"])?;
        machine.expect_written(&BACKTRACE)?;
    }
    Ok(())
}

/// QEMU's monitor tells of each CPU whether it has stopped: halted, with interrupts off.
fn stops_all(name: &str) -> Result<(), String> {
    const CPUS: usize = 4;
    const INTERRUPTS_ON: u32 = 1 << 9;
    let config = Config { smp: CPUS as u32, ..Config::new(Debug, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    machine.type_line(&format!("crash {name}"))?;
    let panics = if name == "panic" { "The machine is stopped." } else { "panic inside a panic: " };
    machine.expect(panics, SHORT)?;
    machine.type_text("\x01c")?;
    machine.expect("(qemu)", SHORT)?;
    // The CPUs stop when they have heard of it: it takes its time.
    let end = Instant::now() + SHORT;
    loop {
        machine.type_line("info registers -a")?;
        let mut running = Vec::new();
        for cpu in 0..CPUS {
            machine.expect(" RFL=", SHORT)?;
            let line = machine.expect("ES =", SHORT)?;
            let flags = line.split_whitespace().next().unwrap_or_default();
            let flags = u32::from_str_radix(flags, 16).map_err(|_| machine.failure("no flags"))?;
            if flags & INTERRUPTS_ON != 0 || !line.contains("HLT=1") {
                running.push(cpu);
            }
        }
        if running.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("CPUs {running:?} run on"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// `crash` alone lists the kinds: each is in the table above.
fn every_kind() -> Result<(), String> {
    let mut machine = Machine::start(&Config::new(Release, ""))?;
    machine.expect_prompt()?;
    let list = machine.command("crash")?;
    let listed: Vec<&str> =
        list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let tested = KINDS.map(|(name, ..)| name);
    if listed != tested {
        return Err(format!("listed: {listed:?}; tested: {tested:?}"));
    }
    let wrong = "no kind nothing; there are: null, write-text";
    boot(&Config::new(Release, "crash nothing; exit 3"), 3, &[wrong, "usage: crash KIND"])
}
