//! What needs no machine: formatting and clippy, the unit tests of floor 0 and of the
//! tools, and the user programs on this Linux.

use std::time::{Duration, Instant};

use crate::command::{BUILD, Ended, command, run};
use crate::place::top;
use crate::runner::{Job, Results, lock, tail, timed};

/// Longest time for a step that may have to build.
const BUILDING: Duration = Duration::from_secs(900);

/// All jobs.
///
/// # Errors
/// If the crates of floor 0 cannot be listed.
pub(super) fn jobs() -> Result<Vec<Job>, String> {
    let mut jobs = vec![
        Job::one("style", || {
            run(&mut command("tools/check.sh"), "", BUILDING)?.expect_status(0)
        }),
        Job::many(vec!["linux".into()], linux),
    ];
    let mut packages = vec![String::from("symbolize"), "boot-tests".into()];
    packages.extend(floor_0()?);
    packages.sort();
    jobs.extend(packages.into_iter().map(|package| {
        Job::many(vec![format!("host {package}")], move |results| unit_tests(&package, results))
    }));
    Ok(jobs)
}

/// The packages of kernel/lib that have tests.
fn floor_0() -> Result<Vec<String>, String> {
    let directory = top().join("kernel/lib");
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut packages = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // Its one macro makes kernel tests, and can be tried in the kernel alone.
        if name != "macros" {
            packages.push(name);
        }
    }
    Ok(packages)
}

/// Runs `cargo test` for a package and reports each of its tests.
fn unit_tests(package: &str, results: &Results<'_>) {
    let name = format!("host {package}");
    let start = Instant::now();
    let mut cargo = command("tools/cargo.sh");
    cargo.args(["host", "test", "--no-fail-fast", "--package", package]);
    match run(&mut cargo, "", BUILDING) {
        Ok(ended) => report_lines(&name, start, &ended, results, |line| {
            let (test, end) = line.strip_prefix("test ")?.split_once(" ... ")?;
            // The words behind `ok` and `ignored` are cargo's.
            match end.split(' ').next() {
                Some("ok") => Some((test, true)),
                Some("ignored") => None,
                _ => Some((test, false)),
            }
        }),
        Err(error) => results.add(&name, timed(start, Err(error))),
    }
}

/// Runs the user programs on this Linux: what we expect of Linux is what Linux does.
fn linux(results: &Results<'_>) {
    let start = Instant::now();
    let _alone = lock(&BUILD);
    let mut make = command("make");
    make.args(["--no-print-directory", "-C", "userspace", "check"])
        .arg(format!("OUT={}", top().join("target/userspace").display()))
        .arg(format!("CARGO={} host", top().join("tools/cargo.sh").display()));
    match run(&mut make, "", BUILDING) {
        Ok(ended) => report_lines("linux", start, &ended, results, |line| {
            let good = line.strip_prefix("ok ").map(|name| (name, true));
            good.or_else(|| line.strip_prefix("FAIL ").map(|name| (name, false)))
        }),
        Err(error) => results.add("linux", timed(start, Err(error))),
    }
}

/// Reports a test for each line that `parse` understands as (name, passed), and a failure
/// if there is none or the status says more.
fn report_lines<'a>(
    name: &str,
    start: Instant,
    ended: &'a Ended,
    results: &Results<'_>,
    parse: impl Fn(&'a str) -> Option<(&'a str, bool)>,
) {
    let (mut passed, mut failed) = (0, 0);
    let mut before = start;
    for (test, good) in ended.output.lines().filter_map(parse) {
        let outcome = if good {
            passed += 1;
            Ok(())
        } else {
            failed += 1;
            Err(tail(&ended.output))
        };
        // The first bears the time of all: no more is known.
        results.add(&format!("{name}: {test}"), timed(before, outcome));
        before = Instant::now();
    }
    if passed + failed == 0 || (ended.status == 0) != (failed == 0) {
        let reason = format!("status {}\n{}", ended.status, tail(&ended.output));
        results.add(name, timed(start, Err(reason)));
    }
}
