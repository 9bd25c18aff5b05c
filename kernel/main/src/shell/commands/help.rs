//! `help`.

use alloc::string::String;
use alloc::vec::Vec;

use base::{print, println};

use crate::shell::command::{Context, Failure, Outcome, Usage, at_most_one};
use crate::shell::table::{self, COMMANDS};
use crate::shell::{GREEN, PLAIN};

/// Columns of a line of help.
const WIDTH: usize = 79;
/// Columns for what is typed, in the list of all commands.
const CALL: usize = 22;

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
            print!("  {GREEN}{call:CALL$}{PLAIN}");
            if call.chars().count() > CALL {
                // The summaries stand in a column.
                print!("\n  {:CALL$}", "");
            }
            println!(" {}", command.summary);
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
    if !command.help.is_empty() {
        println!("{}", Wrapped(command.help));
    }
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
