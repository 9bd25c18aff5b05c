//! A program of this machine, with a bound on its time. It gets a process group of its
//! own, and the whole group ends with it.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::place::top;
use crate::runner::tail;

/// What a user sets (see `make help`), and what a make above this program has set.
const VARIABLES: [&str; 21] = [
    "RUST_BUILD_MODE", "UEFI", "GRAPHICS", "CMDLINE", "SMP", "MEM", "ACCEL", "EXTRA",
    "INITRAMFS", "DISK", "QEMU_EXTRA", "RUN_QEMU_GDB", "GDB_PORT", "MEDIUM", "ISO",
    "STATUS_FILE", "QEMU", "TEST", "MAKEFLAGS", "MFLAGS", "MAKELEVEL",
];

/// Held by whoever runs make, or builds: two in one tree would be in each other's way.
pub(crate) static BUILD: Mutex<()> = Mutex::new(());

/// A program run in the source tree, without the variables that a user may have set. It is
/// ended if the thread that started it ends.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", program]).current_dir(top()).process_group(0);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// How a program ended and what it wrote.
pub(crate) struct Ended {
    /// Its status; 128 and more if a signal killed it.
    pub(crate) status: i32,
    /// Both streams.
    pub(crate) output: String,
}

impl Ended {
    /// # Errors
    /// If the status is another.
    pub(crate) fn expect_status(&self, wanted: i32) -> Result<(), String> {
        if self.status == wanted {
            return Ok(());
        }
        Err(format!("status {}, not {wanted}\n{}", self.status, tail(&self.output)))
    }

    /// # Errors
    /// If the output does not hold the text.
    pub(crate) fn expect_output(&self, text: &str) -> Result<(), String> {
        if self.output.contains(text) {
            return Ok(());
        }
        Err(format!("does not print `{text}`\n{}", tail(&self.output)))
    }
}

/// A status as a shell would tell it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Ends a program and all that it started.
pub(crate) fn end_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    for signal in ["-TERM", "-KILL"] {
        let kill = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        if kill.is_err() {
            // There is no kill(1): at least the program itself.
            let _ = child.kill();
        }
        // KILL goes to the group even if its leader has ended: others may live on.
        if signal == "-TERM" {
            let _ = wait(child, Duration::from_secs(2));
        }
    }
    let _ = wait(child, Duration::from_secs(10));
}

/// Waits for a program; None if it takes longer.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(code(status)),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// Runs a program to its end, `input` on its standard input.
///
/// # Errors
/// If it cannot be started or takes longer than `limit`.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Ended, String> {
    use std::io::{Seek, Write};
    let failed = |error: std::io::Error| format!("files of a program: {error}");
    // Files, not pipes: they can be neither full nor left open.
    let mut files = [temporary().map_err(failed)?, temporary().map_err(failed)?];
    let [stdin, output] = &mut files;
    stdin.write_all(input.as_bytes()).and_then(|()| stdin.rewind()).map_err(failed)?;
    let (input, out, err) = (stdin.try_clone(), output.try_clone(), output.try_clone());
    let command = command
        .stdin(input.map_err(failed)?)
        .stdout(out.map_err(failed)?)
        .stderr(err.map_err(failed)?);
    let mut child = command.spawn().map_err(|error| format!("{error}"))?;
    let status = wait(&mut child, limit);
    if status.is_none() {
        end_group(&mut child);
    }
    let mut bytes = Vec::new();
    output
        .rewind()
        .and_then(|()| output.read_to_end(&mut bytes))
        .map_err(|error| format!("output: {error}"))?;
    let output = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(status) => Ok(Ended { status, output }),
        None => Err(format!("not ended after {} s\n{}", limit.as_secs(), tail(&output))),
    }
}

/// A file that nobody else has, and that has no name any more.
fn temporary() -> std::io::Result<File> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = crate::place::scratch(&format!("file-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let file = File::options().read(true).write(true).append(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// Runs a make target with variables, as a user does; alone in the tree.
///
/// # Errors
/// As [`run`].
pub(crate) fn make(arguments: &[&str], limit: Duration) -> Result<Ended, String> {
    let _alone = crate::runner::lock(&BUILD);
    run(command("make").args(arguments), "", limit)
}
