//! Processes as the shell shows them, and where their memory lies.

use crate::machine::{Config, Machine, SHORT};
use crate::place::Mode::Debug;
use crate::runner::{Job, Outcome};

use super::oom::processes;

/// All jobs.
pub(super) fn jobs() -> Vec<Job> {
    vec![
        Job::one("processes: those left in the background are listed and killed", background),
        Job::one("processes: programs lie at random addresses", || {
            let [first, second] = places("")?;
            // Two of 2^13 places of the break are the same now and then: it lies behind the
            // program, which moves as well.
            match first.iter().zip(&second).find(|(first, second)| first == second) {
                None => Ok(()),
                Some(_) => Err(format!("two runs at {first:?} and {second:?}")),
            }
        }),
        Job::one("processes: aslr=off puts programs at the same addresses", || {
            let [first, second] = places("aslr=off ")?;
            if first == second { Ok(()) } else { Err(format!("{first:?} and {second:?}")) }
        }),
    ]
}

/// Where stack, break, code and a mapping of two runs lie.
fn places(settings: &str) -> Result<[Vec<String>; 2], String> {
    let runs = "exec /bin/args-pie; exec /bin/args-pie; exit";
    let mut machine = Machine::start(&Config::new(Debug, &format!("{settings}{runs}")))?;
    machine.expect_status(0)?;
    let text = machine.text();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("places: "));
    let mut next = || -> Option<Vec<String>> {
        let places: Vec<String> = lines.next()?.split(' ').map(String::from).collect();
        (places.len() == 4).then_some(places)
    };
    match (next(), next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(machine.failure("not two lines of places")),
    }
}

fn background() -> Outcome {
    let mut machine = Machine::start(&Config::new(Debug, ""))?;
    machine.expect_prompt()?;
    machine.begin("exec /bin/fork leave; exec /bin/fork leave", "")?;
    machine.finish(SHORT)?;
    let lines = processes(&mut machine, |lines| lines.lines().count() == 2)?;
    // EIO.
    machine.expect_written(&["in the background: read says -5\n"])?;
    let pid = lines.split_whitespace().next().unwrap_or_default();
    machine.command(&format!("kill -KILL {pid}"))?;
    processes(&mut machine, |lines| lines.lines().count() == 1)?;
    machine.command("kill all")?;
    processes(&mut machine, str::is_empty)?;
    let output = machine.command(&format!("kill {pid}"))?;
    if output.contains("no process") { Ok(()) } else { Err(format!("kill says {output}")) }
}
