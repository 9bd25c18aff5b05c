//! `exec`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use base::println;
use process::{Foreground, Outcome as End, Process, exec as program};

use crate::shell::command::{Context, Failure, Outcome, usage};
use crate::shell::{GREEN, PLAIN, RED};

/// Most processes of one command.
const MAX_COPIES: usize = 1000;

/// What every program finds in its environment.
const ENVIRONMENT: [&[u8]; 3] = [b"PATH=/bin", b"HOME=/", b"TERM=vt100"];

/// Runs a program, or several of it at once, and tells how each ended.
pub(in crate::shell) fn exec(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
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
                if front.add(&process).is_err() {
                    println!("exec: out of memory: ^C will not reach process {}", process.pid());
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
