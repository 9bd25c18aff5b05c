//! The commands that a user types.

use std::time::Duration;

use crate::command::{Ended, command, make, run};
use crate::place::top;
use crate::runner::Job;

/// Longest time for a command that may build.
const LIMIT: Duration = Duration::from_secs(600);

/// Values that are refused: the variable, and what is said of good ones.
const BAD: [(&str, &str); 17] = [
    ("UEFI=maybe", "Good values: on off"),
    ("UEFI=ON", "Good values: on off"),
    ("RUST_BUILD_MODE=fast", "Good values: debug release"),
    ("GRAPHICS=yes", "Good values: off on"),
    ("ACCEL=hvf", "Good values: tcg kvm"),
    ("RUN_QEMU_GDB=on", "Good values: no yes"),
    ("SMP=0", "Good values: a number of CPUs"),
    ("SMP=four", "Good values: a number of CPUs"),
    ("MEM=lots", "Good values: a size such as 64M or 2G"),
    ("MEM=64", "Good values: a size such as 64M or 2G"),
    ("GDB_PORT=http", "Good values: a TCP port"),
    ("INITRAMFS=/no/such/file", "INITRAMFS=/no/such/file: no such file"),
    ("EXTRA=/no/such/folder", "EXTRA=/no/such/folder: no such folder"),
    ("EXTRA=/etc/passwd", "no such folder"),
    ("DISK=/no/such/disk", "DISK: no such file: /no/such/disk"),
    ("QEMU_EXTRA=-name 'a", "has a quote that is not closed"),
    ("CMDLINE=a\x07b", "CMDLINE must be one line, without control characters"),
];

fn make_run(arguments: &[&str]) -> Result<Ended, String> {
    let mut all = vec!["--no-print-directory", "run", "UEFI=off"];
    all.extend(arguments);
    make(&all, LIMIT)
}

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for status in [0, 42, 200] {
        jobs.push(Job::one(format!("make run ends with the status {status}"), move || {
            let ended = make_run(&[&format!("CMDLINE=echo it runs; exit {status}")])?;
            ended.expect_output("it runs")?;
            ended.expect_status(status)
        }));
    }
    jobs.push(Job::one("make run of a panic ends with 101", || {
        let ended = make_run(&["RUST_BUILD_MODE=release", "CMDLINE=crash panic", "SMP=1", "MEM=64M"])?;
        ended.expect_status(101)?;
        ended.expect_output("at kernel/main/src/shell/commands/crash.rs:")
    }));
    jobs.push(Job::one("make run takes any characters in CMDLINE", || {
        let line = r#"CMDLINE=echo $HOME "it's" '$(a) `b`' \\ %x # ü; exit 3"#;
        let ended = make_run(&[line])?;
        ended.expect_output("$HOME it's $(a) `b` \\ %x # ü")?;
        ended.expect_status(3)
    }));
    jobs.push(Job::one("make run takes the variables", || {
        let disk = crate::place::scratch("disk image, with comma");
        std::fs::write(&disk, [0; 4096]).map_err(|error| format!("{}: {error}", disk.display()))?;
        let initramfs = crate::place::initramfs();
        let ended = make_run(&[
            "MEM=96M",
            "SMP=1",
            "QEMU_EXTRA=-cpu qemu64 -name 'a name'",
            &format!("DISK='{}'", disk.display()),
            &format!("INITRAMFS={}", initramfs.display()),
            "CMDLINE=boot-info; exit 8",
        ])?;
        ended.expect_status(8)?;
        ended.expect_output("QEMU Virtual CPU")
    }));
    jobs.push(Job::one("make run RUN_QEMU_GDB=yes runs QEMU under GDB", || {
        let ended = make_run(&["RUN_QEMU_GDB=yes", "CMDLINE=echo it runs; exit 9"])?;
        ended.expect_output("it runs")?;
        ended.expect_status(9)
    }));
    jobs.push(Job::one("make run GRAPHICS=on without a display says so", || {
        let mut make = command("make");
        make.args(["run", "UEFI=off", "GRAPHICS=on", "CMDLINE=exit 0"]);
        make.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        let _alone = crate::runner::lock(&crate::command::BUILD);
        let ended = run(&mut make, "", LIMIT)?;
        ended.expect_output("GRAPHICS=on needs a display")?;
        ended.expect_status(2)
    }));
    for (variable, said) in BAD {
        let name = format!("make run {} is refused", variable.escape_debug());
        jobs.push(Job::one(name, move || {
            // Nothing is built: nobody has to wait.
            let ended = run(command("make").args(["run", variable]), "", LIMIT)?;
            ended.expect_output(said)?;
            ended.expect_status(2)
        }));
    }
    jobs.push(Job::one("make run of EXTRA and INITRAMFS together is refused", || {
        let ended = run(command("make").args(["run", "EXTRA=/etc", "INITRAMFS=/etc/passwd"]), "", LIMIT)?;
        ended.expect_output("EXTRA is laid over Basalt's own initramfs: not with INITRAMFS")?;
        ended.expect_status(2)
    }));
    jobs.push(Job::one("make help names every target and variable", help));
    jobs.push(Job::one("make iso makes one ISO for all", || {
        let ended = make(&["iso", "RUST_BUILD_MODE=release"], LIMIT)?;
        ended.expect_status(0)?;
        let iso = top().join("target/basalt-release.iso");
        let mut show = command("xorriso");
        show.arg("-indev").arg(&iso).args(["-report_el_torito", "plain", "-report_system_area", "plain"]);
        let report = run(&mut show, "", LIMIT)?;
        report.expect_status(0)?;
        // BIOS and UEFI from a CD; a boot record and an EFI partition for a stick.
        for part in [" BIOS ", " UEFI ", "MBR", "GPT"] {
            report.expect_output(part)?;
        }
        Ok(())
    }));
    jobs
}

fn help() -> Result<(), String> {
    let ended = run(&mut command("make"), "", LIMIT)?;
    ended.expect_status(0)?;
    for target in ["run", "test", "bench", "check", "iso", "run-debug", "gdb", "setup", "clean"] {
        ended.expect_output(&format!("make {target} "))?;
    }
    for variable in [
        "RUST_BUILD_MODE", "UEFI", "GRAPHICS", "CMDLINE", "SMP", "MEM", "ACCEL", "EXTRA",
        "INITRAMFS", "DISK", "QEMU_EXTRA", "RUN_QEMU_GDB", "GDB_PORT",
    ] {
        ended.expect_output(&format!("\n{variable} "))?;
    }
    Ok(())
}
