//! Many CPUs: they come up, run programs, stop together, and those that are not there are
//! not waited for.

use std::time::{Duration, Instant};

use crate::acpi::{IO_APIC, cpu, io_apic, madt, timer_override, with_table, x2apic_cpu};
use crate::machine::{BOOT, Config, Machine, PROMPT, SHORT};
use crate::place::Mode::{self, Debug, Release};
use crate::runner::{Job, Outcome};

const INTERRUPT: &str = "\x03";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = vec![
        Job::one("cpus: one that nobody has is left out, and its number", || {
            let table = madt(&[cpu(0), cpu(77), cpu(1), io_apic(IO_APIC), timer_override()]);
            left_out(&table, "APIC id 77 is left out: it did not start in 10 s")
        }),
        Job::one("cpus: one that cannot be named in xAPIC mode is left out", || {
            let table =
                madt(&[cpu(0), x2apic_cpu(0x1_2345), cpu(1), io_apic(IO_APIC), timer_override()]);
            left_out(&table, "APIC id 74565 is left out: it cannot be reached: the APIC id is")
        }),
        Job::one("cpus: those that are not plugged in are not waited for", || {
            let extra = "-smp 2,maxcpus=4".into();
            let config = Config { extra, ..Config::new(Debug, "timer; print-acpi; exit 7") };
            let mut machine = Machine::start(&config)?;
            machine.expect_status(7)?;
            machine.expect_written(&[
                "ACPI: 2 CPUs usable of 4",
                "smp: 2 CPUs run",
                "CPU     3: APIC id 3, uid 3, disabled",
            ])?;
            let up = up_for(&machine.text()).ok_or_else(|| machine.failure("no time"))?;
            if up < 5.0 { Ok(()) } else { Err(format!("{up} s to the prompt")) }
        }),
        Job::one("cpus: 64 of 66 run", || {
            let config = Config { smp: 66, mem: "2G", ..Config::new(Release, "") };
            let mut machine = Machine::start(&config)?;
            machine.expect_prompt()?;
            machine.expect_written(&["smp: more CPUs than 64: the rest stay out"])?;
            machine.expect_written(&["smp: 64 CPUs run"])?;
            all_are_used(&mut machine, 64, "exec 24 /bin/primes 5000")
        }),
    ];
    for (mode, smp, uefi) in [
        (Debug, 1, false),
        (Release, 2, true),
        (Debug, 4, false),
        (Debug, 8, false),
        (Release, 8, false),
    ] {
        jobs.push(Job::one(format!("cpus {}: {smp} run programs", mode.name()), move || {
            let mut machine = Machine::start(&Config { smp, uefi, ..Config::new(mode, "") })?;
            machine.expect_prompt()?;
            let said = if smp == 1 { "smp: 1 CPU runs" } else { &format!("smp: {smp} CPUs run") };
            machine.expect_written(&[said])?;
            let command = format!("exec {} /bin/primes 500000", 4 * smp);
            all_are_used(&mut machine, smp as usize, &command)
        }));
    }
    for mode in [Debug, Release] {
        let name = format!("cpus {}: a panic shows where the others were", mode.name());
        jobs.push(Job::one(name, move || panic_shows_all(mode)));
    }
    jobs.push(Job::one("cpus: NMIs find user programs and idle CPUs", nmis));
    jobs.push(Job::one("cpus: ^C ends programs on all of them, at any moment", interrupted));
    jobs
}

/// The seconds that `timer` says.
fn up_for(text: &str) -> Option<f64> {
    text.split_once("up for ")?.1.split_whitespace().next()?.parse().ok()
}

/// Boots with a MADT that lists CPUs 0 and 1 and something between them that is none.
fn left_out(table: &[u8], said: &str) -> Outcome {
    let name = format!("left-out-{}", table.len());
    let config = with_table(Config::new(Debug, ""), &name, table)?;
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    machine.expect_written(&[&format!("smp: CPU 1 with {said}"), "smp: 2 CPUs run"])?;
    let backtraces = machine.command("backtrace all")?;
    if !backtraces.contains("CPU 0, in task '") || !backtraces.contains("CPU 2, in task '") {
        return Err(format!("`backtrace all` prints\n{backtraces}"));
    }
    // The numbers have a gap: nothing takes them for an index.
    machine.begin("test task::smp", "")?;
    let tests = machine.finish(BOOT)?;
    if !tests.contains(" passed, 0 failed\n") {
        return Err(format!("kernel tests of CPUs fail\n{tests}"));
    }
    let output = machine.command("irqs")?;
    if !output.contains("     CPU 0     CPU 2       ALL\n") {
        return Err(format!("`irqs` prints\n{output}"));
    }
    all_are_used(&mut machine, 2, "exec 8 /bin/primes 500000")
}

/// Runs more programs than there are CPUs. Each CPU must then take turns, which its timer
/// makes it do, or be told to do something. Chance may leave one out: it gets further runs.
fn all_are_used(machine: &mut Machine, cpus: usize, command: &str) -> Outcome {
    let copies = command.split(' ').nth(1).and_then(|copies| copies.parse().ok());
    // More than eight CPUs are added up; a column for all stands behind them.
    let columns = 1 + if cpus > 8 { 0 } else { cpus };
    let before = local_counts(&machine.command("irqs")?);
    let mut after = String::new();
    for _ in 0..4 {
        machine.begin(command, "")?;
        let output = machine.finish(Duration::from_secs(120))?;
        if Some(output.matches(") exited with status 0\n").count()) != copies {
            return Err(format!("{command} prints\n{output}"));
        }
        after = machine.command("irqs")?;
        let counts = local_counts(&after);
        if before.len() != columns || counts.len() != columns {
            return Err(format!("not {columns} columns of counts in\n{after}"));
        }
        if before.iter().zip(&counts).all(|(before, after)| after > before) {
            let tasks = machine.command("tasks")?;
            return match tasks.matches("  idle/").count() {
                count if count == cpus => Ok(()),
                count => Err(format!("{count} idle tasks in\n{tasks}")),
            };
        }
    }
    Err(format!("a CPU has done nothing since {before:?}:\n{after}"))
}

/// Interrupts by the timer and by requests of other CPUs, for each CPU and for all.
fn local_counts(table: &str) -> Vec<u64> {
    let mut sums: Vec<u64> = Vec::new();
    for name in [" timer ", " CPU requests "] {
        let row = table.lines().find_map(|row| row.split_once(name)).unwrap_or_default();
        let counts = row.1.split_whitespace().filter_map(|count| count.parse::<u64>().ok());
        for (at, count) in counts.enumerate() {
            match sums.get_mut(at) {
                Some(sum) => *sum += count,
                None => sums.push(count),
            }
        }
    }
    sums
}

fn panic_shows_all(mode: Mode) -> Outcome {
    let config = Config { smp: 4, ..Config::new(mode, "sleep 0.2; backtrace all; crash panic") };
    let mut machine = Machine::start(&config)?;
    machine.expect_status(101)?;
    let text = machine.text();
    let (shown, report) =
        text.split_once("kernel panic: ").ok_or_else(|| machine.failure("no panic"))?;
    // The panicking CPU has its own place in the report.
    for (text, headings) in [(shown, 4), (report, 3)] {
        let count = (0..4).filter(|cpu| text.contains(&format!("\nCPU {cpu}, in task '"))).count();
        if count != headings || text.contains("does not answer") || !text.contains("become_idle") {
            return Err(machine.failure(&format!("{count} CPUs are shown, not {headings}")));
        }
    }
    Ok(())
}

/// QEMU's monitor raises NMIs at LINT1 of every CPU, while programs run and while none does.
fn nmis() -> Outcome {
    let mut machine = Machine::start(&Config { smp: 4, ..Config::new(Debug, "") })?;
    machine.expect_prompt()?;
    machine.begin("exec 4 /bin/spin", "")?;
    for _ in 0..4 {
        machine.expect("spinning", SHORT)?;
    }
    // ^A c leads to the monitor and back.
    for _ in 0..5 {
        machine.type_text("\x01cnmi\r\x01c")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    machine.type_text(INTERRUPT)?;
    machine.expect(") killed by SIGINT\n", SHORT)?;
    machine.expect(PROMPT, SHORT)?;
    machine.type_text("\x01cnmi\r\x01c")?;
    std::thread::sleep(Duration::from_millis(50));
    let output = machine.command("irqs")?;
    let count = output.split_once("non-maskable: ").and_then(|(_, rest)| rest.lines().next());
    match count.and_then(|count| count.trim().parse::<u32>().ok()) {
        // Those that come while one is handled become one.
        Some(count) if (8..=24).contains(&count) => {}
        _ => return Err(format!("after 6 NMIs for 4 CPUs, `irqs` prints\n{output}")),
    }
    // A task that runs on another CPU is where that CPU says, and not where it slept last.
    let output = machine.command("backtrace idle/3")?;
    if !output.contains("become_idle") {
        return Err(format!("`backtrace` of an idle task prints\n{output}"));
    }
    Ok(())
}

/// ^C at moments when programs are being built, begin, run on all CPUs, or end.
fn interrupted() -> Outcome {
    let mut machine = Machine::start(&Config { smp: 4, ..Config::new(Debug, "") })?;
    machine.expect_prompt()?;
    for wait in [0, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233] {
        machine.begin("exec 8 /bin/spin", "")?;
        std::thread::sleep(Duration::from_millis(wait));
        let begin = Instant::now();
        machine.type_text(INTERRUPT)?;
        let output = machine.expect(PROMPT, SHORT)?;
        let took = begin.elapsed();
        // Those that had not begun are not there at all.
        let (ended, killed) =
            (output.matches("exec: ").count(), output.matches("SIGINT\n").count());
        if ended != killed || ended > 8 || took > Duration::from_secs(5) {
            return Err(format!("^C after {wait} ms took {took:?}:\n{output}"));
        }
    }
    // Nobody is left, and all still works.
    let tasks = machine.command("tasks")?;
    if tasks.contains("spin") {
        return Err(format!("`tasks` prints\n{tasks}"));
    }
    all_are_used(&mut machine, 4, "exec 16 /bin/primes 500000")
}
