//! The kernel tests, on machines of every kind.

use std::time::{Duration, Instant};

use crate::machine::{Config, Machine};
use crate::place::Mode::{self, Debug, Release};
use crate::runner::{Job, Results, tail, timed};

/// Longest time for all kernel tests, the boot among it.
const LIMIT: Duration = Duration::from_secs(400);

/// All jobs. Each value of each variable is there with both modes.
pub(super) fn jobs() -> Vec<Job> {
    [
        ("debug, BIOS, 1 CPU, 64M", Debug, false, 1, "64M", ""),
        ("debug, UEFI, 4 CPUs, 2G", Debug, true, 4, "2G", ""),
        ("debug, BIOS, 2 CPUs, 2G, qemu64", Debug, false, 2, "2G", "-cpu qemu64"),
        ("release, UEFI, 2 CPUs, 64M", Release, true, 2, "64M", ""),
        ("release, BIOS, 4 CPUs, 2G", Release, false, 4, "2G", ""),
        ("release, BIOS, 1 CPU, 8G, qemu64", Release, false, 1, "8G", "-cpu qemu64"),
    ]
    .map(|(what, mode, uefi, smp, mem, extra)| {
        let name = format!("kernel {what}");
        Job::many(vec![name.clone()], move |results| {
            run(&name, mode, uefi, smp, mem, extra, results)
        })
    })
    .into()
}

fn run(
    name: &str,
    mode: Mode,
    uefi: bool,
    smp: u32,
    mem: &'static str,
    extra: &str,
    results: &Results<'_>,
) {
    let start = Instant::now();
    let config = Config { uefi, smp, mem, extra: extra.into(), ..Config::new(mode, "test; exit") };
    let ended = Machine::start(&config).and_then(|mut machine| {
        let status = machine.wait(LIMIT)?;
        Ok((status, machine.text()))
    });
    let (status, text) = match ended {
        Ok(ended) => ended,
        Err(error) => return results.add(name, timed(start, Err(error))),
    };
    let (mut passed, mut failed) = (0, 0);
    let mut before = start;
    for line in text.lines() {
        let Some((test, end)) =
            line.strip_prefix("test ").and_then(|line| line.split_once(" ... "))
        else {
            continue;
        };
        let outcome = if end == "ok" {
            passed += 1;
            Ok(())
        } else {
            failed += 1;
            let report = text.split_once(line).map_or("", |(_, report)| report);
            Err(report.lines().take(20).collect::<Vec<_>>().join("\n"))
        };
        results.add(&format!("{name}: {test}"), timed(before, outcome));
        before = Instant::now();
    }
    let totals = format!("kernel tests: {passed} passed, {failed} failed");
    let outcome = if passed > 0 && text.contains(&totals) && status == i32::from(failed > 0) {
        Ok(())
    } else {
        Err(format!("status {status}; no line `{totals}`\n{}", tail(&text)))
    };
    results.add(&format!("{name}: totals and status"), timed(start, outcome));
}
