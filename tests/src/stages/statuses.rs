//! How runs end: the shell's `exit`, a panic, and command lines that are wrong.

use crate::machine::{Config, Machine, boot};
use crate::place::Mode::{Debug, Release};
use crate::runner::Job;

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (cmdline, status) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 101", 101),
        ("exit 127", 127),
        ("exit 128", 128),
        ("exit 200", 200),
        ("exit 255", 255),
        ("echo a; exit", 0),
        ("exit", 0),
        ("cat /no/such/file; exit", 1),
        ("exec /bin/exit_with 0; exit", 0),
        ("exec /bin/exit_with 5; exit", 1),
        ("exec 3 /bin/hostile null-read; exit", 1),
        ("cat /no/such/file; echo a; exit", 0),
        ("exit 256; exit 4", 4),
        ("no-such-command; exit", 1),
        ("crash panic", 101),
        ("loglevel=debug; exit 6", 6),
    ] {
        for mode in [Debug, Release] {
            let name = format!("status {} `{cmdline}` is {status}", mode.name());
            jobs.push(Job::one(name, move || boot(&Config::new(mode, cmdline), status, &[])));
        }
    }
    for (name, cmdline, texts) in [
        ("unknown command", "tset; exit 5", &["tset: no such command; did you mean test?"][..]),
        (
            "unknown setting",
            "colour=red exit 5",
            &["colour=red: no such setting; there are: loglevel, watchdog, aslr, root"],
        ),
        (
            "bad level",
            "loglevel=loud exit 5",
            &["loglevel=loud: no such level; good ones: off, error"],
        ),
        (
            "bad status",
            "exit 256; exit 5",
            &["256 is not a status from 0 to 255", "usage: exit [STATUS]"],
        ),
        ("quoting", "echo 'a;  b' \"c'd\" e\\;f $HOME; exit 5", &["\na;  b c'd e;f $HOME\n"]),
        ("level", "loglevel=error echo it is quiet; exit 5", &["it is quiet"]),
    ] {
        let name = format!("command line: {name}");
        jobs.push(Job::one(name, move || boot(&Config::new(Debug, cmdline), 5, texts)));
    }
    jobs.push(Job::one("command line: a quote that is not closed ends the run with 2", || {
        boot(&Config::new(Debug, "echo 'a; exit 3"), 2, &["quote"])
    }));
    // Nobody would see the report of a machine that ends.
    jobs.push(Job::one("status of a panic that nobody scripted: none, the machine stops", || {
        let mut machine = Machine::start(&Config::new(Debug, ""))?;
        machine.expect_prompt()?;
        machine.type_line("crash panic")?;
        machine.expect("The machine is stopped", crate::machine::SHORT)?;
        machine.type_text("\x01x")?; // QEMU's own key
        machine.expect_status(125)
    }));
    jobs
}
