//! The kernel shell: reads lines from the console and runs the commands of `table.rs`.
//!
//! | file | what |
//! |---|---|
//! | `input.rs` | a line from the console, edited; the edited line under log lines |
//! | `completion.rs` | what Tab offers |
//! | `command.rs` | what a command is, what it gets and what it returns |
//! | `table.rs` | all commands: **a new one goes here** |
//! | `commands/` | the commands, one file for each family |
//! | `format.rs` | sizes and tables in words |

mod command;
mod commands;
mod completion;
mod format;
mod input;
mod table;

use alloc::boxed::Box;

use base::{print, println};
use drivers::console_input::InterruptWatch;
use memory::boot_data::BootData;

use command::{Context, Failure, Outcome};
pub(crate) use format::Size;
use input::Terminal;

const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const PLAIN: &str = "\x1b[0m";

/// What the shell keeps from command to command.
struct Shell {
    boot: &'static BootData,
    last_succeeded: bool,
}

/// Runs `commands`, then whatever is typed. Does not return.
pub(crate) fn run(data: BootData, commands: &str) {
    let mut shell = Shell { boot: Box::leak(Box::new(data)), last_succeeded: true };
    if commands.is_empty() {
        println!("{}: type {GREEN}help{PLAIN} for a list of commands.", crate::banner::VERSION);
    } else {
        shell.run_line(commands);
    }
    let mut terminal = Terminal::new();
    loop {
        let style = if shell.last_succeeded { GREEN } else { RED };
        let line = terminal.read_line(style);
        shell.run_line(&line);
    }
}

impl Shell {
    /// Runs the commands of a line, one after the other; ^C gives up the rest.
    fn run_line(&mut self, line: &str) {
        let commands = match boot_args::split_commands(line) {
            Ok(commands) => commands,
            Err(error) => {
                self.last_succeeded = false;
                return println!("{RED}{error}{PLAIN}");
            }
        };
        for command in commands {
            log::debug!("shell: {command}");
            let mut interrupt = InterruptWatch::start();
            let outcome = self.run_command(command, &mut interrupt);
            self.last_succeeded = outcome.is_ok();
            if let Err(Failure::Interrupted) = outcome {
                println!("^C");
                return;
            }
            if interrupt.take() {
                return;
            }
        }
    }

    /// Runs one command and reports why it failed, unless it has itself.
    fn run_command(&mut self, text: &str, interrupt: &mut InterruptWatch) -> Outcome {
        let words = match boot_args::split_words(text) {
            Ok(words) => words,
            Err(error) => {
                println!("{RED}{error}{PLAIN}");
                return Err(Failure::Reported);
            }
        };
        let Some((name, arguments)) = words.split_first() else { return Ok(()) };
        let Some(command) = table::find(name) else {
            print!("{RED}{name}: no such command{PLAIN}");
            match table::similar(name) {
                Some(similar) => println!("; did you mean {GREEN}{similar}{PLAIN}?"),
                None => println!("; {GREEN}help{PLAIN} lists all"),
            }
            return Err(Failure::Reported);
        };
        let boot = self.boot;
        let mut context = Context { boot, interrupt, last_succeeded: self.last_succeeded };
        let outcome = (command.run)(&mut context, arguments);
        match &outcome {
            Err(Failure::Usage(message)) => {
                println!("{RED}{name}: {message}{PLAIN}");
                println!("usage: {}", command::Usage(command));
            }
            Err(Failure::Message(message)) => println!("{RED}{name}: {message}{PLAIN}"),
            Ok(()) | Err(Failure::Reported | Failure::Interrupted) => {}
        }
        outcome
    }
}
