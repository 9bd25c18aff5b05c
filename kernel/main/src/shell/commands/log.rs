//! `log`.

use alloc::string::String;
use alloc::vec::Vec;

use base::{modules, println};
use log::LevelFilter;

use crate::settings::{LEVELS, level};
use crate::shell::command::{Context, Failure, Outcome, usage};

/// The levels, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    LEVELS.map(String::from).into()
}

/// Sets or prints the level of the log.
pub(in crate::shell) fn log(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let find = |name: &str| {
        let wrong = || usage(alloc::format!("no level {name}; good ones: {}", LEVELS.join(", ")));
        level(name).ok_or_else(wrong)
    };
    match arguments {
        [] => print_levels(),
        [name] => modules::set_level(find(name)?),
        [name, module] => {
            let level = if name == "default" { None } else { Some(find(name)?) };
            let no_module = || Failure::Message(alloc::format!("no module {module}"));
            modules::find(module).ok_or_else(no_module)?.set_level(level);
        }
        _ => return Err(usage("too many arguments")),
    }
    Ok(())
}

fn print_levels() {
    let text = |level: LevelFilter| alloc::format!("{level}").to_lowercase();
    println!("{}", text(modules::level()));
    for module in modules::all() {
        if let Some(level) = module.level() {
            println!("{}: {}", module.name(), text(level));
        }
    }
}
