//! Boots on machines of every kind, from the first byte of the medium to a user program,
//! and to the prompt.

use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{Debug, Release};
use crate::runner::Job;

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (mode, uefi, usb, smp, mem) in [
        (Debug, true, false, 1, "64M"),
        (Debug, true, true, 4, "2G"),
        (Debug, false, false, 4, "8G"),
        (Debug, false, true, 2, "64M"),
        (Release, true, false, 4, "8G"),
        (Release, true, true, 2, "64M"),
        (Release, false, false, 1, "64M"),
        (Release, false, true, 4, "2G"),
        (Release, false, false, 2, "3G"),
    ] {
        let name = format!(
            "boot {} {} {}, {smp} CPUs, {mem}",
            mode.name(),
            if uefi { "UEFI" } else { "BIOS" },
            if usb { "USB" } else { "CD" },
        );
        jobs.push(Job::one(name, move || {
            let cmdline = "exec /bin/hello; exit 7";
            let config = Config { uefi, usb, smp, mem, ..Config::new(mode, cmdline) };
            let said = "exec: /bin/hello (process 1) exited with status 0";
            boot(&config, 7, &["Hello from user space", said])
        }));
    }
    // Without commands there is a prompt, and a panic does not end the machine.
    for (mode, uefi) in [(Debug, false), (Release, true)] {
        let firmware = if uefi { "UEFI" } else { "BIOS" };
        jobs.push(Job::one(format!("boot {} {firmware} to the prompt", mode.name()), move || {
            let config = Config { uefi, ..Config::new(mode, "") };
            let mut machine = Machine::start(&config)?;
            machine.expect("type help for a list of commands", crate::machine::BOOT)?;
            machine.expect_prompt()?;
            machine.type_line("exec /bin/primes 15000; exit 9")?;
            machine.expect_status(9)?;
            machine.expect_written(&["1754 primes up to 15000, the largest is 14983"])
        }));
    }
    // What the firmware tells, and what the CPU has.
    jobs.push(Job::one("boot protections on every CPU", || {
        let cmdline = "boot-info; exit";
        boot(&Config::new(Debug, cmdline), 0, &["no-execute write-protect smep smap umip"])?;
        let config = Config { extra: "-cpu qemu64".into(), ..Config::new(Debug, cmdline) };
        boot(&config, 0, &["protections   no-execute write-protect\n"])
    }));
    jobs.push(Job::one("boot with the framebuffer of UEFI", || {
        let config = Config { uefi: true, ..Config::new(Release, "boot-info; exit") };
        boot(&config, 0, &["pixels at 0x", "ACPI          XSDT at 0x"])
    }));
    jobs
}
