//! Host tool: boots the kernel in QEMU and checks it from outside. `make test` runs it when
//! everything is built; `make test TEST=TEXT` only the tests with TEXT in their names.
//!
//! | file | what |
//! |---|---|
//! | `runner.rs` | jobs, the workers that run them, results and totals |
//! | `place.rs` | where things are: the source tree, images, a directory for the tests |
//! | `command.rs` | a program of this machine, with a bound on its time |
//! | `console.rs` | what the guest writes, as plain text that can be waited for |
//! | `iso.rs` | ISOs with another grub.cfg |
//! | `acpi.rs` | ACPI tables of a test's own |
//! | `disk_image.rs` | disk images with tables of partitions |
//! | `machine.rs` | QEMU: start, type, expect, wait for the status |
//! | `expectation.rs` | the lines of userspace/programs.txt |
//! | `stages/` | **the tests**, one file for each kind |
//!
//! Every wait has a bound. The last line of output is `N passed, N failed`; the status is
//! 1 if one failed.
#![forbid(unsafe_code)]

mod acpi;
mod command;
mod console;
mod disk_image;
mod expectation;
mod iso;
mod machine;
mod place;
mod runner;
mod stages;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    if arguments.next().is_some() {
        eprintln!("usage: boot-tests [TEXT]");
        return ExitCode::from(2);
    }
    let jobs = match place::prepare() {
        Ok(()) => stages::all(),
        Err(error) => {
            eprintln!("boot-tests: {error}");
            Err(error)
        }
    };
    let failed = match jobs {
        Ok(jobs) => runner::run(jobs, &wanted),
        Err(error) => runner::cannot_start(&error),
    };
    ExitCode::from(u8::from(failed))
}
