//! GDB on a machine that waits for it.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::command::{BUILD, Ended, code, command, run};
use crate::machine::{Config, Machine};
use crate::place::Mode::{self, Debug, Release};
use crate::place::top;
use crate::runner::{Job, Outcome, lock};

const LIMIT: Duration = Duration::from_secs(120);

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for mode in [Debug, Release] {
        jobs.push(Job::one(format!("gdb {} stops at the 32-bit entry", mode.name()), move || {
            let ended = debug(
                mode,
                "",
                &[
                    "hbreak -qualified start",
                    "continue",
                    "printf \"at %#lx magic %#lx\\n\", (long) $pc, (long) $rax",
                    "info registers cr0",
                ],
            )?;
            let entry = entry(mode)?;
            // GRUB's magic number, and protected mode without paging.
            ended.expect_output(&format!("at {entry:#x} magic 0x36d76289"))?;
            ended.expect_output("[ ET PE ]")
        }));
        jobs.push(Job::one(format!("gdb {} stops at the Rust entry", mode.name()), move || {
            let ended = debug(
                mode,
                "",
                &["hbreak kernel_entry", "continue", "info symbol $pc", "info line *$pc"],
            )?;
            ended.expect_output("kernel_entry")?;
            ended.expect_output(".rs\"")?;
            // In its place at last, beyond 32 bits.
            ended.expect_output("0xffffffff80")
        }));
    }
    jobs.push(Job::one("gdb stops in the kernel by file and line", || {
        let ended = debug(
            Debug,
            "exec /bin/hello; exit 7",
            &[
                "hbreak kernel_entry",
                "continue",
                "delete",
                "break shell::commands::exec::exec",
                "continue",
                "backtrace 3",
                "info source",
            ],
        )?;
        ended.expect_output("shell/commands/exec.rs")?;
        ended.expect_output("run_command")
    }));
    jobs.push(Job::one("gdb stops in a user program", || {
        let line = greeting_line()?;
        let stop = format!("break hello.asm:{line}");
        let ended = debug(
            Debug,
            "exec /bin/hello; exit 7",
            &[
                "hbreak kernel_entry",
                "continue",
                "delete",
                "user-program hello",
                &stop,
                "continue",
                "info registers rip cs",
                "printf \"argc %d\\n\", (int) $r12",
                "x/s *(char **) $r13",
                "stepi",
                "info registers rax",
                "delete",
                "continue",
            ],
        )?;
        ended.expect_output(&format!("hello.asm:{line}"))?;
        ended.expect_output("<_start+")?;
        // Ring 3.
        let cs = ended.output.lines().find(|line| line.starts_with("cs "));
        let ring = cs.and_then(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
        if ring.map(|cs| cs & 3) != Some(3) {
            return Err(format!("not in ring 3: {cs:?}\n{}", ended.output));
        }
        ended.expect_output("argc 1")?;
        ended.expect_output("\"/bin/hello\"")
    }));
    jobs.push(Job::one("gdb shows that clocks which differ are found out", clocks_differ));
    jobs.push(Job::one("make run-debug waits for make gdb", by_make));
    jobs
}

/// A TCP port that nobody has.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no TCP port: {error}"))
}

/// The clocks of all CPUs of QEMU are one, so a debugger must make a new CPU find its own
/// behind: the TSCs are not trusted any more, and time goes on with the HPET.
fn clocks_differ() -> Outcome {
    let commands = [
        "hbreak kernel_entry",
        "continue",
        "delete",
        "break task::smp::run",
        "continue",
        "delete",
        "set language c",
        "set var *(unsigned long *) &'task::smp::LAST_LOOK' = 1000000000000",
        "continue",
    ];
    let (_, machine) = debugged(Debug, "timer; test clock; exec hello; exit 7", &commands)?;
    machine.expect_written(&[
        "smp: the clock of CPU 1 is 99",
        "clock: the HPET from now on, since the TSCs of the CPUs differ",
        "smp: 2 CPUs run",
        "clock             HPET\n",
        " passed, 0 failed\n",
        "exec: /bin/hello (process 1) exited with status 0",
    ])
}

/// Starts a waiting machine and runs GDB's commands on it.
fn debug(mode: Mode, cmdline: &str, commands: &[&str]) -> Result<Ended, String> {
    debugged(mode, cmdline, commands).map(|(ended, _)| ended)
}

/// As [`debug`], with the machine.
fn debugged(mode: Mode, cmdline: &str, commands: &[&str]) -> Result<(Ended, Machine), String> {
    let port = free_port()?;
    let extra = format!("-S -gdb tcp:localhost:{port}");
    let mut machine = Machine::start(&Config { extra, ..Config::new(mode, cmdline) })?;
    // Open as soon as QEMU is; GDB itself tries again for some seconds.
    let mut gdb = command("gdb");
    gdb.args(["-q", "-batch", "-ex", "set debuginfod enabled off"]);
    gdb.args(["-ex", &format!("set $port = {port}"), "-x", "tools/gdb/basalt.gdb"]);
    gdb.args(commands.iter().flat_map(|command| ["-ex", command]));
    gdb.arg(kernel(mode));
    let ended = run(&mut gdb, "", LIMIT)?;
    // GDB's end is the machine's, by `kill` or by the kernel's exit.
    machine.wait(Duration::from_secs(2)).ok();
    Ok((ended, machine))
}

/// The kernel with its debug information.
fn kernel(mode: Mode) -> std::path::PathBuf {
    top().join("target/x86_64-unknown-none").join(mode.name()).join("basalt")
}

/// The kernel's entry, from the ELF header.
fn entry(mode: Mode) -> Result<u64, String> {
    let bytes = std::fs::read(kernel(mode)).map_err(|error| format!("{error}"))?;
    let field = bytes.get(24..32).and_then(|field| field.try_into().ok());
    field.map(u64::from_le_bytes).ok_or_else(|| "no ELF header".into())
}

/// The line of hello.asm with its first system call.
fn greeting_line() -> Result<usize, String> {
    let path = top().join("userspace/hello/hello.asm");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
    let mut lines = text.lines().enumerate();
    let line = lines.find(|(_, line)| line.trim() == "mov     eax, SYS_write");
    line.map(|(at, _)| at + 1).ok_or_else(|| "hello.asm has no SYS_write".into())
}

/// The two commands of a user, in two terminals.
fn by_make() -> Outcome {
    let port = free_port()?;
    let alone = lock(&BUILD);
    let variable = format!("GDB_PORT={port}");
    let log = crate::place::scratch("run-debug.log");
    let file = std::fs::File::create(&log).map_err(|error| format!("{error}"))?;
    let out = file.try_clone().map_err(|error| format!("{error}"))?;
    let mut server: Command = command("make");
    server.args(["run-debug", "UEFI=off", &variable, "CMDLINE=exit 6"]);
    let server = server.stdin(std::process::Stdio::null()).stdout(out).stderr(file).spawn();
    let mut server = server.map_err(|error| format!("make: {error}"))?;
    let written = || std::fs::read_to_string(&log).unwrap_or_default();
    let mut waited = Duration::ZERO;
    let step = Duration::from_millis(50);
    // QEMU listens a moment after this line.
    while !written().contains("^A x here ends QEMU") || !listens(port) {
        let ended = server.try_wait().ok().flatten();
        waited += step;
        if ended.is_some() || waited > LIMIT {
            crate::command::end_group(&mut server);
            return Err(format!("make run-debug: {:?}\n{}", ended.map(code), written()));
        }
        std::thread::sleep(step);
    }
    drop(alone);
    let script = "hbreak kernel_entry\ncontinue\ninfo symbol $pc\nhelp user-program\ncontinue\n";
    let ended = run(command("make").args(["gdb", &variable]), script, LIMIT);
    let status = crate::command::wait(&mut server, Duration::from_secs(30));
    if status.is_none() {
        crate::command::end_group(&mut server);
    }
    let ended = ended?;
    ended.expect_output("kernel_entry + ")?;
    // tools/gdb/basalt.gdb was read to its end.
    ended.expect_output("reads the symbols of a program of the initramfs")?;
    if status != Some(6) {
        return Err(format!(
            "make run-debug ends with {status:?}\n{}\n{}",
            written(),
            ended.output
        ));
    }
    Ok(())
}

/// Whether somebody listens on the port: told by the system, since a connection of ours
/// would be the debugger's.
fn listens(port: u16) -> bool {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    tables.iter().filter_map(|path| std::fs::read_to_string(path).ok()).any(|table| {
        let wanted = format!(":{port:04X}");
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            // Local address, remote address, state: 0A is LISTEN.
            words.next().is_some_and(|local| local.ends_with(&wanted)) && words.nth(1) == Some("0A")
        })
    })
}
