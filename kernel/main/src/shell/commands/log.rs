//! `log`.

use alloc::string::String;
use alloc::vec::Vec;

use base::println;

use crate::settings::{LEVELS, level};
use crate::shell::command::{Context, Outcome, at_most_one, usage};

/// The levels, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    LEVELS.map(String::from).into()
}

/// Sets or prints the level of the log.
pub(in crate::shell) fn log(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let Some(name) = at_most_one(arguments)? else {
        println!("{}", alloc::format!("{}", log::max_level()).to_lowercase());
        return Ok(());
    };
    let wrong = || usage(alloc::format!("no level {name}; good ones: {}", LEVELS.join(", ")));
    log::set_max_level(level(name).ok_or_else(wrong)?);
    Ok(())
}
