//! Jobs and results. A job is what a worker runs as one: often one test, but one boot may
//! be shared by hundreds. Each test of it is reported by its name.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a test ends with: why it failed, in words; what follows the first line is shown
/// indented below.
pub(crate) type Outcome = Result<(), String>;

/// Workers, and so QEMUs at a time.
const WORKERS: usize = 2;
/// Lines of a console that a failure shows.
const TAIL: usize = 120;

type Body = Box<dyn FnOnce(&Results<'_>) + Send>;

/// What a worker runs as one.
pub(crate) struct Job {
    /// The tests of a job that knows them before; otherwise the name that all begin with.
    names: Vec<String>,
    body: Body,
}

impl Job {
    /// One test.
    pub(crate) fn one(
        name: impl Into<String>,
        body: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Self {
        let name = name.into();
        let report = name.clone();
        Self {
            names: vec![name],
            body: Box::new(move |results| {
                let start = Instant::now();
                results.add(&report, start.elapsed_of(body));
            }),
        }
    }

    /// Several tests; `body` is to report those that [`Results::wants`].
    pub(crate) fn many(
        names: Vec<String>,
        body: impl FnOnce(&Results<'_>) + Send + 'static,
    ) -> Self {
        Self { names, body: Box::new(body) }
    }
}

/// A test's outcome and how long it took.
pub(crate) struct Timed {
    outcome: Outcome,
    took: Duration,
}

/// Runs a test and takes its time.
trait Stopwatch {
    fn elapsed_of(self, body: impl FnOnce() -> Outcome) -> Timed;
}

impl Stopwatch for Instant {
    fn elapsed_of(self, body: impl FnOnce() -> Outcome) -> Timed {
        let outcome = body();
        Timed { outcome, took: self.elapsed() }
    }
}

/// A test that began at `start` and has ended now.
pub(crate) fn timed(start: Instant, outcome: Outcome) -> Timed {
    Timed { outcome, took: start.elapsed() }
}

#[derive(Default)]
struct Totals {
    passed: usize,
    failed: Vec<String>,
}

/// Where tests are reported.
pub(crate) struct Results<'a> {
    totals: &'a Mutex<Totals>,
    /// The text that the names are to hold, and the names of this job that do.
    wanted: &'a str,
    whole_job: bool,
    reported: Mutex<usize>,
}

impl Results<'_> {
    /// Whether this test was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.whole_job || name.contains(self.wanted)
    }

    /// Reports a test.
    pub(crate) fn add(&self, name: &str, test: Timed) {
        *lock(&self.reported) += 1;
        let mut totals = lock(self.totals);
        let seconds = test.took.as_secs_f64();
        let mut text = match &test.outcome {
            Ok(()) => {
                totals.passed += 1;
                format!("test {name} ... ok ({seconds:.1} s)")
            }
            Err(reason) => {
                totals.failed.push(name.into());
                format!("test {name} ... FAILED: {}", reason.replace('\n', "\n    | "))
            }
        };
        text.push('\n');
        print(&text);
    }
}

/// One write, so that what others print does not come in between.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: the status still tells.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A lock that a panic cannot poison: this program aborts then.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The end of a text, for a failure's report.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Runs the jobs that have a test with `wanted` in its name, and prints the totals. True
/// if one failed.
pub(crate) fn run(jobs: Vec<Job>, wanted: &str) -> bool {
    let has = |job: &Job| job.names.iter().any(|name| name.contains(wanted));
    let queue: VecDeque<Job> = jobs.into_iter().filter(has).collect();
    if queue.is_empty() {
        return cannot_start(&format!("no test has {wanted} in its name"));
    }
    let (queue, totals) = (Mutex::new(queue), Mutex::new(Totals::default()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(job) = lock(&queue).pop_front() else { return };
                    run_job(job, wanted, &totals);
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for name in &totals.failed {
        print(&format!("failed: {name}\n"));
    }
    print(&format!("{} passed, {} failed\n", totals.passed, totals.failed.len()));
    !totals.failed.is_empty()
}

fn run_job(job: Job, wanted: &str, totals: &Mutex<Totals>) {
    // A name that is no more than the beginning of its tests' names counts for all.
    let whole_job = job.names.len() == 1;
    let results = Results { totals, wanted, whole_job, reported: Mutex::new(0) };
    let start = Instant::now();
    (job.body)(&results);
    let expected = job.names.iter().filter(|name| results.wants(name)).count();
    let reported = *lock(&results.reported);
    if reported < expected {
        let name = job.names.first().map_or("", String::as_str);
        let message = format!("only {reported} of {expected} tests have been reported");
        results.add(name, timed(start, Err(message)));
    }
}

/// Says why nothing was run; true, for that is a failure.
pub(crate) fn cannot_start(error: &str) -> bool {
    print(&format!("The tests cannot run: {error}\n0 passed, 1 failed\n"));
    true
}
