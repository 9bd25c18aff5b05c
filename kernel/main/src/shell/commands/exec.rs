//! `exec`, `ps`, `maps` and `kill`: programs.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Signal;
use abi::signal::SIGNAL_COUNT;
use arch::paging::PAGE_SIZE;
use base::println;
use fs::pseudo::Text;
use process::{Foreground, Outcome as End, Process, exec as program};

use task::State;

use crate::shell::command::{Context, Failure, Outcome, none, usage};
use crate::shell::commands::files::print_parts;
use crate::shell::format::Size;
use crate::shell::{GREEN, PLAIN, RED};

/// Most processes of one command.
const MAX_COPIES: usize = 1000;

/// Most bytes that a map is printed with.
const MAX_MAP_BYTES: usize = 16 << 20;

/// What every program finds in its environment.
const ENVIRONMENT: [&[u8]; 3] = [b"PATH=/bin", b"HOME=/", b"TERM=vt100"];

/// Runs a program, or several of it at once, and tells how each ended, or leaves them in the
/// background.
pub(in crate::shell) fn exec(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (arguments, in_background) = match arguments.split_last() {
        Some((last, rest)) if last == "&" => (rest, true),
        _ => (arguments, false),
    };
    let (copies, words) = match arguments.split_first() {
        Some((first, rest)) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
            let copies = first.parse().ok().filter(|count| (1..=MAX_COPIES).contains(count));
            let wrong = || usage(format!("{first} is not a number from 1 to {MAX_COPIES}"));
            (copies.ok_or_else(wrong)?, rest)
        }
        _ => (1, arguments),
    };
    let Some(name) = words.first() else { return Err(usage("which program?")) };
    let path: Cow<'_, str> =
        if name.contains('/') { name.into() } else { format!("/bin/{name}").into() };
    let mut args: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    if let Some(first) = args.first_mut() {
        *first = path.as_bytes();
    }

    program::flush_console();
    let front = Foreground::new();
    // One that came before the group was there is in nobody's count.
    if context.interrupt.take() {
        return Err(Failure::Interrupted);
    }
    let mut processes: Vec<Arc<Process>> = Vec::new();
    let mut failed = false;
    for _ in 0..copies {
        if front.is_interrupted() {
            break; // the rest need not be started to be killed
        }
        match program::start(path.as_bytes(), &args, &ENVIRONMENT) {
            Ok(process) => {
                // One that came while it was being started may have missed it.
                if front.is_interrupted() {
                    process.send(Signal::SIGINT);
                }
                processes.push(process);
            }
            Err(error) => {
                println!("{RED}exec: {path}: {error}{PLAIN}");
                failed = true;
                break;
            }
        }
    }
    if in_background {
        for process in &processes {
            println!("exec: {path} runs in the background as process {}", process.pid());
        }
        return if failed { Err(Failure::Reported) } else { Ok(()) };
    }
    // All first: what others still write would stand between the reports.
    for process in &processes {
        process.wait();
    }
    base::console::start_line();
    for process in processes {
        let end = process.wait();
        let good = end == End::Exited(0);
        failed |= !good;
        let colour = if good { GREEN } else { RED };
        println!("{colour}exec: {path} (process {}) {end}{PLAIN}", process.pid());
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Lists the processes.
pub(in crate::shell) fn ps(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    none(arguments)?;
    println!(
        "{:>7} {:>7} {:9} {:>10} {:>10}  PROGRAM",
        "PID", "PARENT", "STATE", "RESIDENT", "TABLES"
    );
    for process in process::processes() {
        let task = process.task();
        let state = match (process.outcome(), &task) {
            (Some(_), _) => "ended",
            (None, Some(task)) if task.state() == State::Blocked => "waits",
            (None, _) => "runs",
        };
        let front = if process.is_in_front() { "+" } else { "" };
        let state = format!("{state}{front}");
        let [resident, tables] = process.memory_pages().map(|pages| Size(pages as u64 * PAGE_SIZE));
        println!(
            "{:>7} {:>7} {state:9} {resident:>10} {tables:>10}  {}",
            process.pid(),
            process.parent(),
            String::from_utf8_lossy(process.executable())
        );
    }
    Ok(())
}

/// Prints the memory map of a process.
pub(in crate::shell) fn maps(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let [pid] = arguments else { return Err(usage("which process?")) };
    let found = pid.parse().ok().and_then(process::find);
    let process = found.ok_or_else(|| format!("no process {pid}; see `ps`"))?;
    let Some(space) = process.space() else { return Ok(()) };
    let mut text = Text::within(MAX_MAP_BYTES);
    text.write(format_args!("{}", space.maps()))
        .map_err(|error| String::from(error.description()))?;
    print_parts(context, &text.into_bytes())
}

/// The signal that `-9`, `-KILL` or `-SIGKILL` names.
fn signal(word: &str) -> Option<Signal> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Signal::new(word.parse().ok()?);
    }
    let name = word.strip_prefix("SIG").unwrap_or(word);
    let mut all = (1..=SIGNAL_COUNT).filter_map(|number| Signal::new(number.into()));
    all.find(|signal| format!("{signal}").strip_prefix("SIG") == Some(name))
}

/// Sends a signal to processes.
pub(in crate::shell) fn kill(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let (signal, targets) = match arguments.split_first() {
        Some((first, rest)) if first.starts_with('-') => {
            let wrong = || usage(format!("no such signal: {first}"));
            (signal(first.trim_start_matches('-')).ok_or_else(wrong)?, rest)
        }
        _ => (Signal::SIGTERM, arguments),
    };
    if targets.is_empty() {
        return Err(usage("which process?"));
    }
    for target in targets {
        if target == "all" {
            // Children that are made meanwhile come behind their parents, and are met too.
            process::processes().for_each(|process| process.send(signal));
            continue;
        }
        let found = target.parse().ok().and_then(process::find);
        found.ok_or_else(|| format!("no process {target}; see `ps`"))?.send(signal);
    }
    Ok(())
}

/// The numbers of all processes, for Tab.
pub(in crate::shell) fn pids() -> Vec<String> {
    let pids = process::processes().map(|process| format!("{}", process.pid()));
    core::iter::once("all".into()).chain(pids).collect()
}

#[base::kernel_test]
fn signals_have_names_and_numbers() {
    for word in ["9", "KILL", "SIGKILL"] {
        assert_eq!(signal(word), Some(Signal::SIGKILL));
    }
    assert!(["", "0", "65", "NONE", "kill"].iter().all(|word| signal(word).is_none()));
}
