//! `test`: the kernel tests.

use alloc::string::String;
use alloc::vec::Vec;

use base::ktest::{self, KernelTest};
use base::println;

use crate::shell::command::{Context, Failure, Outcome, at_most_one};
use crate::shell::{GREEN, PLAIN, RED};

/// All tests and their modules, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    let mut names: Vec<String> = ktest::all()
        .iter()
        .flat_map(|test| [Some(test.name), test.name.rsplit_once("::").map(|(path, _)| path)])
        .flatten()
        .map(String::from)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Runs tests and prints a line for each.
pub(in crate::shell) fn test(context: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let part = at_most_one(arguments)?.unwrap_or("");
    let mut tests: Vec<&'static KernelTest> =
        ktest::all().iter().filter(|test| test.name.contains(part)).collect();
    if tests.is_empty() {
        return Err(Failure::Message(alloc::format!("no test has {part} in its name")));
    }
    tests.sort_by_key(|test| test.name);
    let (mut passed, mut failed) = (0, 0);
    for test in tests {
        log::debug!("test {} begins", test.name);
        match task::ktest::run(test) {
            Ok(()) => {
                passed += 1;
                println!("test {} ... {GREEN}ok{PLAIN}", test.name);
            }
            Err(failure) => {
                failed += 1;
                println!("test {} ... {RED}FAILED{PLAIN}", test.name);
                let report = alloc::format!("{failure}").replace('\n', "\n        ");
                println!("    {}:{}: {report}", test.file, test.line);
            }
        }
        if context.interrupt.take() {
            return Err(Failure::Interrupted);
        }
    }
    let colour = if failed == 0 { GREEN } else { RED };
    println!("{colour}kernel tests: {passed} passed, {failed} failed{PLAIN}");
    if failed == 0 { Ok(()) } else { Err(Failure::Reported) }
}
