//! Too many processes and too little memory: the shell answers all the same, and the
//! memory comes back. And ^C ends what makes processes without end.

use std::time::Duration;

use crate::machine::{Config, Machine, PROMPT, SHORT};
use crate::place::Mode::{self, Debug, Release};
use crate::runner::{Job, Outcome};

/// Longest time for a bomb, a hog and the end of what they leave.
const LIMIT: Duration = Duration::from_secs(90);
/// Frames that one run may keep more than the run before it: slabs that are in use a little
/// differently.
const TOLERANCE: u64 = 128;
const INTERRUPT: &str = "\x03";

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs: Vec<Job> =
        [(Debug, 1, "64M"), (Release, 4, "64M"), (Release, 1, "256M"), (Debug, 4, "256M")]
            .into_iter()
            .map(|(mode, smp, mem)| {
                let name = format!("oom {}, {smp} CPUs, {mem}: bombs and hogs", mode.name());
                Job::one(name, move || bombs_and_hogs(mode, smp, mem))
            })
            .collect();
    jobs.push(Job::one("oom: ^C ends a bomb", || interrupted("60", 1)));
    jobs.push(Job::one("oom: ^C three times ends a stubborn bomb", || {
        interrupted("60 0 stubborn", 3)
    }));
    jobs
}

/// The frames that `mem` calls free.
fn free(machine: &mut Machine) -> Result<u64, String> {
    let output = machine.command("mem")?;
    let free = output.lines().find_map(|line| line.trim().strip_prefix("free "));
    let free = free.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    free.ok_or_else(|| format!("`mem` does not say what is free\n{output}"))
}

/// The lines of `ps` but its head, when `enough` is content with them.
pub(super) fn processes(machine: &mut Machine, enough: fn(&str) -> bool) -> Result<String, String> {
    for _ in 0..100 {
        let output = machine.command("ps")?;
        let lines: Vec<&str> = output.lines().filter(|line| line.contains("/bin/")).collect();
        let lines = lines.join("\n");
        if enough(&lines) {
            return Ok(lines);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(machine.failure("`ps` still lists others"))
}

fn run(machine: &mut Machine, command: &str, texts: &[&str]) -> Outcome {
    machine.begin(command, "")?;
    let output = machine.finish(LIMIT)?;
    processes(machine, str::is_empty)?;
    match texts.iter().find(|text| !output.contains(**text)) {
        None => Ok(()),
        Some(text) => Err(format!("{command} does not print `{text}` but\n{output}")),
    }
}

fn bombs_and_hogs(mode: Mode, smp: u32, mem: &'static str) -> Outcome {
    let mut machine = Machine::start(&Config { smp, mem, ..Config::new(mode, "") })?;
    machine.expect_prompt()?;
    let mut before = None;
    // The first time makes what is kept for the next.
    for _ in 0..2 {
        run(&mut machine, "exec /bin/forkbomb 3", &["forkbomb: ", " exited with status 0\n"])?;
        let killed = [" is killed: process ", " killed by SIGKILL: out of memory"];
        run(&mut machine, "exec /bin/memhog all 60", &killed)?;
        run(&mut machine, "exec 3 /bin/memhog all 60", &killed)?;
        // It may be among those that are killed.
        run(&mut machine, "exec /bin/forkbomb 3 4", &["/bin/forkbomb (process "])?;
        run(&mut machine, "exec /bin/primes 15000", &["1754 primes up to 15000"])?;
        let now = free(&mut machine)?;
        if before.is_some_and(|before: u64| now + TOLERANCE < before) {
            return Err(format!("{before:?} frames were free before, now {now}"));
        }
        before = Some(now);
    }
    let check = machine.command("mem check")?;
    if check.contains("every frame is accounted for") { Ok(()) } else { Err(check) }
}

fn interrupted(arguments: &str, times: usize) -> Outcome {
    let config = Config { smp: 4, mem: "256M", ..Config::new(Debug, "") };
    let mut machine = Machine::start(&config)?;
    machine.expect_prompt()?;
    machine.begin(&format!("exec /bin/forkbomb {arguments}"), "")?;
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..times {
        machine.type_text(INTERRUPT)?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let signal = if times == 1 { "SIGINT" } else { "SIGKILL" };
    machine.expect(&format!(") killed by {signal}\n"), SHORT)?;
    machine.expect(PROMPT, SHORT)?;
    processes(&mut machine, str::is_empty).map(|_| ())
}
