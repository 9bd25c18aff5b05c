//! QEMU: an ISO made by tools/make-iso.sh in a machine started by tools/qemu.sh.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::command::{command, end_group, run, wait};
use crate::console::Console;
use crate::place::{self, Mode};
use crate::runner::tail;

/// Longest time to the shell, also by UEFI on a machine with more to do.
pub(crate) const BOOT: Duration = Duration::from_secs(90);
/// Longest time for a command of the shell that does not wait.
pub(crate) const SHORT: Duration = Duration::from_secs(30);
/// The shell's prompt.
pub(crate) const PROMPT: &str = "basalt> ";

/// What is booted, and in what.
#[derive(Clone)]
pub(crate) struct Config {
    /// Which image.
    pub(crate) mode: Mode,
    /// The kernel's command line.
    pub(crate) cmdline: String,
    /// UEFI rather than BIOS.
    pub(crate) uefi: bool,
    /// A USB stick rather than a CD.
    pub(crate) usb: bool,
    /// CPUs.
    pub(crate) smp: u32,
    /// Memory, as QEMU takes it.
    pub(crate) mem: &'static str,
    /// `QEMU_EXTRA`.
    pub(crate) extra: String,
    /// Another kernel file than the mode's.
    pub(crate) image: Option<PathBuf>,
    /// Another initramfs than Basalt's own.
    pub(crate) initramfs: Option<PathBuf>,
    /// An ISO that has been made already.
    pub(crate) iso: Option<PathBuf>,
}

impl Config {
    /// By BIOS from CD, with 512 MiB and 2 CPUs.
    pub(crate) fn new(mode: Mode, cmdline: &str) -> Self {
        Self {
            mode,
            cmdline: cmdline.into(),
            uefi: false,
            usb: false,
            smp: 2,
            mem: "512M",
            extra: String::new(),
            image: None,
            initramfs: None,
            iso: None,
        }
    }

    /// Makes the ISO.
    ///
    /// # Errors
    /// What tools/make-iso.sh says.
    pub(crate) fn make_iso(&self) -> Result<PathBuf, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let iso = place::scratch(&format!("{}.iso", NEXT.fetch_add(1, Ordering::Relaxed)));
        let image = self.image.clone().unwrap_or_else(|| place::image(self.mode));
        let initramfs = self.initramfs.clone().unwrap_or_else(place::initramfs);
        let mut make = command("tools/make-iso.sh");
        make.args([&image, &initramfs, &iso]).arg(&self.cmdline);
        run(&mut make, "", BOOT)?.expect_status(0)?;
        Ok(iso)
    }
}

/// A running machine. It ends with this value.
pub(crate) struct Machine {
    child: Child,
    input: ChildStdin,
    console: Console,
    /// The ISO, if it is to go with the machine.
    iso: Option<PathBuf>,
    markers: u32,
}

impl Machine {
    /// Makes the ISO, unless there is one, and starts QEMU.
    ///
    /// # Errors
    /// What the scripts say.
    pub(crate) fn start(config: &Config) -> Result<Self, String> {
        let iso = match &config.iso {
            Some(iso) => iso.clone(),
            None => config.make_iso()?,
        };
        let mut machine = Self::start_without_iso(config, &[("ISO", iso.as_os_str())])?;
        machine.iso = config.iso.is_none().then_some(iso);
        Ok(machine)
    }

    /// Starts QEMU with further variables for tools/qemu.sh.
    ///
    /// # Errors
    /// If the script cannot be started.
    pub(crate) fn start_without_iso(
        config: &Config,
        variables: &[(&str, &std::ffi::OsStr)],
    ) -> Result<Self, String> {
        let mut qemu = command("bash");
        // Both streams into one, in order.
        qemu.args(["-c", "exec tools/qemu.sh 2>&1"])
            .env("UEFI", if config.uefi { "on" } else { "off" })
            .env("MEDIUM", if config.usb { "usb" } else { "cd" })
            .env("SMP", config.smp.to_string())
            .env("MEM", config.mem)
            .env("QEMU_EXTRA", &config.extra)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = qemu.spawn().map_err(|error| format!("tools/qemu.sh: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => {
                Ok(Self { child, input, console: Console::new(output), iso: None, markers: 0 })
            }
            _ => Err("tools/qemu.sh has no pipes".into()),
        }
    }

    /// Waits for a text; see [`Console::expect`].
    ///
    /// # Errors
    /// With the end of the console.
    pub(crate) fn expect(&mut self, text: &str, limit: Duration) -> Result<String, String> {
        self.console.expect(text, limit).map_err(|error| self.failure(&error))
    }

    /// Waits for the first prompt.
    ///
    /// # Errors
    /// If it does not come.
    pub(crate) fn expect_prompt(&mut self) -> Result<String, String> {
        self.expect(PROMPT, BOOT)
    }

    /// Types bytes as they are. ^A is QEMU's own key.
    ///
    /// # Errors
    /// If the machine has ended.
    pub(crate) fn type_text(&mut self, text: &str) -> Result<(), String> {
        let written = self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush());
        written.map_err(|error| self.failure(&format!("typing: {error}")))
    }

    /// Types a line.
    ///
    /// # Errors
    /// If the machine has ended.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<(), String> {
        self.type_text(&format!("{line}\r"))
    }

    /// Types a command at the prompt, `input` behind it, and waits until the command has
    /// begun. The echo of what is typed lies behind then.
    ///
    /// # Errors
    /// If it does not begin.
    pub(crate) fn begin(&mut self, command: &str, input: &str) -> Result<(), String> {
        self.markers += 1;
        // The shell takes the backslash away, so that this is not in the echo.
        let marker = self.markers;
        self.type_text(&format!("echo begin\\-{marker}; {command}; echo end\\-{marker}\r{input}"))?;
        self.expect(&format!("begin-{marker}\n"), SHORT).map(|_| ())
    }

    /// Waits for the end of the command that was begun, and returns what it wrote.
    ///
    /// # Errors
    /// If it does not end.
    pub(crate) fn finish(&mut self, limit: Duration) -> Result<String, String> {
        let output = self.expect(&format!("end-{}\n", self.markers), limit)?;
        self.expect(PROMPT, SHORT)?;
        Ok(output)
    }

    /// Types a command and returns what it wrote.
    ///
    /// # Errors
    /// If it does not end.
    pub(crate) fn command(&mut self, command: &str) -> Result<String, String> {
        self.begin(command, "")?;
        self.finish(SHORT)
    }

    /// Waits for the end of QEMU; the exit status.
    ///
    /// # Errors
    /// If it does not end.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<i32, String> {
        let Some(status) = wait(&mut self.child, limit) else {
            return Err(self.failure(&format!("not ended after {} s", limit.as_secs())));
        };
        self.console.wait_for_end(Duration::from_secs(10));
        Ok(status)
    }

    /// Waits for the end and checks the status.
    ///
    /// # Errors
    /// If it does not end, or with another status.
    pub(crate) fn expect_status(&mut self, wanted: i32) -> Result<(), String> {
        match self.wait(BOOT)? {
            status if status == wanted => Ok(()),
            status => Err(self.failure(&format!("status {status}, not {wanted}"))),
        }
    }

    /// All that the guest wrote.
    pub(crate) fn text(&self) -> String {
        self.console.text()
    }

    /// # Errors
    /// If the guest has not written each of the texts.
    pub(crate) fn expect_written(&self, texts: &[&str]) -> Result<(), String> {
        let text = self.text();
        match texts.iter().find(|wanted| !text.contains(**wanted)) {
            Some(missing) => Err(self.failure(&format!("does not print `{missing}`"))),
            None => Ok(()),
        }
    }

    /// A failure with the end of the console.
    pub(crate) fn failure(&self, reason: &str) -> String {
        format!("{reason}; the console ends with\n{}", tail(&self.text()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // One that has ended has taken QEMU with it, and its number may be another's.
        if wait(&mut self.child, Duration::ZERO).is_none() {
            end_group(&mut self.child);
        }
        if let Some(iso) = &self.iso {
            // It is in the scratch directory, which the next run makes afresh.
            let _ = std::fs::remove_file(iso);
        }
    }
}

/// Boots, waits for the end and checks status and console.
///
/// # Errors
/// What was not so.
pub(crate) fn boot(config: &Config, status: i32, texts: &[&str]) -> Result<(), String> {
    let mut machine = Machine::start(config)?;
    machine.expect_status(status)?;
    machine.expect_written(texts)
}
