//! `port`: lines to the host, of VirtIO consoles.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use base::{print, println};
use drivers::virtio::console::{self, OpenPort, Port};
use task::{WaitError, WaitOptions};

use crate::shell::command::{Context, Failure, Outcome, usage};

/// Seconds that are waited for something to read, or for the host to take what is written.
const SECONDS: u64 = 10;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// Lists the ports, reads from one or writes to one.
pub(in crate::shell) fn port(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["list"] => {
            list();
            Ok(())
        }
        ["read", name] => read(&open(name)?, SECONDS),
        ["read", name, seconds] => {
            let seconds = seconds.parse().map_err(|_| usage("SECONDS is a number"))?;
            read(&open(name)?, seconds)
        }
        ["write", name, ref text @ ..] if !text.is_empty() => write(&open(name)?, &text.join(" ")),
        _ => Err(usage("list, read PORT, or write PORT TEXT")),
    }
}

/// What may follow the command.
pub(in crate::shell) fn words() -> Vec<String> {
    ["list", "read", "write"].map(String::from).into()
}

fn list() {
    let mut ports = console::ports();
    // By their devices, and of each by their numbers: p2 before p10.
    ports.sort_by_cached_key(|port| (port.device_number(), port.id()));
    if ports.is_empty() {
        println!("no ports");
    }
    ports.iter().for_each(print_port);
}

fn print_port(port: &Arc<Port>) {
    print!("{:10}", port.name());
    if let Some(name) = port.console_name() {
        print!("  console {name}");
    }
    if let Some((columns, rows)) = port.size() {
        print!("  {columns} columns, {rows} rows");
    }
    if let Some(label) = port.label() {
        print!("  called {label}");
    }
    println!("{}", if port.host_is_open() { "  open at the host" } else { "" });
}

fn open(name: &str) -> Result<OpenPort, Failure> {
    let port = console::find(name).ok_or_else(|| format!("there is no port {name}"))?;
    port.open().map_err(|error| format!("{name}: {error}").into())
}

/// Prints what comes until a line is complete.
fn read(port: &OpenPort, seconds: u64) -> Outcome {
    let options = WaitOptions {
        interruptible: true,
        ..WaitOptions::within(seconds.saturating_mul(NS_PER_SECOND))
    };
    let mut bytes = [0; 256];
    loop {
        let count = port.read(&mut bytes, options).map_err(failure)?;
        let read = bytes.get(..count).unwrap_or_default();
        print!("{}", String::from_utf8_lossy(read));
        match read.last() {
            Some(b'\n') => return Ok(()),
            Some(_) => {}
            None => return Err(String::from("the host has closed the port").into()),
        }
    }
}

/// Writes a line.
fn write(port: &OpenPort, text: &str) -> Outcome {
    let options =
        WaitOptions { interruptible: true, ..WaitOptions::within(SECONDS * NS_PER_SECOND) };
    let line = format!("{text}\n");
    let count = port.write(line.as_bytes(), options).map_err(failure)?;
    if count < line.len() {
        return Err(format!("only {count} bytes of {} were written", line.len()).into());
    }
    Ok(())
}

fn failure(error: console::PortError) -> Failure {
    match error {
        console::PortError::Wait(WaitError::Interrupted) => Failure::Interrupted,
        error => Failure::Message(format!("{error}")),
    }
}
