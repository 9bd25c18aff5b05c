//! `help`.

use alloc::string::String;
use alloc::vec::Vec;

use base::println;

use crate::shell::command::{Context, Failure, Outcome, Usage, at_most_one};
use crate::shell::table::{self, COMMANDS};
use crate::shell::{GREEN, PLAIN};

/// Columns of a line of help.
const WIDTH: usize = 79;

/// All commands, for Tab.
pub(in crate::shell) fn names() -> Vec<String> {
    table::names().map(String::from).collect()
}

/// Lists the commands, or tells about one.
pub(in crate::shell) fn help(_: &mut Context<'_>, arguments: &[String]) -> Outcome {
    let Some(name) = at_most_one(arguments)? else {
        for command in COMMANDS {
            let usage = Usage(command);
            let call = alloc::format!("{usage}");
            println!("  {GREEN}{call:22}{PLAIN} {}", command.summary);
        }
        println!("Commands on one line are separated by `;`. `help COMMAND` tells more.");
        return Ok(());
    };
    let Some(command) = table::find(name) else {
        let similar = table::similar(name).map(|name| alloc::format!("; did you mean {name}?"));
        let similar = similar.unwrap_or_default();
        return Err(Failure::Message(alloc::format!("no command {name}{similar}")));
    };
    println!("{GREEN}{}{PLAIN}: {}", Usage(command), command.summary);
    println!("{}", Wrapped(command.help));
    Ok(())
}

/// Text broken into lines between words.
struct Wrapped<'a>(&'a str);

impl core::fmt::Display for Wrapped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut column = 0;
        for word in self.0.split_whitespace() {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                writeln!(f)?;
                column = 0;
            } else if column > 0 {
                f.write_str(" ")?;
                column += 1;
            }
            f.write_str(word)?;
            column += length;
        }
        Ok(())
    }
}
