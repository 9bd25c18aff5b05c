//! The user programs of userspace/programs.txt, typed at the kernel shell one after the
//! other. A machine that stops is started again, so that the others still run.

use std::time::{Duration, Instant};

use crate::command::make;
use crate::expectation::{Expectation, parse};
use crate::machine::{Config, Machine, PROMPT, SHORT};
use crate::place::Mode::{Debug, Release};
use crate::place::{extra, top};
use crate::runner::{Job, Outcome, Results, timed};

/// Longest time for one program: three times what it gets on Linux, since an emulated CPU
/// is shared too.
const LIMIT: Duration = Duration::from_secs(60);

/// All jobs.
///
/// # Errors
/// If programs.txt cannot be understood.
pub(super) fn jobs() -> Result<Vec<Job>, String> {
    let path = top().join("userspace/programs.txt");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
    let lines = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let (extra, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.extra);
    let mut jobs = Vec::new();
    for (what, config) in [
        ("debug", Config { smp: 4, ..Config::new(Debug, "") }),
        ("release, UEFI, 64M", Config { uefi: true, mem: "64M", ..Config::new(Release, "") }),
        ("release, qemu64", Config { extra: "-cpu qemu64".into(), ..Config::new(Release, "") }),
    ] {
        let tests: Vec<(String, Expectation)> =
            lines.iter().map(|line| (name(what, line), line.clone())).collect();
        let names = tests.iter().map(|(name, _)| name.clone()).collect();
        jobs.push(Job::many(names, move |results| session(&config, &tests, results)));
    }
    for line in extra {
        jobs.push(Job::one(name("EXTRA", &line), move || overlaid(&line)));
    }
    Ok(jobs)
}

fn name(what: &str, line: &Expectation) -> String {
    let mut name = format!("program {what}: {}", line.command);
    if line.copies > 1 {
        name += &format!(", {} of it", line.copies);
    }
    if !line.stdin.is_empty() {
        name += ", with input";
    }
    name
}

fn session(config: &Config, tests: &[(String, Expectation)], results: &Results<'_>) {
    let mut running = None;
    for (name, line) in tests.iter().filter(|(name, _)| results.wants(name)) {
        let start = Instant::now();
        let mut machine = match running.take() {
            Some(machine) => Ok(machine),
            None => Machine::start(config).and_then(|mut machine| {
                machine.expect_prompt()?;
                Ok(machine)
            }),
        };
        let outcome = machine.as_mut().map_err(|error| error.clone()).and_then(|machine| {
            let output = run(machine, line)?;
            line.check(&output).map_err(|error| format!("{error}; it prints\n{output}"))
        });
        // After a failure of any kind the next begins with a machine of its own.
        running = machine.ok().filter(|_| outcome.is_ok());
        results.add(name, timed(start, outcome));
    }
}

/// Runs a program and returns what was written.
fn run(machine: &mut Machine, line: &Expectation) -> Result<String, String> {
    let command = line.shell_command();
    let Some(time) = line.interrupt else {
        // ^D behind the input. Who does not read leaves it to the shell's empty line.
        machine.begin(&command, &format!("{}\x04", line.stdin.replace('\n', "\r")))?;
        return machine.finish(LIMIT);
    };
    machine.begin(&command, "")?;
    let mut output = String::new();
    for text in &line.texts {
        for _ in 0..line.copies {
            output += &machine.expect(text, SHORT)?;
            output += text;
        }
    }
    std::thread::sleep(time);
    machine.type_text("\x03")?;
    // ^C gives up the rest of the line: there is no end marker.
    output += &machine.expect(PROMPT, SHORT)?;
    Ok(output)
}

/// Runs a program that a user laid over the initramfs.
fn overlaid(line: &Expectation) -> Outcome {
    let made = make(
        &[
            "--no-print-directory",
            "run",
            "UEFI=off",
            &format!("EXTRA={}", extra().display()),
            &format!("CMDLINE={}; ls /bin; exit 4", line.shell_command()),
        ],
        Duration::from_secs(600),
    )?;
    made.expect_status(4)?;
    // What was there before is still there.
    for name in ["hello", "args-glibc"] {
        made.expect_output(name)?;
    }
    let plain = plain(&made.output);
    line.check(&plain).map_err(|error| format!("{error}; it prints\n{plain}"))
}

/// A console without colours.
fn plain(text: &str) -> String {
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    let console = crate::console::Console::new(bytes);
    console.wait_for_end(SHORT);
    console.text()
}
